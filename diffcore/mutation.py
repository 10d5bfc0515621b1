"""Changes in place: the methods that end in `_`, augmented assignment and assignment to an index, once for both engines.

The new value is computed by the ordinary op first, so shapes, dtypes, derivatives and errors are that op's; then `aliasing.change` puts it
into the memory of the tensor (on jax: gives the tensor a new array).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from diffcore import aliasing, ops
from diffcore.arrays import is_float, is_mutable, namespace, random
from diffcore.dispatch import Boxed
from diffcore.errors import GradientError
from diffcore.kernels import elementwise as _e
from diffcore.kernels.record import Kernel
from diffcore.seeds import array_under


def in_place(op: Callable[..., Any]) -> Any:
    """The method that does `op` on a tensor in place."""
    name = f"{op.name if isinstance(op, Kernel) else op.__name__}_"

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return aliasing.change(self, name, op(aliasing.snapshot(self, *args), *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of `{name[:-1]}`: changes this tensor and returns it."
    return method


class Mutation(Boxed):
    """Methods that change a tensor in place."""

    __slots__ = ()
    # what a tensor class provides
    def _like(self, primal: Any) -> Any:
        raise NotImplementedError

    def _become(self, variable: bool) -> None:
        raise NotImplementedError

    # the ops in place
    abs_, absolute_, acos_, acosh_ = in_place(ops.abs), in_place(ops.absolute), in_place(ops.acos), in_place(ops.acosh)
    add_, addbmm_, addmm_, addmv_ = in_place(ops.add), in_place(ops.addbmm), in_place(ops.addmm), in_place(ops.addmv)
    addr_, arccos_, arccosh_, arcsin_ = in_place(ops.addr), in_place(ops.arccos), in_place(ops.arccosh), in_place(ops.arcsin)
    arcsinh_, arctan_, arctan2_, arctanh_ = in_place(ops.arcsinh), in_place(ops.arctan), in_place(ops.arctan2), in_place(ops.arctanh)
    asin_, asinh_, atan_, atan2_ = in_place(ops.asin), in_place(ops.asinh), in_place(ops.atan), in_place(ops.atan2)
    atanh_, baddbmm_, bitwise_and_ = in_place(ops.atanh), in_place(ops.baddbmm), in_place(ops.bitwise_and)
    bitwise_not_, bitwise_or_, bitwise_xor_ = in_place(ops.bitwise_not), in_place(ops.bitwise_or), in_place(ops.bitwise_xor)
    ceil_, clamp_, clamp_max_, clamp_min_ = in_place(ops.ceil), in_place(ops.clamp), in_place(ops.clamp_max), in_place(ops.clamp_min)
    clip_, cos_, cosh_, cumprod_ = in_place(ops.clip), in_place(ops.cos), in_place(ops.cosh), in_place(ops.cumprod)
    cumsum_, div_, divide_, eq_ = in_place(ops.cumsum), in_place(ops.div), in_place(ops.divide), in_place(ops.eq)
    erf_, erfc_, exp_, exp2_, expm1_ = in_place(ops.erf), in_place(ops.erfc), in_place(ops.exp), in_place(ops.exp2), in_place(ops.expm1)
    floor_, floor_divide_, fmod_, frac_ = in_place(ops.floor), in_place(ops.floor_divide), in_place(ops.fmod), in_place(ops.frac)
    ge_, greater_, greater_equal_, gt_ = in_place(ops.ge), in_place(ops.greater), in_place(ops.greater_equal), in_place(ops.gt)
    hypot_, index_add_, index_copy_ = in_place(ops.hypot), in_place(ops.index_add), in_place(ops.index_copy)
    index_fill_, index_put_, le_, lerp_ = in_place(ops.index_fill), in_place(ops.index_put), in_place(ops.le), in_place(ops.lerp)
    less_, less_equal_, log_, log10_ = in_place(ops.less), in_place(ops.less_equal), in_place(ops.log), in_place(ops.log10)
    log1p_, log2_, logical_and_ = in_place(ops.log1p), in_place(ops.log2), in_place(ops.logical_and)
    logical_not_, logical_or_, logical_xor_ = in_place(ops.logical_not), in_place(ops.logical_or), in_place(ops.logical_xor)
    logit_, lt_, masked_fill_ = in_place(ops.logit), in_place(ops.lt), in_place(ops.masked_fill)
    masked_scatter_, mul_, multiply_ = in_place(ops.masked_scatter), in_place(ops.mul), in_place(ops.multiply)
    nan_to_num_, ne_, neg_, negative_ = in_place(ops.nan_to_num), in_place(ops.ne), in_place(ops.neg), in_place(ops.negative)
    not_equal_, pow_, reciprocal_, relu_ = in_place(ops.not_equal), in_place(ops.pow), in_place(ops.reciprocal), in_place(ops.relu)
    remainder_, round_, rsqrt_, scatter_ = in_place(ops.remainder), in_place(ops.round), in_place(ops.rsqrt), in_place(ops.scatter)
    scatter_add_, sigmoid_, sign_, sin_ = in_place(ops.scatter_add), in_place(ops.sigmoid), in_place(ops.sign), in_place(ops.sin)
    sinh_, sqrt_, square_, sub_ = in_place(ops.sinh), in_place(ops.sqrt), in_place(ops.square), in_place(ops.sub)
    subtract_, tan_, tanh_, tril_ = in_place(ops.subtract), in_place(ops.tan), in_place(ops.tanh), in_place(ops.tril)
    triu_, true_divide_, trunc_ = in_place(ops.triu), in_place(ops.true_divide), in_place(ops.trunc)

    # augmented assignment
    def __iadd__(self, other: Any) -> Any:
        return aliasing.change(self, "add_", _e.add(self, other))

    def __isub__(self, other: Any) -> Any:
        return aliasing.change(self, "sub_", _e.sub(self, other))

    def __imul__(self, other: Any) -> Any:
        return aliasing.change(self, "mul_", _e.mul(aliasing.snapshot(self, other), other))

    def __itruediv__(self, other: Any) -> Any:
        return aliasing.change(self, "div_", _e.div(aliasing.snapshot(self, other), other))

    def __ipow__(self, other: Any) -> Any:
        return aliasing.change(self, "pow_", _e.pow(aliasing.snapshot(self, other), other))

    def __ifloordiv__(self, other: Any) -> Any:
        return aliasing.change(self, "floor_divide_", ops.floor_divide(self, other))

    def __imod__(self, other: Any) -> Any:
        return aliasing.change(self, "remainder_", ops.remainder(aliasing.snapshot(self, other), other))

    def __iand__(self, other: Any) -> Any:
        return aliasing.change(self, "bitwise_and_", ops.bitwise_and(self, other))

    def __ior__(self, other: Any) -> Any:
        return aliasing.change(self, "bitwise_or_", ops.bitwise_or(self, other))

    def __ixor__(self, other: Any) -> Any:
        return aliasing.change(self, "bitwise_xor_", ops.bitwise_xor(self, other))

    # assignment
    def __setitem__(self, index: Any, value: Any) -> None:
        """`self[index] = value`, broadcast to the part that `index` selects."""
        memory = self.primal
        if isinstance(memory, np.ndarray) and not aliasing.is_followed(self, value):
            aliasing.check_writable(memory, "setitem")
            ops.assign(memory, index, array_under(value))  # without a copy of the whole
            aliasing.changes.note(memory, "setitem")
        else:
            aliasing.change(self, "setitem", ops.setitem(self, index, value))

    def copy_(self, source: Any) -> Any:
        """The values (and the derivative) of `source`, broadcast and cast."""
        if not isinstance(source, Boxed):
            source = self._like(np.asarray(source))
        source = ops.astype(source, self.primal.dtype)
        return aliasing.change(self, "copy_", ops.broadcast_to(source, tuple(self.primal.shape)))

    def fill_(self, value: Any) -> Any:
        """`value`, a number or a tensor with one element, everywhere."""
        if isinstance(value, Boxed) or np.ndim(value):
            if len(tuple(value.shape)):
                raise GradientError(f"fill_ only supports 0-dimension value tensor but got tensor with {len(value.shape)} dimensions.")
            return self.copy_(value)
        return aliasing.change(self, "fill_", self._like(_filled(self, value)))

    def zero_(self) -> Any:
        """Zeros everywhere."""
        return self.fill_(0)

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
        """Numbers drawn from N(`mean`, `std`**2)."""
        if not std >= 0:
            raise ValueError(f"normal_ expects std >= 0.0, but found std {std}")
        return self._drawn("normal_", mean + std * random.normal(tuple(self.primal.shape), np.float64, generator))

    def uniform_(self, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Any:
        """Numbers drawn uniformly from [`from_`, `to`)."""
        if not from_ <= to:
            raise ValueError(f"uniform_ expects to return a [from, to) range, but found from={from_} > to={to}")
        return self._drawn("uniform_", random.uniform(from_, to, tuple(self.primal.shape), np.float64, generator))

    def _drawn(self, name: str, values: Any) -> Any:
        if not is_float(self.primal.dtype):
            raise NotImplementedError(f"{name} is not implemented for {self.primal.dtype} tensors")
        filled = _filled(self, 0)
        drawn = values.astype(filled.dtype) if is_mutable(filled) else filled + values.astype(filled.dtype)
        return aliasing.change(self, name, self._like(drawn))

    def detach_(self) -> Self:
        """Forget how this tensor was made: a constant from now on, in the same memory."""
        if aliasing.origin_of(self) is not None and self.carried is not None:
            raise GradientError("Can't detach views in-place. Use detach() instead.")
        self._become(False)
        return self


def _filled(x: Any, value: Any) -> Any:
    """A new array like that of `x`, filled with `value`."""
    array = array_under(x)

    return namespace((array,)).full_like(array, value)
