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
from diffcore.modes import Mode
from diffcore.seeds import array_under


def in_place(op: Callable[..., Any], name: str) -> Any:
    """The method that does `op` on a tensor in place."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return aliasing.change(self, name, op(aliasing.snapshot(self, *args), *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of `{name[:-1]}`: changes this tensor and returns it."
    return method


class Mutation(Boxed):
    """Methods that change a tensor in place."""

    __slots__ = ()
    mode: Mode
    """The engine's switch: whether operations are followed."""

    # what a tensor class provides
    def _like(self, primal: Any) -> Any:
        raise NotImplementedError

    def _become(self, variable: bool) -> None:
        raise NotImplementedError

    add_, sub_, mul_, div_ = in_place(ops.add, "add_"), in_place(ops.sub, "sub_"), in_place(ops.mul, "mul_"), in_place(ops.div, "div_")
    pow_, neg_, abs_, sqrt_ = in_place(ops.pow, "pow_"), in_place(ops.neg, "neg_"), in_place(ops.abs, "abs_"), in_place(ops.sqrt, "sqrt_")
    exp_, log_, tanh_ = in_place(ops.exp, "exp_"), in_place(ops.log, "log_"), in_place(ops.tanh, "tanh_")
    sigmoid_, relu_ = in_place(ops.sigmoid, "sigmoid_"), in_place(ops.relu, "relu_")

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

    # assignment
    def __setitem__(self, index: Any, value: Any) -> None:
        """`self[index] = value`, broadcast to the part that `index` selects."""
        memory = self.primal
        if isinstance(memory, np.ndarray) and not aliasing.is_followed(self, value):
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
