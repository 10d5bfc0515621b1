"""PyTorch's `autograd`: `backward`, `grad`, `Function`, the switches `no_grad` and `enable_grad`, anomaly detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffcore import function
from diffcore.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from diffcore.arrays import is_array
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import GradientError
from diffcore.function import once_differentiable
from diffcore.modes import InferenceSwitch, Setting, Switch
from diffcore.seeds import ones_of
from diffcore.tensor import accumulated, check_cotangent, own_memory
from revdiff import tape
from revdiff.tensor import Tensor


def _roots(tensors: Sequence[Tensor], gradients: Sequence[Any], create: bool) -> tuple[list[tape.Node], list[Any]]:
    """The nodes to start from and their cotangents, ones where none is given."""
    nodes, cotangents = [], []
    if len(tensors) != len(gradients):
        raise GradientError(f"got {len(tensors)} tensors and {len(gradients)} gradients: one cotangent (or None) is needed per tensor")
    for i, (y, g) in enumerate(zip(tensors, gradients, strict=True)):
        if y.node is None:
            raise GradientError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        check_cotangent(y.primal, g)
        if g is None:
            g = ones_of(y.primal)
        elif not create:
            g = unboxed(g.detach()) if isinstance(g, Boxed) else g  # type: ignore[attr-defined]
        nodes.append(y.node)
        cotangents.append(Tensor(unboxed(g), y.level) if create and not isinstance(g, Tensor) else g)
    return nodes, cotangents


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, Boxed) or is_array(value) or value is None else list(value)


def backward(tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Add the derivative of the sum of `<grad_tensors[i], tensors[i]>` to `.grad` of every leaf; see `Tensor.backward`."""
    outputs = _listed(tensors)
    nodes, cotangents = _roots(outputs, [None] * len(outputs) if grad_tensors is None else _listed(grad_tensors), create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    found = tape.backward(nodes, cotangents, keep=keep, create=(Tensor, outputs[0].level) if create_graph else None, box=Tensor)
    taken = {id(g) for g in cotangents}
    for node, g in found.items():
        assert node.is_leaf  # only leaves are found where no stops are given
        new = g if isinstance(g, Tensor) else Tensor(own_memory(g, taken))
        node.gradient = accumulated(node.gradient, new)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The derivative of the sum of `<grad_outputs[i], outputs[i]>` with respect to each leaf in `inputs`, as tensors; `.grad` is
    untouched.
    """
    ys, xs = _listed(outputs), _listed(inputs)
    for x in xs:
        if x.node is None:
            raise GradientError("One of the differentiated Tensors does not require grad")
    nodes, cotangents = _roots(ys, [None] * len(ys) if grad_outputs is None else _listed(grad_outputs), create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    stops = frozenset(x.node for x in xs)
    found = tape.backward(nodes, cotangents, keep=keep, create=(Tensor, ys[0].level) if create_graph else None, stops=stops, box=Tensor)
    result = []
    for x in xs:
        g = found.get(x.node)
        if g is None and not allow_unused:
            raise GradientError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        result.append(g if g is None or isinstance(g, Tensor) else Tensor(g))
    return tuple(result)


class Function(function.Function):
    """A function with a derivative of your own; see `diffcore.function`. Reverse mode needs `backward`, `dualdiff` needs `jvp`."""

    kind = Tensor


class no_grad(Switch):
    """Operations inside are not recorded: `with no_grad(): ...`, `@no_grad()` or `@no_grad`."""

    mode, enabled = tape.mode, False


class enable_grad(Switch):
    """Operations inside are recorded even within `no_grad`."""

    mode, enabled = tape.mode, True


class set_grad_enabled(Setting):
    """Record operations from here on, or not: a call `set_grad_enabled(False)`, or `with set_grad_enabled(train): ...`."""

    mode = tape.mode


class inference_mode(InferenceSwitch):
    """As `no_grad`; `inference_mode(False)` as `enable_grad`."""

    mode = tape.mode


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return tape.mode.enabled


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
