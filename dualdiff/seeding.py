"""Seeds: what the directions of a tangent stand for, and the sites and windows through which they are planted.

- `Directions`: directions given from outside (`jvp`, `forward_gradient`).
- `Variable`: one direction per element of a variable (the textbook's `n x m`).
- `Site`: one direction per feature of a kernel's *result*, shared by all examples (axis 0). Where the kernel is linear in a
  variable, the derivative with respect to the result is turned into the variable's at the end by the kernel's own adjoint:
  `d` directions instead of `d_in * d_out`. Exact as long as later kernels keep examples apart. Where directions that still touch one
  feature each come to touch the same one (in pooling), they are the same but for a factor of each example: a site on that result stands
  for them, and its derivative is turned into theirs by the adjoint of the kernel that merged them.
- `Family`: the directions of many variables or sites, carried as one block.

A window restricts a seed to some of its directions, so that a memory budget can be kept by running in chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from diffcore.dispatch import clock
from diffcore.errors import GradientError
from diffcore.examples import Owners
from diffcore.hooks import called
from diffcore.kernels.record import Call
from diffcore.tensor import accumulated

Window = tuple[int, int]
Key = tuple[Any, ...]


class LeftPlan(GradientError):
    """A function met a seed that it did not meet when its runs were planned."""


class Seed:
    """A group of directions. `lead` is the number of direction axes of its dense tangents: 0 for a single direction, else 1."""

    __slots__ = ()
    lead = 1
    examples = False
    """Whether direction `f` stands for feature `f` of every example, rather than for one element."""


class Directions(Seed):
    """Directions given from outside; one (`lead` 0) or several."""

    __slots__ = ("lead",)

    def __init__(self, lead: int) -> None:
        self.lead = lead


class Variable(Seed):
    """One direction per element of a variable of shape `shape`, or per element of `window` in row-major order.

    `whole` is the same variable with all its directions: what is collected from sites has them all, whatever the window.
    `gradient` is where an imperative backward pass delivers, in `dtype`.
    """

    __slots__ = ("_hooks", "_whole", "count", "dtype", "elements", "gradient", "key", "order", "rows", "seeding", "shape", "window")

    def __init__(self, shape: tuple[int, ...], seeding: Seeding, key: Key, whole: Variable | None = None, dtype: Any = None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.seeding = seeding
        self.key = key
        self.elements = math.prod(shape)
        self.window = (0, self.elements) if whole is None else seeding.window(key, self.elements)
        start, stop = self.window or (0, 0)
        self.rows, self.count = slice(start, stop), stop - start
        self.order = next(clock)
        self._whole = whole
        self.gradient: Any = None
        self._hooks: dict[int, Callable[[Any], Any]] | None = None

    @property
    def hooks(self) -> dict[int, Callable[[Any], Any]]:
        """What users registered to be called with the gradient that an imperative backward pass delivers."""
        if self._hooks is None:
            self._hooks = {}
        return self._hooks

    def hooked(self, gradient: Any) -> Any:
        """`gradient` after the hooks have seen it."""
        return called(self._hooks, gradient) if self._hooks else gradient

    def receive(self, gradient: Any) -> None:
        """Add a gradient that a backward pass delivers, after the hooks have seen it."""
        self.gradient = accumulated(self.gradient, self.hooked(gradient))

    @property
    def whole(self) -> Variable:
        """The same variable with all its directions. (Not an attribute: a seed that refers to itself would wait for the collector.)"""
        return self._whole or self

    def is_active(self) -> bool:
        """Whether tangents in these directions are carried in this run; asked when the variable is used other than at a site."""
        if self._whole is not None:
            self.seeding.note(self.key, self.elements)
        return self.count > 0 or self.elements == 0


class Features(Variable):
    """The directions of a variable with examples along axis 0, one per feature, which all examples share. `shape` is that of one example.

    A kernel that mixes examples is an error.
    """

    __slots__ = ()
    examples = True


class Elements(Variable):
    """The directions of a variable of which each is to touch one element to the end. A kernel that does not keep that is an error."""

    __slots__ = ()


class Spread(Seed):
    """The directions of `variable` where an elementwise kernel has broadcast it to many rows: direction `f` is feature `f` of every row.

    There the variable's diagonal stays one, with the rows for examples. Where these mix, its directions are dense as they would have been.
    """

    __slots__ = ("variable",)
    examples = True

    def __init__(self, variable: Variable) -> None:
        self.variable = variable

    @property
    def rows(self) -> slice:
        return self.variable.rows

    @property
    def count(self) -> int:
        return self.variable.count

    @property
    def order(self) -> int:
        return self.variable.order

    def is_active(self) -> bool:
        """As for the variable."""
        return self.variable.is_active()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spread) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash((Spread, self.variable))


class Site(Seed):
    """Directions on the result of `call`: one per feature (axes after the first), or per element where there is no batch.

    `targets` lists (operand position, variable) of what is collected at the end; of a site that stands for the directions of another,
    which had come as far as `call`, `merged` is that one and their scale. `order` is when it was planted.
    """

    __slots__ = ("call", "children", "count", "examples", "key", "merged", "order", "rows", "seeding", "size", "targets", "window")

    def __init__(
        self,
        call: Call,
        targets: list[tuple[int, Variable]],
        merged: tuple[Site, Any] | None,
        seeding: Seeding,
        key: Key,
        window: Window,
        size: int,
        examples: bool,
    ) -> None:
        self.call = call
        self.targets = targets
        self.merged = merged
        self.seeding = seeding
        self.key = key
        self.window = window
        self.rows = slice(*window)
        self.count = window[1] - window[0]
        self.size = size
        self.examples = examples
        self.children = 0
        self.order = next(clock)

    def is_active(self) -> bool:
        """Whether tangents in these directions are carried in this run; asked when they are needed as they are, and not as a site's."""
        self.seeding.note(self.key, self.size)
        return self.count > 0 or self.size == 0


class Family(Seed):
    """The seeds whose tangents are one block of a tensor: variables (`OWN`), or sites whose examples lie along `axis`.

    `FACTORED` are sites whose tangents are factors of which the block is the product; their examples lie along axis 0. `APART` are the
    `Features`, whose examples must not mix; what a tensor carries says by `owners` whose its elements are.
    """

    __slots__ = ("axis", "examples", "owners", "strict")

    def __init__(self, axis: int | None, strict: bool = False, owners: Owners | None = None) -> None:
        self.examples = axis is not None
        self.axis = axis or 0
        self.strict = strict
        self.owners = owners


OWN, FACTORED, APART, ABSENT = Family(None), Family(0), Family(0, strict=True), Family(None)


@cache
def shared(axis: int) -> Family:
    """The family of sites whose examples lie along `axis`."""
    return Family(axis)


class _Nothing(dict[Key, Window]):
    """No directions of any seed, and yet every seed is met."""

    def get(self, key: Key, default: Any = None) -> Window:
        return (0, 0)


NOTHING = _Nothing()


def family_of(seed: Seed) -> Family:
    """The family that the dense tangents of a seed belong to, examples along axis 0."""
    return APART if isinstance(seed, Features) else shared(0) if seed.examples else OWN


class Seeding:
    """How the variables of one level are seeded.

    `mode` is `"parameters"`, `"activations"` or `"auto"` (per site, whichever needs fewer directions). `windows` names the directions
    of this run; `None` means all. While planning, `sizes` records, in order, every seed whose directions are carried as such and their
    number, which is what chunks are cut from; `met` every seed there is, and `merged` which site stands for the directions of which.
    `own` are the variables that have directions of their own; without it, `"auto"` goes by the numbers of directions at each site.
    While planning, `expanded` records the variables behind sites that met a kernel that mixes examples, whose directions go on from there.
    `known` are the seeds that the plan met, with their sizes: meeting another would lose its derivative, and raises.
    """

    __slots__ = ("_planted", "_sites", "expanded", "known", "merged", "met", "mode", "own", "sizes", "windows")
    MODES = ("auto", "activations", "parameters")

    def __init__(
        self,
        mode: str = "auto",
        windows: dict[Key, Window] | None = None,
        *,
        planning: bool = False,
        known: Mapping[Key, int] | None = None,
        own: frozenset[Key] | None = None,
        once: bool = True,
    ) -> None:
        self.mode = mode
        self.own = own
        self._planted: dict[Key, int] | None = {} if once else None
        self.windows = windows
        self.known = known
        self.sizes: dict[Key, int] | None = {} if planning else None
        self.met: dict[Key, int] = {}
        self.merged: dict[Key, Key] = {}
        self.expanded: set[Key] = set()
        self._sites = 0

    def window(self, key: Key, size: int) -> Window | None:
        """The directions of seed `key` in this run, `None` for none."""
        if self.windows is None:
            return (0, size)
        return self.windows.get(key)

    def meet(self, key: Key, size: int) -> None:
        """There is a seed `key` of `size` directions. Raises `LeftPlan` when the plan did not meet it."""
        if self.known is not None and size and self.known.get(key) != size:
            raise LeftPlan(
                f"memory=...: the function took another path than when it was planned on abstract arrays (it now uses {key[0]} "
                f"{'.'.join(map(str, key[1:]))}): leave `memory` out for functions that look at values"
            )
        if self.sizes is not None:
            self.met[key] = size

    def note(self, key: Key, size: int) -> None:
        """The directions of seed `key` are carried as they are. Raises `LeftPlan` when the plan did not meet it."""
        self.meet(key, size)
        if self.sizes is not None:
            self.sizes[key] = size

    def prefers_site(self, features: int, variables: list[Variable]) -> bool:
        """Whether `features` directions on a result are to replace those of the variables that it is linear in."""
        if self.mode == "parameters":
            return False
        if self.own is not None:
            return not any(variable.key in self.own for variable in variables)
        if self.mode == "activations":
            return True
        if features > sum([variable.elements for variable in variables]):
            return False
        if self._planted is not None:
            for variable in variables:
                planted = self._planted.get(variable.key, 0)
                if planted and planted + features > variable.elements:  # at many sites it would have more directions than elements
                    return False
            for variable in variables:
                self._planted[variable.key] = self._planted.get(variable.key, 0) + features
        return True

    def next_site(self) -> Key:
        """The key of the next site, in program order."""
        self._sites += 1
        return ("site", self._sites - 1)


IMPERATIVE = Seeding("auto", once=False)
"""Seeding of the imperative level: per site by the number of directions, all at once."""
