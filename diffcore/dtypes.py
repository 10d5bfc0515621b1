"""PyTorch's names of element types. They are numpy's dtypes, so that `x.dtype == float32` and numpy's functions understand them.

`float` is `float32`, `double` `float64`, `half` `float16`, `long` `int64`, `int` `int32`, `short` `int16`, as in PyTorch; the names `bool`,
`int` and `float` hide the builtins in this module alone, and in the engines' namespaces.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
from numpy import finfo, iinfo

from diffcore.arrays import is_float
from diffcore.kernels.promotion import of_one_type
from diffcore.seeds import array_under

__all__ = [
    "bool",
    "can_cast",
    "double",
    "dtype",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "half",
    "iinfo",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "result_type",
    "short",
    "uint8",
]

dtype = np.dtype
float64 = double = np.dtype(np.float64)
float32 = float = np.dtype(np.float32)
float16 = half = np.dtype(np.float16)
int64 = long = np.dtype(np.int64)
int32 = int = np.dtype(np.int32)
int16 = short = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)

TYPE_NAMES: dict[str, np.dtype[Any]] = {
    "HalfTensor": float16,
    "FloatTensor": float32,
    "DoubleTensor": float64,
    "CharTensor": int8,
    "ShortTensor": int16,
    "IntTensor": int32,
    "LongTensor": int64,
    "ByteTensor": uint8,
    "BoolTensor": bool,
}
"""The names of PyTorch's typed tensors, which `Tensor.type` still speaks."""


def result_type(first: Any, second: Any) -> np.dtype[Any]:
    """The dtype of arithmetic between two tensors, arrays or Python numbers; numbers adapt to tensors, and scalars to those with axes."""
    return np.result_type(*of_one_type(array_under(first), array_under(second)))


def can_cast(from_: Any, to: Any) -> builtins.bool:
    """Whether results of dtype `from_` may be stored as `to`: floats not in integers, integers and floats not in bools."""
    return _category(from_) <= _category(to)


def _category(dtype: Any) -> builtins.int:
    return 2 if is_float(dtype) else 0 if np.dtype(dtype) == np.bool_ else 1
