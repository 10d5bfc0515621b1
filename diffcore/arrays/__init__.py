"""Array backends with one meaning: numpy (default), jax, and abstract (shape and dtype, no data).

The backend follows the operands. jax is looked up among the loaded modules and never imported for a numpy user: an array
of jax's can only exist when jax is loaded.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from diffcore.arrays import costs_linalg, functions
from diffcore.arrays.abstract import FUNCTIONS, AbstractArray

FUNCTIONS.update(functions.FUNCTIONS | costs_linalg.FUNCTIONS)

Array = Any
"""A numpy array or scalar, a jax array or tracer, or an `AbstractArray`."""


def _is_jax(kind: type) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and issubclass(kind, jax.Array) or _is_tracer(kind)


def _is_tracer(kind: type) -> bool:
    core = sys.modules.get("jax.core")
    return core is not None and issubclass(kind, core.Tracer)


class _Namespaces(dict[type, Any]):
    """Type of an operand -> the module whose functions work on it; `None` where it has no say (a Python number)."""

    def __missing__(self, kind: type) -> Any:
        if issubclass(kind, np.ndarray | np.generic | AbstractArray):
            found: Any = np
        elif _is_jax(kind):
            found = sys.modules["jax.numpy"]
        else:
            found = None
        self[kind] = found
        return found


_namespaces = _Namespaces({np.ndarray: np, AbstractArray: np, float: None, int: None, bool: None})


def namespace(arrays: Any) -> Any:
    """The module (`numpy` or `jax.numpy`) that works on `arrays`: jax wins over numpy, abstract over both. Numbers have no say."""
    for array in arrays:
        found = _namespaces[type(array)]
        if found is not np and found is not None:
            return np if any(isinstance(other, AbstractArray) for other in arrays) else found
    return np


def is_array(value: Any) -> bool:
    """Whether `value` is an array of one of the backends (Python numbers and lists are not)."""
    return _namespaces[type(value)] is not None


def is_traced(array: Array) -> bool:
    """Whether the array is a tracer of jax's, whose values are not known yet."""
    return _is_tracer(type(array))


def backend(array: Array) -> str:
    """`"numpy"`, `"jax"` or `"abstract"`."""
    if isinstance(array, AbstractArray):
        return "abstract"
    return "numpy" if namespace((array,)) is np else "jax"


def is_float(dtype: Any) -> bool:
    """Whether elements of `dtype` can be differentiated with respect to (real floating point, bfloat16 included)."""
    dtype = np.dtype(dtype)
    return dtype.kind == "f" or dtype.name == "bfloat16"


def values_of(array: Any) -> np.ndarray[Any, Any] | None:
    """The numpy array of `array`'s values, to be looked at; `None` where there are none to see (traced, abstract), or jax has them.

    No ledger books what is done with it: a look is no part of a program, and a plan has none.
    """
    if type(array) is np.ndarray:
        return array
    return array.view(np.ndarray) if isinstance(array, np.ndarray) else None


_MUTABLE = (np.ndarray, AbstractArray)


def is_mutable(array: Array) -> bool:
    """Whether the array can be changed in place: numpy's can, and abstract ones, which stand for them."""
    return isinstance(array, _MUTABLE)


def is_contiguous(array: Array) -> bool:
    """Whether the elements lie in memory in row-major order without gaps; jax's arrays, which have no layout to see, count as such."""
    if isinstance(array, AbstractArray):
        return array.is_contiguous()
    return not isinstance(array, np.ndarray) or array.flags.c_contiguous
