"""The op surface that the Tensor classes of both engines inherit: operators, methods and attributes, written once."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Self

import numpy as np

from diffcore import aliasing, ops, printing
from diffcore.arrays import devices, is_contiguous, is_float, is_mutable
from diffcore.creation import Creation
from diffcore.dispatch import Boxed, mixed_engines, unboxed
from diffcore.dtypes import TYPE_NAMES
from diffcore.errors import AbstractValueError, DiffError, DTypeError, GradientError
from diffcore.hooks import RemovableHandle
from diffcore.methods import Methods
from diffcore.mutation import Mutation
from diffcore.operators import Operators, is_tensor
from diffcore.size import Size
from diffcore.watch import watch


class TensorSurface(Operators, Methods, Mutation):
    """Operators, methods and attributes of a tensor; an engine adds how derivatives are carried or recorded.

    `primal` is the value below this tensor's level: an array, or a tensor of an outer transform.
    """

    __slots__ = ()
    __hash__ = object.__hash__

    # what an engine provides
    def _leaf(self) -> Any:
        """What makes this tensor a variable: an object whose `gradient` backward passes add to. `None` for all other tensors."""
        raise NotImplementedError

    def _become(self, variable: bool) -> None:
        """Turn this leaf into a variable, or into a constant."""
        raise NotImplementedError

    def _like(self, primal: Any) -> Self:
        """A constant tensor of this engine and level around `primal`."""
        raise NotImplementedError

    # attributes
    @property
    def shape(self) -> Size:
        return Size(self.primal.shape)

    # Getters in C, since every layer asks for these.
    dtype: Any = property(attrgetter("primal.dtype"))
    ndim: Any = property(attrgetter("primal.ndim"))

    @property
    def device(self) -> devices.device:
        return devices.device_of(self.array)

    @property
    def array(self) -> Any:
        """The array under all levels, sharing memory. Unrecorded."""
        x = self.primal
        while isinstance(x, Boxed):
            x = x.primal
        return x

    @property
    def T(self) -> Any:
        return ops.permute(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Any:
        return ops.transpose(self, -1, -2)

    def dim(self) -> int:
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    # derivatives
    @property
    def requires_grad(self) -> bool:
        """Whether this tensor is a variable or depends on one."""
        if watch.count:
            aliasing.refresh(self)
        return self.carried is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not self.is_leaf:
            raise GradientError("you can only change requires_grad flags of leaf variables; detach() gives a new leaf")
        if wanted and not is_float(self.dtype):
            raise GradientError(f"only Tensors of floating point dtype can require gradients, got {self.dtype}")
        if wanted != self.requires_grad:
            self._become(wanted)

    def requires_grad_(self, wanted: bool = True) -> Self:
        """Make this leaf a variable (or a constant) and return it."""
        self.requires_grad = wanted
        return self

    @property
    def is_leaf(self) -> bool:
        """Made by the user rather than by an operation on variables."""
        return not self.requires_grad or self._leaf() is not None

    @property
    def retains_grad(self) -> builtins.bool:
        """Whether this tensor, which is no leaf, was told to `retain_grad`."""
        return False

    @property
    def _version(self) -> int:
        """How often the memory of this tensor has been changed in place, through whichever tensor."""
        change = aliasing.changes.of(self.array)
        return 0 if change is None else change.version

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` whenever the gradient of this tensor has been computed; what it returns, if anything, takes its place.

        Returns a handle whose `remove()` takes the hook away. Raises `GradientError` for a tensor that does not require grad, and in
        forward mode for one that is not a leaf.
        """
        if not self.requires_grad:
            raise GradientError("cannot register a hook on a tensor that doesn't require gradient")
        return RemovableHandle(self._hooks(), hook)

    def _hooks(self) -> dict[int, Callable[[Any], Any]]:
        """Where the engine keeps the hooks of this tensor."""
        raise NotImplementedError

    @property
    def grad(self) -> Any:
        """The derivative that backward passes have added up on this variable; `None` before the first and on other tensors."""
        leaf = self._leaf()
        return None if leaf is None else leaf.gradient

    @grad.setter
    def grad(self, value: Any) -> None:
        leaf = self._leaf()
        if leaf is None:
            raise GradientError("cannot assign a gradient to a tensor that is not a leaf requiring grad")
        if value is not None:
            value = self._like(unboxed(value.detach() if isinstance(value, TensorSurface) else value))
            if value.shape != self.shape:
                raise GradientError(f"assigned grad has shape {tuple(value.shape)}, the tensor {tuple(self.shape)}: they must be the same")
            if value.dtype != self.dtype:
                raise GradientError(f"assigned grad has data of dtype {value.dtype}, the tensor {self.dtype}: they must be the same")
        leaf.gradient = value

    @property
    def data(self) -> Self:
        """The values as a constant that shares memory. Assigning changes the values unrecorded."""
        return self._like(self.primal)

    @data.setter
    def data(self, value: Any) -> None:
        before = self.shape, self.dtype
        self.primal = unboxed(value.detach() if isinstance(value, TensorSurface) else value)
        if (self.shape, self.dtype) != before and self.requires_grad:
            self._become(True)  # a variable of the new shape and dtype, whose gradient is to come

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf or self.level:
            raise GradientError("only leaf tensors can be copied deeply or pickled: `x.detach()` gives one")
        return _rebuilt, (type(self), self.array, self.requires_grad, None if self.grad is None else self.grad.array)

    def _repr_suffix(self) -> str:
        """What a printed tensor says about its derivative, in a word; empty for a constant."""
        return "requires_grad=True" if self.requires_grad else ""

    # values
    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a numpy array, sharing memory on the numpy backend. Raises `GradientError` where a derivative would be lost."""
        if not self.is_constant:
            raise GradientError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return np.asarray(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        if self.numel() != 1:
            raise DiffError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self.array.reshape(()).item()

    def tolist(self) -> Any:
        return self.array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise DiffError(f"Boolean value of Tensor with {self.numel()} values is ambiguous")
        return bool(self.array.reshape(()))

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __repr__(self) -> str:
        suffix = self._repr_suffix()
        where = None if self.device.startswith(("cpu", "jax")) else self.device
        try:
            values = np.asarray(self.array)
        except (AbstractValueError, TypeError, RuntimeError):
            pass  # abstract or traced: there is no value to show
        except Exception as error:  # jax has its own error for reading a traced value
            if "Tracer" not in type(error).__name__:
                raise
        else:
            return printing.text_of(values, [suffix] if suffix else [], where)
        default = self.dtype in (np.float32, np.int64, np.bool_)
        after = [f"shape={tuple(self.shape)}", "" if default else f"dtype={self.dtype}", where and f"device='{where}'", suffix]
        return f"tensor(..., {', '.join(filter(None, after))})"

    def __format__(self, spec: str) -> str:
        """A tensor without axes is formatted as its number, as in PyTorch; others take no `spec` but that of text."""
        if self.ndim or self.device == "jax":
            return format(str(self), spec)
        return format(self.item() if self.device != "meta" or spec[-1:].isalpha() and spec[-1:] != "s" else str(self), spec)

    def detach(self) -> Self:
        """A constant with the same values, sharing memory."""
        primal = self.primal
        while isinstance(primal, Boxed) and primal.level >= self.level:  # put under a constant by a change in place
            primal = primal.primal
        return self._like(primal)

    def to(self, *targets: Any, dtype: Any = None, device: str | None = None, copy: bool = False, non_blocking: bool = False) -> Any:
        """A cast (`dtype`), a move (`device`) or both, also to what another tensor has; where nothing changes, the tensor itself.

        A cast is recorded. A move is not: raises `GradientError` for a tensor that carries a derivative. `copy` makes a new tensor in
        any case; `non_blocking` is accepted and changes nothing.
        """
        for target in targets:
            if isinstance(target, TensorSurface):
                dtype, device = target.dtype, target.device
            elif devices.is_device(target):
                device = target
            elif not isinstance(target, bool):
                dtype = devices.as_dtype(target)
        out = self if device is None or device == self.device else self._moved(device)
        out = out if dtype is None else ops.astype(out, devices.as_dtype(dtype))
        return ops.clone(out) if copy and out is self else out

    def _moved(self, device: str) -> Any:
        if not self.is_constant:
            raise GradientError(f"cannot move a tensor that carries a derivative to {device!r}: move the leaf before using it")
        return self._like(devices.place(self.array, device))

    def cpu(self) -> Any:
        return self.to("cpu")

    def cuda(self, index: int = 0) -> Any:
        return self.to(f"cuda:{index}")

    def float(self) -> Any:
        return ops.astype(self, np.float32)

    def double(self) -> Any:
        return ops.astype(self, np.float64)

    def half(self) -> Any:
        return ops.astype(self, np.float16)

    def long(self) -> Any:
        return ops.astype(self, np.int64)

    def int(self) -> Any:
        return ops.astype(self, np.int32)

    def short(self) -> Any:
        return ops.astype(self, np.int16)

    def bool(self) -> Any:
        return ops.astype(self, np.bool_)

    def astype(self, dtype: Any) -> Any:
        return ops.astype(self, dtype)

    def is_floating_point(self) -> builtins.bool:
        return is_float(self.dtype)

    def is_contiguous(self) -> builtins.bool:
        """Whether the elements lie in row-major order without gaps; always so where nothing shares memory."""
        return is_contiguous(self.array)

    def element_size(self) -> builtins.int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def type(self, dtype: Any = None) -> Any:
        """A cast to `dtype`, or to a type named as in `"torch.FloatTensor"`; without one, the name of this tensor's type."""
        prefix = "torch.cuda." if self.device.startswith("cuda") else "torch."
        if dtype is None:
            return next((prefix + name for name, own in TYPE_NAMES.items() if own == self.dtype), f"{prefix}{self.dtype}")
        if isinstance(dtype, str):
            known = {f"{place}{name}": own for name, own in TYPE_NAMES.items() for place in ("torch.", "torch.cuda.")}
            if dtype not in known:
                raise DTypeError(f"type: {dtype!r} is no type of tensors; expected a dtype or a name such as 'torch.FloatTensor'")
            dtype = known[dtype]
        return ops.astype(self, dtype)

    # new tensors in the dtype and on the device of this one
    def new_tensor(self, data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: builtins.bool = False) -> Any:
        """A tensor holding a copy of `data`, in this tensor's dtype and on its device unless told otherwise."""
        return tensor_of(self.box, data, **self._defaults(dtype, device), requires_grad=requires_grad)

    def new_zeros(self, *size: Any, dtype: Any = None, device: str | None = None, requires_grad: builtins.bool = False) -> Any:
        """Zeros of a size, in this tensor's dtype and on its device unless told otherwise."""
        return Creation(self.box).zeros(*size, **self._defaults(dtype, device), requires_grad=requires_grad)

    def new_ones(self, *size: Any, dtype: Any = None, device: str | None = None, requires_grad: builtins.bool = False) -> Any:
        """Ones of a size, in this tensor's dtype and on its device unless told otherwise."""
        return Creation(self.box).ones(*size, **self._defaults(dtype, device), requires_grad=requires_grad)

    def new_empty(self, *size: Any, dtype: Any = None, device: str | None = None, requires_grad: builtins.bool = False) -> Any:
        """Unset values of a size, in this tensor's dtype and on its device unless told otherwise."""
        return Creation(self.box).empty(*size, **self._defaults(dtype, device), requires_grad=requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: builtins.bool = False
    ) -> Any:
        """`fill_value` in a size, in this tensor's dtype and on its device unless told otherwise."""
        return Creation(self.box).full(size, fill_value, **self._defaults(dtype, device), requires_grad=requires_grad)

    def _defaults(self, dtype: Any, device: str | None) -> dict[str, Any]:
        return {"dtype": self.dtype if dtype is None else dtype, "device": self.device if device is None else device}


def _rebuilt(kind: type[Any], array: Any, variable: bool, gradient: Any) -> Any:
    """A leaf of class `kind`, as `__reduce__` takes it apart."""
    made = kind(array)
    made.requires_grad = variable
    if gradient is not None:
        made.grad = gradient
    return made


def tensor_of(kind: type[Any], data: Any, dtype: Any, device: str | None, requires_grad: bool) -> Any:
    """A new tensor of class `kind` holding a copy of `data`: what `tensor` of each engine does."""
    if isinstance(data, TensorSurface):
        if data.engine != kind.engine and not data.is_constant:
            raise mixed_engines(kind.engine, data.engine)
        data = data.array
    made = kind(devices.new_array(data, dtype, device))
    return made.requires_grad_() if requires_grad else made


def check_cotangent(out: Any, gradient: Any) -> None:
    """The cotangent of `out` must be an array of its shape. Raises `GradientError` worded like PyTorch's, `TypeError` for no array."""
    shape = tuple(out.shape)
    if gradient is not None and not is_tensor(gradient):
        raise TypeError(f"the cotangent must be a tensor or an array of shape {shape}, got {type(gradient).__name__}")
    if gradient is None and out.size != 1:
        raise GradientError(
            f"grad can be implicitly created only for scalar outputs, but the output has shape {shape}: pass a cotangent of that "
            f"shape, e.g. `y.backward(gradient)`"
        )
    if gradient is not None and tuple(gradient.shape) != shape:
        raise GradientError(
            f"Mismatch in shape: the cotangent has a shape of {tuple(gradient.shape)} and the output has a shape of {shape}."
        )
    if gradient is not None and gradient.dtype.kind not in "biuf" and not is_float(gradient.dtype):
        raise GradientError(f"the cotangent must hold real numbers, got {gradient.dtype}")


def accumulated(before: Any, new: Any) -> Any:
    """The gradient `before` with `new` added to it: the same tensor, as in PyTorch, unless the sum has a derivative of its own."""
    if before is None:
        return new
    if before.carried is not None or new.carried is not None or before.level != new.level:
        return before + new
    if isinstance(before.primal, np.ndarray) and before.primal.flags.writeable:
        before.primal += new.primal
    else:
        before.primal = before.primal + new.primal
    return before


def own_memory(array: Any, others: set[int]) -> Any:
    """`array`, copied where it is a view, or one of the `others` (by `id`): a delivered gradient belongs to its variable alone."""
    if is_mutable(array) and (array.base is not None or id(array) in others):
        array = array.copy()
    others.add(id(array))
    return array
