"""What Python keeps beside the arrays: tensors, records of operations, headers of arrays, lists and tuples.

The ledger books buffers, which for small arrays are not all there is: a step through many layers keeps some objects for each of them.
None of that is written down as a number here. The step runs on abstract arrays once more, with nothing watched, so that the engines make
the objects that they make of real ones; at its peak those that it has made are counted, each with the size that Python tells of it, and
numpy's header in the place of an abstract array. What Python keeps of freed objects for the next ones is not counted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from compare.measure import example
from compare.settings import Settings
from compare.strategies import Strategy
from compare.training import Trainer
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger, Storage, state

_HEADERS = [array.__sizeof__() - array.nbytes for array in (np.empty((1,) * ndim, np.int8) for ndim in range(33))]
"""Bytes of numpy's array beside its buffer, by the number of axes."""


def objects_of(settings: Settings, strategy: Strategy, dtype: str, memory: int | None = None) -> int:
    """Bytes by which Python's objects raise the peak of a training step above that of its arrays.

    Tangents go in chunks of `memory` bytes, or a checkpointed step keeps to it, as in `compare.measure.counted`. No ledger may be open.
    """
    tensor = strategy.engine().tensor
    trainer = Trainer(settings, strategy, device="meta", dtype=dtype, compiled=False, memory=memory)
    inputs, targets = (tensor(part, device="meta") for part in example(settings, dtype))
    return beside(lambda: trainer.step(inputs, targets))


def beside(work: Callable[[], object]) -> int:
    """Bytes by which Python's objects raise the peak of `work`, which runs on abstract arrays, above that of its arrays.

    It runs four times at most, and must do the same from the second time on: first to set up what is there before it, then to follow
    arrays and the number of objects, then to take the census where the arrays take most, and where arrays and objects of that size
    together do.
    """
    with _Census() as census:
        work()
        moments = census.follow(work)
        arrays = max(total for total, _ in moments)
        at = max(range(len(moments)), key=lambda i: moments[i][0])
        found = census.take(work, at)
        mean = found / max(moments[at][1], 1)
        other = max(range(len(moments)), key=lambda i: moments[i][0] + mean * moments[i][1])
        peak = max(arrays + found, moments[other][0] + (found if other == at else census.take(work, other)))
    return peak - arrays


class _Census(Ledger):
    """A ledger that books no operations and no roles, only what all arrays take together, and counts objects at one of the moments.

    Nothing is watched, so that the engines do what they do on arrays; chains of layers are taken in one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bytes = self._start = 0
        self._totals: list[int] = []
        self._counts: list[int] = []
        self._at = -1
        self._found = 0

    def __enter__(self) -> Self:
        self._before, state.ledger = state.ledger, self
        return self

    def __exit__(self, *_: object) -> None:
        state.ledger = self._before

    def follow(self, work: Callable[[], object]) -> list[tuple[int, int]]:
        """At every allocation of `work`: bytes of arrays above those before it, and the number of objects that the collector knows."""
        self._run(work, -1)
        return list(zip(self._totals, self._counts, strict=True)) or [(0, 0)]

    def take(self, work: Callable[[], object], moment: int) -> int:
        """Bytes of the objects that there are at a moment of `work`."""
        self._run(work, moment)
        return self._found

    def _run(self, work: Callable[[], object], at: int) -> None:
        """Run `work` while no collection takes place: whatever it has made is then in the youngest generation."""
        enabled = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            self._start, self._at, self._found = self._bytes, at, 0
            self._totals.clear()
            self._counts.clear()
            work()
        finally:
            self._at = -1
            if enabled:
                gc.enable()

    def _made(self, role: str, nbytes: int) -> int:
        self._change(role, nbytes)
        return 0

    def _change(self, role: str, nbytes: int) -> None:
        self._bytes += nbytes
        if nbytes > 0:
            self._totals.append(self._bytes - self._start)
            self._counts.append(gc.get_count()[0])
            if len(self._totals) == self._at + 1:
                self._found = size_of(gc.get_objects(generation=0))

    def _move(self, old: str, new: str, nbytes: int) -> None:
        pass

    def book(self, flops: int, transcendentals: int) -> None:
        pass

    def book_product(self, flops: int) -> None:
        pass


def size_of(objects: Iterable[Any]) -> int:
    """Bytes of objects and of the numbers, tuples and dictionaries in them that the collector does not know, each counted once.

    Abstract arrays count as the headers of numpy's, which hold shape and strides themselves. They hand out the one tuple of their shape;
    numpy makes it anew for every record, which lists those of its operands, so that in lists each counts by itself.
    """
    known = {id(each): each for each in objects}
    arrays = [each for each in known.values() if type(each) is AbstractArray]
    total = sum(_HEADERS[len(each.shape)] for each in arrays)
    for each in arrays:
        known.pop(id(each.shape), None)
        known.pop(id(each.strides), None)
    waiting = [each for each in known.values() if type(each) not in (AbstractArray, Storage)]
    seen = {id(each) for each in known.values()}
    while waiting:
        each = waiting.pop()
        total += sys.getsizeof(each)
        for part in gc.get_referents(each):
            if type(each) is list and type(part) is tuple and id(part) in seen:
                total += sys.getsizeof(part)
            if id(part) not in seen and type(part) in _PARTS and not (type(part) is int and -5 <= part <= 256):
                seen.add(id(part))
                waiting.append(part)
    return total


_PARTS = (int, float, tuple, dict, slice)
"""What the collector does not know, or no longer."""
