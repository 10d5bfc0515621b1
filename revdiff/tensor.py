"""The reverse-mode tensor: a value, and the node that made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffcore.errors import GradientError
from diffcore.tensor import TensorSurface, tensor_of
from revdiff import chains, tape
from revdiff.tape import Node, leaf


class Tensor(TensorSurface):
    """A value at one level. With a node it was recorded and a cotangent can be carried back to its leaves; without, it is a constant."""

    __slots__ = ()
    engine = "revdiff"
    carried: Any  # a `Node`, or `None` for a constant
    follow = staticmethod(tape.record)  # type: ignore[assignment]  # names what is carried: parents
    through = staticmethod(chains.through)
    _mode = tape.mode

    def _like(self, primal: Any) -> Tensor:
        return Tensor(primal, self.level)

    @property
    def node(self) -> Node | None:
        """Where this tensor stands on the tape; `None` for a constant."""
        return self.carried if self.requires_grad else None

    def _leaf(self) -> Node | None:
        return self.carried if self.carried is not None and self.carried.is_leaf else None

    def _become(self, variable: bool) -> None:
        self.carried = leaf(tuple(self.shape), self.dtype) if variable else None

    @property
    def grad(self) -> Any:
        """The derivative that backward passes have added up on this leaf, or on a tensor that was told to `retain_grad`."""
        node = self.carried
        if node is None:
            return None
        if node.is_leaf:
            return node.gradient
        return None if node.extras is None else node.extras.gradient

    @grad.setter
    def grad(self, value: Any) -> None:
        TensorSurface.grad.__set__(self, value)  # type: ignore[attr-defined]

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in `.grad` too, although it is not a leaf."""
        if not self.requires_grad:
            raise GradientError("can't retain_grad on Tensor that has requires_grad=False")
        if not self.carried.is_leaf:
            tape.extras_of(self.carried).retains = True

    @property
    def retains_grad(self) -> bool:
        """Whether this tensor, which is no leaf, was told to `retain_grad`."""
        node = self.carried
        return node is not None and not node.is_leaf and node.extras is not None and node.extras.retains

    def _hooks(self) -> dict[int, Callable[[Any], Any]]:
        return tape.extras_of(self.carried).hooks

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor; `None` for leaves."""
        return None if self.is_leaf else chains.open_chain(self.carried)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add the derivative of this scalar (or of `<gradient, self>`) to `.grad` of every leaf it depends on.

        **Arguments:** `gradient`: a cotangent of this tensor's shape, optional for one element; `retain_graph`: keep the graph for
        another pass (default: `create_graph`); `create_graph`: record the pass, for higher derivatives.
        Raises `GradientError` for a tensor without history, a missing or misshapen cotangent, or a freed graph.
        """
        from revdiff.autograd import backward

        backward((self,), (gradient,), retain_graph=retain_graph, create_graph=create_graph)

    def _repr_suffix(self) -> str:
        return super()._repr_suffix() if self.is_leaf else f"grad_fn=<{self.carried.name()}>"


Tensor.box = Tensor  # results are plain tensors, also those of parameters


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor holding a copy of `data`.

    **Arguments:** `data`: nested lists, numbers, an array or a tensor; `dtype`: by default that of arrays and tensors, and float32 for
    Python floats; `device`: `"cpu"`, `"jax"`, `"cuda:0"`, `"meta"`, ... (by default where `data` is); `requires_grad`: make it a variable.
    Raises `GradientError` for an integer variable, `DeviceError` for a device that is not there.
    """
    return tensor_of(Tensor, data, dtype, device, requires_grad)
