"""A plan from what is asked to records: every way planned within the budget, advice, and where the advice would flip."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec.structs import replace

import revdiff
from compare import environment
from compare.errors import InputError
from compare.experiment import Progress, Quiet
from compare.planning import advising, blame, seconds, ways
from compare.planning.booking import Book
from compare.planning.budget import Budget
from compare.planning.fitting import Fitting
from compare.planning.flips import MOST, Dial, Flips, Turned
from compare.planning.records import VERSION, Advice, Flip, Line, PlanHeader, Way
from compare.planning.ways import Task
from compare.report.units import size
from diffcore.ledger import CONVENTION

CONVENTIONS = (
    CONVENTION,
    "Bytes are those of all arrays alive at once, what shares memory counted once: parameters, batch and optimizer state included, the "
    "interpreter and what libraries allocate for themselves not.",
    "A gradient is planned as a training step, the optimizer's update included, from the second step on.",
    "A Jacobian is that of each example's outputs by its inputs, parameters constant, in evaluation mode.",
)
UNTRAINED = "The network has no parameters that require grad: there is no gradient to plan, only the Jacobian by its inputs."


class Planner:
    """One plan; `run()` does the work. `stated` says whether the user gave the budget."""

    def __init__(
        self, task: Task, budget: Budget, *, stated: bool, command: str, flips: bool, thorough: bool, progress: Progress | None
    ) -> None:
        self._task, self._budget, self._stated, self._command, self._flips = task, budget, stated, command, flips
        self._progress = progress or Quiet()
        self._fitting = Fitting(task, thorough=thorough)
        self._adviser = advising.Adviser(self._fitting, task)
        self._trained = True

    def run(self) -> list[Line]:
        """The records. Raises `InputError` for a network that cannot be planned and a budget below what any way needs."""
        try:
            with _settled():
                return self._run()
        except SystemExit as error:
            raise blame.unplannable(self._task.recipe.name, error) from None

    def _run(self) -> list[Line]:
        parameters, outputs = self._probed()
        planned = self._planned()
        if self._stated:
            self._check_budget(planned)
        asked = {way.computes for way in planned}
        advices = [advising.advise(planned, computes, self._budget.nbytes) for computes in advising.RANKED if computes in asked]
        flips = list(self._flipped(advices, {way.name for way in planned}, outputs)) if self._flips else []
        return [self._header(parameters, outputs), environment_of(), *planned, *advices, *flips]

    def _probed(self) -> tuple[int, int]:
        """The number of parameters, and of numbers that the network puts out for an example: found by computing the loss once."""
        recipe, task = self._task.recipe, self._task
        try:
            with Book() as book:
                made = recipe.make(revdiff, task.sizes, book.role)
                made.loss(made.net, made.inputs, made.targets)
            outputs = ways.outputs_of(task._replace(rows=None))
        except InputError:
            raise
        except Exception as error:
            raise blame.unplannable(recipe.name, error) from None
        if task.rows is not None and task.rows > outputs:
            raise InputError(
                f"`outputs` (={task.rows}) must be at most {outputs}, which {recipe.name} puts out: its `build` has no parameter `outputs`"
            )
        self._trained = made.optimizer is not None
        return sum(math.prod(p.shape) for p in made.net.parameters()), outputs if task.rows is None else task.rows

    def _planned(self) -> list[Way]:
        names = [way for way in ways.WAYS.values() if self._trained or way.computes == ways.JACOBIAN]
        if self._trained and not ways.auto_differs(self._task):
            names.remove(ways.BY_CHOICE)
        phase = self._progress.phase("plan", len(names))
        found = []
        for done, way in enumerate(names, 1):
            planned = self._fitting.plan(way, self._task, self._budget.nbytes)
            found.append(planned if planned.peak is None else replace(planned, directions=way.directions(self._task)))
            phase.advance(done)
        return found

    def _check_budget(self, planned: list[Way]) -> None:
        rivals = [way for way in planned if way.computes == ways.GRADIENT and way.peak is not None]
        if rivals and not any(way.fits for way in rivals):
            least = min(rivals, key=lambda way: way.least or way.nbytes)
            needs = least.least or least.nbytes
            raise InputError(
                f"`memory` (={size(self._budget.nbytes)}) is below what any way to the gradient needs for {self._task.recipe.name} with"
                f" `batch` (={self._task.sizes.batch}): the least is {needs} bytes ({size(needs)}), by {least.title}"
            )

    def _flipped(self, advices: list[Advice], planned: set[str], outputs: int) -> Iterator[Flip]:
        dials = list(self._dials(outputs))
        phase = self._progress.phase("flips", len(dials) * len(advices))
        for number, advice in enumerate(advices):
            among = [way for way in advising.RANKED[advice.computes] if way.name in planned]
            flips = Flips(self._adviser, advice.computes, advice.way, among)
            for done, dial in enumerate(dials, 1):
                if advice.computes == ways.JACOBIAN or dial.knob != "outputs":
                    yield from flips.along(dial)
                phase.advance(number * len(dials) + done)

    def _dials(self, outputs: int) -> Iterator[Dial]:
        """The knobs that this network has."""
        task, budget = self._task, self._budget.nbytes
        sizes, recipe = task.sizes, task.recipe
        if "outputs" in recipe.varies:
            most = max(MOST["outputs"], outputs)
            yield Dial("outputs", range(1, most + 1), outputs, lambda n: Turned(task._replace(sizes=sizes._replace(outputs=n)), budget))
        elif outputs > 1:
            yield Dial("outputs", range(1, outputs + 1), outputs, lambda n: Turned(task._replace(rows=n), budget))
        most = max(MOST["batch"], sizes.batch)
        yield Dial("batch", range(1, most + 1), sizes.batch, lambda n: Turned(task._replace(sizes=sizes._replace(batch=n)), budget))
        depth = recipe.depth_of(sizes)
        if depth is not None:
            possible = [n for n in range(1, max(MOST["depth"], depth) + 1) if n == depth or recipe.can_be(sizes._replace(depth=n))]
            yield Dial("depth", possible, depth, lambda n: Turned(task._replace(sizes=sizes._replace(depth=n)), budget))
        yield Dial("budget", range(1, max(MOST["budget"], budget) + 1), budget, lambda n: Turned(task, n))

    def _header(self, parameters: int, outputs: int) -> PlanHeader:
        task = self._task
        return PlanHeader(
            version=VERSION,
            command=self._command,
            created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            network=task.recipe.name,
            shape=task.recipe.shape(task.sizes),
            parameters=parameters,
            inputs=str(task.recipe.example),
            outputs=outputs,
            batch=task.sizes.batch,
            depth=task.recipe.depth_of(task.sizes),
            dtype=task.recipe.dtype,
            training=task.recipe.training,
            directions=task.directions,
            budget=self._budget.nbytes,
            budget_of=self._budget.told,
            ranked_by="operations" if seconds.calibration() is None else "seconds",
            conventions=list(CONVENTIONS),
            notes=seconds.notes() + [UNTRAINED] * (not self._trained),
        )


@contextmanager
def _settled() -> Iterator[None]:
    """The collector does not look at what is there already: of a large program that takes longer than the runs between its rounds."""
    if gc.get_freeze_count():  # somebody else has settled it
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def environment_of() -> Line:
    """The machine that was planned for."""
    from compare.records import Environment

    return Environment(environment.describe(heavy=False))
