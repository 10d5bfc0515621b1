"""The tape: nodes made as operations run, and the pass that carries cotangents back over them.

A node keeps what its kernel's pullback reads for the operands that need a cotangent, and no more. The graph hangs on the
tensors: what no tensor reaches is freed at once, and the backward pass frees each node as it is consumed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from diffcore.arrays import is_float, is_mutable
from diffcore.dispatch import Boxed
from diffcore.errors import GradientError
from diffcore.kernels.record import Call, Kernel
from diffcore.ledger import label, state
from diffcore.modes import Mode

_order = itertools.count()


mode = Mode()
"""Whether operations are recorded in this thread; see `no_grad`."""


class Node(Call):
    """One recorded operation. `parents[i]` is the node of operand `i`, or `None` where no cotangent is needed.

    Freed nodes have no parents left.
    """

    __slots__ = ("__weakref__", "dtype", "needs", "order", "parents")
    kernel: Any  # `None` for a leaf
    parents: Any  # per operand its node or `None`; `None` once freed

    def __init__(
        self,
        kernel: Any,
        parents: Sequence[Node | None],
        needs: tuple[bool, ...],
        primals: Any,
        out: Any,
        params: Any,
        shapes: Any,
        shape: Any,
        aux: Any,
        dtype: Any,
    ) -> None:
        self.kernel = kernel
        self.parents = parents
        self.needs = needs
        self.primals = primals
        self.out = out
        self.params = params
        self.shapes = shapes
        self.shape = shape
        self.aux = aux
        self.dtype = dtype
        self.order = next(_order)

    def __repr__(self) -> str:
        return f"<{self.kernel.name if self.kernel else 'leaf'} {self.shape}>"

    def free(self) -> None:
        """Drop residuals and edges; a second backward pass through this node is an error."""
        self.parents = self.primals = self.out = self.aux = None


class Leaf(Node):
    """The node of a variable: no kernel, no parents; backward passes add to its `gradient`."""

    __slots__ = ("gradient",)

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.kernel = None
        self.parents = ()
        self.shape = shape
        self.dtype = dtype
        self.order = next(_order)
        self.gradient: Any = None


def record(
    kernel: Kernel, primals: list[Any], parents: list[Node | None], mask: int, out: Any, aux: Any, params: dict[str, Any]
) -> Node | None:
    """The node of `out = kernel(*primals)`, with the residuals that `parents` will need; `None` when no cotangent is needed."""
    dtype = out.dtype
    if kernel.pullback is None or not mode.enabled or dtype.kind != "f" and not is_float(dtype):
        return None
    needs, drop, keep_out, keep_aux = kernel._plans.get(mask) or kernel.plan(mask, len(primals))
    shapes = [getattr(x, "shape", ()) for x in primals] if kernel.reads_shapes else ()
    for i in drop:
        primals[i] = None
    if False in keep_aux:
        aux = tuple([a if kept else None for a, kept in zip(aux, keep_aux, strict=True)])
    node = Node(kernel, parents, needs, primals, out if keep_out else None, params, shapes, out.shape, aux, dtype)
    if state.ledger is not None:
        for kept in (*primals, node.out, *aux):
            label(kept, "residual", only="activation")
            label(kept, "residual", only="workspace")
    return node


def replay(node: Node, box: type, level: int) -> Call:
    """`node` with its residuals as tensors of its own level, so that its pullback is recorded in turn."""
    primals = [box(x, level, p) if p is not None and x is not None else x for x, p in zip(node.primals, node.parents, strict=True)]
    out = box(node.out, level, node) if node.out is not None else None
    aux = node.aux
    if any(a is not None and is_float(a.dtype) for a in aux):
        aux = node.kernel.derive_aux(out, primals, node.params)
    return Call(node.kernel, primals, out, node.params, node.shapes, node.shape, aux)


def backward(
    roots: Sequence[Node],
    cotangents: Sequence[Any],
    *,
    keep: bool = False,
    create: tuple[type, int] | None = None,
    stops: frozenset[Node] = frozenset(),
) -> dict[Node, Any]:
    """Carry `cotangents` of `roots` to the leaves; returns the cotangent of every leaf (and of every node in `stops`) reached.

    Nodes are visited newest first, each once, when all its cotangents have arrived. Cotangents may have a leading axis of directions.
    `keep` leaves the graph whole; `create` (Tensor class, level) records the pass itself.
    """
    waiting: dict[Node, Any] = {}
    found: dict[Node, Any] = {}
    owned: set[Node] = set()
    heap: list[tuple[int, Node]] = []
    booked = state.ledger is not None
    outer = state.phase, mode.enabled
    state.phase, mode.enabled = "adjoint", mode.enabled or create is not None
    parents: Any = roots
    try:
        while True:
            for node, g in zip(parents, cotangents, strict=True):
                if node is None or g is None:
                    continue
                if g.dtype is not node.dtype and g.dtype != node.dtype:
                    g = g.astype(node.dtype)
                if booked:
                    label(g, "cotangent", only="workspace")
                sums = found if node.kernel is None else waiting
                if node not in sums:  # the first is kept as it is, the second makes a sum of ours, later ones go into that
                    sums[node] = g
                    if sums is waiting:
                        heappush(heap, (-node.order, node))
                elif node in owned and is_mutable(sums[node]) and not isinstance(g, Boxed):
                    sums[node] += g
                else:
                    sums[node] = sums[node] + g
                    owned.add(node)
            if not heap:
                return found
            node = heappop(heap)[1]
            g = waiting.pop(node)
            if stops and node in stops:
                found[node] = g
            parents = node.parents
            if parents is None:
                raise GradientError(
                    "Trying to backward through the graph a second time: saved intermediate values were freed when .backward() "
                    "was called. Specify retain_graph=True if you need to backward through the graph a second time."
                )
            if booked:
                state.kernel = node.kernel.name
            cotangents = node.kernel.pullback(node if create is None else replay(node, *create), g, node.needs)
            if not keep:
                node.free()
    finally:
        (state.phase, mode.enabled), state.kernel = outer, ""
