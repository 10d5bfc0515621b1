"""What training does to all gradients or weights at once: clipping, normalising, a bound on norms, parameters as one vector.

The functions that end in `_` change gradients or weights in place, unrecorded (on jax each tensor gets a new array), return as in PyTorch,
and work on abstract tensors, where there is nothing to change. `parameters` is one tensor or an iterable of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from diffcore import aliasing
from diffcore.arrays import Array, is_array, is_traced, namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import Boxed
from diffcore.errors import ArgumentError, DTypeError, GradientError, ShapeError
from diffcore.ops import cat, reshape
from diffcore.ops.reduction import vector_norm
from diffcore.seeds import array_under

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "max_norm_",
    "normalize_grad_",
    "parameters_to_vector",
    "vector_to_parameters",
]

_TINY = 1e-6
"""Added to a norm that is divided by, as in PyTorch."""


def _listed(op: str, tensors: Any) -> list[Any]:
    """One tensor or an iterable of them as a list. Raises `DTypeError` for what is no tensor."""
    given = [tensors] if isinstance(tensors, Boxed) or is_array(tensors) else list(tensors)
    for i, x in enumerate(given):
        if not isinstance(x, Boxed) and not is_array(x):
            raise DTypeError(f"{op}: expected tensors, got {type(x).__name__} at position {i}")
    return given


def _gradients(op: str, parameters: Any) -> list[Any]:
    return [p.grad for p in _listed(op, parameters) if p.grad is not None]


def _replace(op: str, tensor: Any, values: Array) -> None:
    """Give `tensor` new values of its own dtype, in its memory where that can be, unrecorded."""
    outer, tensor._mode.enabled = tensor._mode.enabled, False
    try:
        aliasing.change(tensor, op, tensor._like(values.astype(array_under(tensor).dtype)))
    finally:
        tensor._mode.enabled = outer


def _bound(op: str, name: str, value: Any) -> float:
    """`value` as a number that is not negative. Raises `ArgumentError`."""
    number = float(value)
    if not number >= 0:
        raise ArgumentError(f"{op}: `{name}` (={value!r}) must not be negative")
    return number


def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Any:
    """The `norm_type`-norm (`inf`: the largest magnitude) of all elements of `tensors` together; 0 for none.

    Raises `GradientError` with `error_if_nonfinite` for a norm that is infinite or NaN, and where it is traced by `jax.jit`, which does not
    know. `foreach` is accepted and changes nothing.
    """
    return _total_norm("get_total_norm", _listed("get_total_norm", tensors), norm_type, error_if_nonfinite)


def _total_norm(op: str, tensors: list[Any], norm_type: float, error_if_nonfinite: bool) -> Any:
    if not tensors:
        return np.zeros((), np.float32)
    order, arrays = float(norm_type), [array_under(x) for x in tensors]
    norms = [vector_norm(x, order).astype(arrays[0].dtype) for x in arrays]
    total = norms[0] if len(norms) == 1 else vector_norm(namespace(arrays).stack(norms), order)
    if error_if_nonfinite and not isinstance(total, AbstractArray):
        if is_traced(total):
            raise GradientError(f"{op}: `error_if_nonfinite` (=True) needs values, which `jax.jit` does not know yet: leave it out there")
        if not bool(namespace((total,)).isfinite(total)):
            raise GradientError(
                f"{op}: the total norm of order {order} for gradients is non-finite ({total}), so it cannot be clipped. To disable this "
                f"error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
            )
    like = next((x for x in tensors if isinstance(x, Boxed)), None)
    return total if like is None else like._like(total)  # type: ignore[attr-defined]


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """Scale the gradients of `parameters` by `min(1, max_norm / (|g| + 1e-6))`, `g` all of them together; returns the norm `|g|` before.

    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks". Parameters without a gradient are left
    alone. Raises as `get_total_norm`, and then nothing has changed; `ArgumentError` for a negative `max_norm`.
    """
    given, bound = _listed("clip_grad_norm_", parameters), _bound("clip_grad_norm_", "max_norm", max_norm)
    total = _total_norm("clip_grad_norm_", _gradients("clip_grad_norm_", given), norm_type, error_if_nonfinite)
    _clip("clip_grad_norm_", given, bound, total)
    return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """`clip_grad_norm_` by a norm that is known already."""
    given = _listed("clip_grads_with_norm_", parameters)
    _clip("clip_grads_with_norm_", given, _bound("clip_grads_with_norm_", "max_norm", max_norm), total_norm)


def _clip(op: str, parameters: list[Any], max_norm: float, total_norm: Any) -> None:
    total = array_under(total_norm)
    factor = namespace((total,)).minimum(max_norm / (total + _TINY), 1)
    for gradient in _gradients(op, parameters):
        _replace(op, gradient, array_under(gradient) * factor)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Keep every element of the gradients of `parameters` between `-clip_value` and `clip_value`."""
    bound = _bound("clip_grad_value_", "clip_value", clip_value)
    for gradient in _gradients("clip_grad_value_", parameters):
        array = array_under(gradient)
        _replace("clip_grad_value_", gradient, namespace((array,)).clip(array, -bound, bound))


def normalize_grad_(parameters: Any, norm: float = 1.0, norm_type: float = 2.0) -> Any:
    """Scale the gradients of `parameters` by `norm / (|g| + 1e-6)`, so that only their direction counts; returns the norm `|g|` before."""
    given, wanted = _listed("normalize_grad_", parameters), _bound("normalize_grad_", "norm", norm)
    gradients = _gradients("normalize_grad_", given)
    total = _total_norm("normalize_grad_", gradients, norm_type, False)
    factor = wanted / (array_under(total) + _TINY)
    for gradient in gradients:
        _replace("normalize_grad_", gradient, array_under(gradient) * factor)
    return total


def max_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, dim: int | None = None) -> None:
    """A hard constraint on weights: whatever has a norm above `max_norm` is scaled back to it; the rest stays as it is.

    Constrained is each tensor as a whole, or with `dim` each of its slices along that axis by itself: `dim=0` bounds the weights into
    each unit of a `Linear` or a convolution (Srivastava et al. 2014, "Dropout", 5.1; `torch.renorm`). Call it after each step of the
    optimizer.
    """
    bound = _bound("max_norm_", "max_norm", max_norm)
    for tensor in _listed("max_norm_", parameters):
        array = array_under(tensor)
        if dim is not None and not -array.ndim <= dim < array.ndim:
            raise IndexError(f"max_norm_: `dim` (={dim}) is out of range for a tensor of shape {tuple(array.shape)}")
        axes = tuple(i for i in range(array.ndim) if dim is None or i != dim % array.ndim)
        norms = vector_norm(array, float(norm_type), dim=axes, keepdim=True) if axes else abs(array)
        xp = namespace((norms,))
        _replace("max_norm_", tensor, xp.where(norms > bound, array * (bound / xp.where(norms > bound, norms, 1)), array))


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All parameters one after the other as one vector, recorded. Raises `ShapeError` for none."""
    return cat([reshape(p, (-1,)) for p in _listed("parameters_to_vector", parameters)])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Copy the elements of `vec` into the parameters one after the other, unrecorded.

    Raises `ShapeError` unless `vec` is a vector with just as many elements as they have together; then nothing has changed.
    """
    given = _listed("vector_to_parameters", parameters)
    (vector,) = map(array_under, _listed("vector_to_parameters", vec if isinstance(vec, Boxed) else (vec,)))
    sizes = [math.prod(p.shape) for p in given]
    if tuple(vector.shape) != (sum(sizes),):
        raise ShapeError(f"vector_to_parameters: expected `vec` of shape {(sum(sizes),)} for these parameters, got {tuple(vector.shape)}")
    start = 0
    for parameter, size in zip(given, sizes, strict=True):
        _replace("vector_to_parameters", parameter, vector[start : start + size].reshape(tuple(parameter.shape)))
        start += size
