"""Functions that run more than once for one evaluation: for chunks of directions, for a plan on abstract arrays, for a checkpoint.

Each run draws the same random numbers, and state moves once: layers that keep statistics leave them alone in all runs but one. (In training
their output does not depend on the statistics kept, so that is exact.)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from diffcore.arrays import random


class _Runs(threading.local):
    again = False


_runs = _Runs()


def is_again() -> bool:
    """Whether this is a further run of an evaluation, which must leave the state of layers alone."""
    return _runs.again


class Moment:
    """The moment at which an evaluation starts; `with moment.again():` runs it once more, from the random numbers of that moment.

    Afterwards the random numbers go on from where they were before the further run.
    """

    __slots__ = ("_start",)

    def __init__(self) -> None:
        self._start = random.position()

    @contextmanager
    def again(self) -> Iterator[None]:
        """For a further run."""
        outer, _runs.again = _runs.again, True
        now = random.position()
        random.go_to(self._start)
        try:
            yield
        finally:
            random.go_to(now)
            _runs.again = outer
