"""PyTorch's `autograd` for forward mode: the same calls deliver the derivatives that tensors carry.

What forward mode cannot mean (`create_graph`, the gradient of a tensor that is not a leaf) is an error that names the functional
transform to use instead.
"""

from __future__ import annotations

from typing import Any

from diffcore import function
from diffcore.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from diffcore.errors import GradientError
from diffcore.function import once_differentiable
from diffcore.modes import InferenceSwitch, Setting, Switch
from dualdiff import pushing
from dualdiff.tensor import Tensor, delivered


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, Tensor) or value is None else list(value)


def _pairs(outputs: list[Any], gradients: Any) -> list[tuple[Any, Any]]:
    given = [None] * len(outputs) if gradients is None else _listed(gradients)
    if len(outputs) != len(given):
        raise GradientError(f"got {len(outputs)} tensors and {len(given)} gradients: one cotangent (or None) is needed per tensor")
    return list(zip(outputs, given, strict=True))


def backward(tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Deliver the derivative of the sum of `<grad_tensors[i], tensors[i]>` into `.grad` of every variable; see `Tensor.backward`."""
    total: dict[Any, Any] = {}
    for i, (y, gradient) in enumerate(_pairs(_listed(tensors), grad_tensors)):
        for variable, value in delivered(y, gradient, create_graph, i).items():
            total[variable] = value if variable not in total else total[variable] + value
    for variable, value in total.items():
        variable.receive(value)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The derivative of the sum of `<grad_outputs[i], outputs[i]>` with respect to each leaf in `inputs`, as tensors.

    `.grad` is untouched. Raises `GradientError` for inputs that are not leaves, and for those that no output depends on unless
    `allow_unused`.
    """
    xs = _listed(inputs)
    for x in xs:
        if not x.requires_grad:
            raise GradientError("One of the differentiated Tensors does not require grad")
        if x.variable is None:
            raise GradientError(
                "grad: in forward mode derivatives are carried with respect to leaves only, and one of the inputs is not a leaf: "
                "take the derivative with respect to it with `dualdiff.grad(f)(x)`"
            )
    total: dict[Any, Any] = {}
    for i, (y, gradient) in enumerate(_pairs(_listed(outputs), grad_outputs)):
        for variable, value in delivered(y, gradient, create_graph, i).items():
            total[variable] = value if variable not in total else total[variable] + value
    result = []
    for x in xs:
        g = total.get(x.variable)
        if g is None and not allow_unused:
            raise GradientError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        result.append(g if g is None else x.variable.hooked(g))
    return tuple(result)


class Function(function.Function):
    """A function with a derivative of your own; see `diffcore.function`. Forward mode needs `jvp`, `revdiff` needs `backward`."""

    kind = Tensor


class no_grad(Switch):
    """Operations inside carry no tangents: `with no_grad(): ...`, `@no_grad()` or `@no_grad`."""

    mode, enabled = pushing.mode, False


class enable_grad(Switch):
    """Operations inside carry tangents even within `no_grad`."""

    mode, enabled = pushing.mode, True


class set_grad_enabled(Setting):
    """Carry tangents from here on, or not: a call `set_grad_enabled(False)`, or `with set_grad_enabled(train): ...`."""

    mode = pushing.mode


class inference_mode(InferenceSwitch):
    """As `no_grad`; `inference_mode(False)` as `enable_grad`."""

    mode = pushing.mode


def is_grad_enabled() -> bool:
    """Whether tangents are carried in this thread."""
    return pushing.mode.enabled


__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
]
