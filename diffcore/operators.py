"""The operators of tensors, written once for both engines."""

from __future__ import annotations

from typing import Any

from diffcore import ops
from diffcore.arrays import is_array
from diffcore.dispatch import Boxed
from diffcore.kernels import elementwise as _e
from diffcore.kernels.comparison import equal, greater, greater_equal, less, less_equal, not_equal


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of either engine or an array."""
    return isinstance(value, Boxed) or is_array(value)


_OPERAND = (Boxed, int, float)


def is_operand(value: Any) -> bool:
    """Whether `value` can stand beside a tensor in arithmetic: a tensor, an array or a number."""
    return isinstance(value, _OPERAND) or is_array(value)


class Operators(Boxed):
    """Arithmetic, comparison, indexing. What is no operand is left to the other side (`NotImplemented`)."""

    __slots__ = ()
    __array_ufunc__ = None  # numpy arrays and scalars leave mixed operators to the tensor
    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return _e.add(self, other) if is_operand(other) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return _e.add(other, self) if is_operand(other) else NotImplemented

    def __sub__(self, other: Any) -> Any:
        return _e.sub(self, other) if is_operand(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return _e.sub(other, self) if is_operand(other) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        return _e.mul(self, other) if is_operand(other) else NotImplemented

    def __rmul__(self, other: Any) -> Any:
        return _e.mul(other, self) if is_operand(other) else NotImplemented

    def __truediv__(self, other: Any) -> Any:
        return _e.div(self, other) if is_operand(other) else NotImplemented

    def __rtruediv__(self, other: Any) -> Any:
        return _e.div(other, self) if is_operand(other) else NotImplemented

    def __pow__(self, other: Any) -> Any:
        return _e.pow(self, other) if is_operand(other) else NotImplemented

    def __rpow__(self, other: Any) -> Any:
        return _e.pow(other, self) if is_operand(other) else NotImplemented

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other) if is_tensor(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self) if is_tensor(other) else NotImplemented

    def __floordiv__(self, other: Any) -> Any:
        return ops.floor_divide(self, other) if is_operand(other) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return ops.floor_divide(other, self) if is_operand(other) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return ops.remainder(self, other) if is_operand(other) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return ops.remainder(other, self) if is_operand(other) else NotImplemented

    def __and__(self, other: Any) -> Any:
        return ops.bitwise_and(self, other) if is_operand(other) else NotImplemented

    def __rand__(self, other: Any) -> Any:
        return ops.bitwise_and(other, self) if is_operand(other) else NotImplemented

    def __or__(self, other: Any) -> Any:
        return ops.bitwise_or(self, other) if is_operand(other) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return ops.bitwise_or(other, self) if is_operand(other) else NotImplemented

    def __xor__(self, other: Any) -> Any:
        return ops.bitwise_xor(self, other) if is_operand(other) else NotImplemented

    def __rxor__(self, other: Any) -> Any:
        return ops.bitwise_xor(other, self) if is_operand(other) else NotImplemented

    def __invert__(self) -> Any:
        return ops.bitwise_not(self)

    def __neg__(self) -> Any:
        return _e.neg(self)

    def __abs__(self) -> Any:
        return _e.abs(self)

    def __eq__(self, other: object) -> Any:
        return equal(self, other) if is_operand(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return not_equal(self, other) if is_operand(other) else NotImplemented

    def __lt__(self, other: Any) -> Any:
        return less(self, other) if is_operand(other) else NotImplemented

    def __le__(self, other: Any) -> Any:
        return less_equal(self, other) if is_operand(other) else NotImplemented

    def __gt__(self, other: Any) -> Any:
        return greater(self, other) if is_operand(other) else NotImplemented

    def __ge__(self, other: Any) -> Any:
        return greater_equal(self, other) if is_operand(other) else NotImplemented

    def __getitem__(self, index: Any) -> Any:
        return ops.getitem(self, index)
