"""Real numpy arrays whose buffers and operations an open `Ledger` books as they happen: what a plan is held against.

An `Observed` array is numpy's own array: kernels, rules and engines do with it what they do with numpy's, and what shares memory is
what numpy says shares memory. A buffer is booked from the moment numpy has made it until Python frees it, under its own number of bytes;
a result that numpy hands out as a scalar counts as the array of no axes that holds it. Operations are counted by the rules for abstract
arrays (`diffcore.arrays.abstract`), so that no cost is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from diffcore.arrays.abstract import FUNCTIONS, AbstractArray
from diffcore.errors import UnknownCostError
from diffcore.ledger import Storage, state


class Observed(np.ndarray[Any, Any]):
    """A numpy array that owns a booked buffer, or is a view of one that does."""

    _booked: Storage

    def __array_finalize__(self, source: Any) -> None:
        if self.base is None:
            self._booked = Storage(self.nbytes)

    @property
    def storage(self) -> Storage | None:
        """The booked buffer; `None` for a view of memory that was made outside."""
        owner = _owner(self)
        return owner._booked if type(owner) is Observed else None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if options.get("where", True) is True:
            options.pop("where", None)
        _count(AbstractArray.__array_ufunc__, _ANY, ufunc, method, *inputs, out=out, **options)
        if out is not None:
            options["out"] = _plain(out)
        found = getattr(ufunc, method)(*_plain(inputs), **options)
        if out is not None:
            return out if len(out) > 1 else out[0]
        return _observed(found)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        rule = FUNCTIONS.get(function.__name__)
        if rule is None:
            raise UnknownCostError(f"numpy.{function.__name__} has no shape and cost rule for abstract arrays")
        _count(rule, *args, **kwargs)
        return _observed(function(*_plain(args), **_plain(kwargs)))

    def __getitem__(self, index: Any) -> Any:
        return _observed(self.view(np.ndarray)[_plain(index)])

    def argmax(self, *args: Any, **options: Any) -> Any:
        return np.argmax(self, *args, **options)

    def argmin(self, *args: Any, **options: Any) -> Any:
        return np.argmin(self, *args, **options)


def observe(array: Any) -> Observed:
    """A copy of a numpy array, laid out alike, in memory of its own that is booked."""
    made = np.ndarray.__new__(Observed, array.shape, array.dtype) if array.flags.c_contiguous else array.view(Observed).copy("K")
    np.copyto(made.view(np.ndarray), array)
    return made


def observe_tensors(tensors: Iterable[Any]) -> None:
    """Put observed copies in the places of the arrays that tensors hold: the parameters and buffers of a network, or its inputs."""
    for tensor in tensors:
        tensor.primal = observe(tensor.primal)


def observed_beside(x: Any, array: Any) -> Any:
    """The `array`, which was just made for work on `x`: as an observed one where `x` is."""
    return observe(array) if isinstance(x, Observed) and type(array) is np.ndarray else array


def alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Both arrays as one kind, abstract or observed where one of them is; the other one's memory, which was there before, is not booked."""
    if type(a) is type(b):
        return a, b
    if isinstance(a, AbstractArray) or isinstance(b, AbstractArray):
        return _shadow(a), _shadow(b)
    if isinstance(a, Observed) or isinstance(b, Observed):
        return a.view(Observed), b.view(Observed)
    return a, b


class _Counts:
    """The open ledger, for operations alone."""

    located = works = False
    passed = 0

    def __init__(self, ledger: Any) -> None:
        self.book, self.book_product = ledger.book, ledger.book_product

    def _made(self, role: str, nbytes: int) -> int:
        return 0

    def _change(self, role: str, nbytes: int) -> None:
        pass


_NOWHERE = Storage(0)
"""Of what is not booked."""
_ANY = AbstractArray((), bool, _NOWHERE)


def _count(rule: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Book the operations that the abstract `rule` counts for these arguments."""
    outer: Any = state.ledger
    if outer is None:
        return
    state.ledger = _Counts(outer)  # type: ignore[assignment]
    try:
        rule(*_each(_shadow, args), **_each(_shadow, options))
    finally:
        state.ledger = outer


def _each(change: Callable[[Observed], Any], value: Any) -> Any:
    """A structure with what `change` makes of the observed arrays in it."""
    if isinstance(value, Observed):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_each(change, part) for part in value)
    return {key: _each(change, part) for key, part in value.items()} if type(value) is dict else value


def _shadow(array: Any) -> AbstractArray:
    return array if isinstance(array, AbstractArray) else AbstractArray(array.shape, array.dtype, _NOWHERE, array.strides)


def _plain(value: Any) -> Any:
    """The same memory as plain arrays of numpy's."""
    return _each(lambda array: array.view(np.ndarray), value)


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _observed(found: Any) -> Any:
    """What numpy has made of plain arrays: a view of booked memory as that, new memory as booked memory."""
    if isinstance(found, tuple):
        return type(found)(*map(_observed, found)) if hasattr(found, "_fields") else tuple(map(_observed, found))
    if isinstance(found, np.generic):
        return observe(np.asarray(found))
    if type(found) is not np.ndarray:
        return found
    owner = _owner(found)
    if type(owner) is Observed:
        return found.view(Observed)
    return observe(found) if owner is found else _kept(observe(found), owner.nbytes)


def _kept(array: Observed, nbytes: int) -> Any:
    """A view of `array`, which stands for a buffer of `nbytes` that numpy has made and hands out a view of."""
    if nbytes != array.nbytes:
        array._booked = Storage(nbytes)
    return array.view()
