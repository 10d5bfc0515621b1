"""The node of the tape: one recorded operation, or a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffcore.dispatch import clock
from diffcore.kernels.record import Call, Kernel
from diffcore.modes import Mode
from diffcore.printing import backward_name

if TYPE_CHECKING:
    from revdiff.tape import Extras

_new = object.__new__


class _Recording(Mode):
    """Whether operations are recorded in this thread, and the run of a checkpointed segment, if any, that takes over what is."""

    run: Any = None


mode = _Recording()
"""Whether operations are recorded in this thread; see `no_grad`."""

NO_PARAMS: dict[str, Any] = {}
"""Of every operation without parameters, which then needs no dictionary of its own. Nobody adds to it."""

CHAIN = Kernel("chain", (), lambda xp: None)
"""Stands in a closed chain (see `revdiff.chains`) in the place of a kernel; the calls are the node's `aux`."""
object.__setattr__(CHAIN, "deferred", True)  # its last operation's result may be


class Node(Call):
    """One recorded operation. `parents[i]` is the node of operand `i`, or `None` where no cotangent is needed.

    Freed nodes have no parents left. A closed chain (see `revdiff.chains`) is one node for several operations.
    """

    __slots__ = ("__weakref__", "_extras", "_settled", "dtype", "gradient", "needs", "order", "parents")
    kernel: Any  # `None` for a leaf
    needs: tuple[bool, ...]
    dtype: Any
    order: float  # a whole number, but for the nodes of an opened chain
    gradient: Any  # of leaves alone
    parents: Any  # per operand its node or `None`; `None` once freed

    @property
    def is_leaf(self) -> bool:
        """Whether this is the node of a variable."""
        return self.kernel is None

    @property
    def kept_at(self) -> float:
        """The time at which the residuals were put away, after which they must not change."""
        return self.order

    @property
    def extras(self) -> Extras | None:
        """Hooks and a gradient kept, if there are any."""
        return getattr(self, "_extras", None)

    @extras.setter
    def extras(self, value: Extras) -> None:
        self._extras = value

    @property
    def settled(self) -> bool:
        """Whether it is decided what stays of the result; see `revdiff.residuals.settle`."""
        return getattr(self, "_settled", False)

    @settled.setter
    def settled(self, value: bool) -> None:
        self._settled = value

    def name(self) -> str:
        """The name that PyTorch would give the node of such an operation, e.g. `MulBackward0`."""
        from revdiff.chains import open_chain

        return backward_name(open_chain(self).kernel.name) if self.kernel else "AccumulateGrad"

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Per operand the node it came from (`None` for constants), as in PyTorch. None once the graph is freed."""
        from revdiff.chains import open_chain

        return tuple((parent and open_chain(parent), 0) for parent in open_chain(self).parents or ())

    def __repr__(self) -> str:
        return f"<{self.name()} {self.shape}>"


def leaf(shape: tuple[int, ...], dtype: Any) -> Node:
    """The node of a variable: no kernel, no parents; backward passes add to its `gradient`.

    It is of the one class, so that the interpreter finds what it expects wherever nodes are looked at.
    """
    node: Node = _new(Node)
    node.kernel = None
    node.parents = ()
    node.shape = shape
    node.dtype = dtype
    node.order = next(clock)
    node.gradient = None
    return node
