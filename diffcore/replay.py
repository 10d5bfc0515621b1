"""Functions that run more than once for one evaluation: for chunks of directions, for a plan on abstract arrays, for a checkpoint.

Each run draws the same random numbers, and state moves once: layers that keep statistics leave them alone in all runs but one. (In training
their output does not depend on the statistics kept, so that is exact.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from diffcore.arrays import random

Surroundings = Callable[[], AbstractContextManager[None]]
"""Makes something stand as it does in a certain call, where that differs from what it is outside: parameters of a module, mostly."""


class _Runs(threading.local):
    again = False
    around: tuple[Surroundings, ...] = ()


_runs = _Runs()


class within:
    """For a call in which things stand as `surroundings` make them, which its caller has seen to. Moments of the call remember that."""

    __slots__ = ("_outer", "_surroundings")

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def __enter__(self) -> None:
        self._outer = _runs.around
        _runs.around = (*self._outer, self._surroundings)

    def __exit__(self, *_: object) -> None:
        _runs.around = self._outer


def is_again() -> bool:
    """Whether this is a further run of an evaluation, which must leave the state of layers alone."""
    return _runs.again


class Moment:
    """The moment at which an evaluation starts; `with moment.again():` runs it once more, from the random numbers of that moment.

    What other values a transform had put in the places of parameters then, stand there again. Afterwards the random numbers go on from
    where they were before the further run. Without `draws`, further runs draw new numbers.
    """

    __slots__ = ("around", "start")

    def __init__(self, draws: bool = True) -> None:
        self.start = random.position() if draws else None
        self.around = _runs.around

    def started(self, start: random.Position) -> Moment:
        """This moment with the random numbers standing elsewhere."""
        moment = Moment(draws=False)
        moment.start, moment.around = start, self.around
        return moment

    def draw(self) -> None:
        """Go to the random numbers of this moment, within a further run from another one."""
        if self.start is not None:
            random.go_to(self.start)

    @contextmanager
    def again(self) -> Iterator[None]:
        """For a further run."""
        outer, _runs.again = _runs.again, True
        now = random.position()
        before, _runs.around = _runs.around, self.around
        self.draw()
        try:
            if self.around == before:
                yield
            else:
                with ExitStack() as stack:
                    for surroundings in self.around:
                        stack.enter_context(surroundings())
                    yield
        finally:
            _runs.around = before
            if self.start is not None:
                random.go_to(now)
            _runs.again = outer
