"""The tape: nodes made as operations run, and the pass that carries cotangents back over them.

A node keeps what its kernel's pullback reads for the operands that need a cotangent, and no more. The graph hangs on the
tensors: what no tensor reaches is freed at once, and the backward pass frees each node as it is consumed.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from typing import Any

from diffcore.arrays import is_float, is_mutable
from diffcore.dispatch import Boxed, evaluate, lowered
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
    parents: tuple[Node | None, ...] | None

    def __init__(
        self,
        kernel: Any,
        parents: tuple[Node | None, ...],
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


def record(box: type, kernel: Kernel, level: int, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Compute `kernel` one level down and make its node, unless no operand needs a cotangent."""
    primals, own = lowered(operands, level, "revdiff")
    out, aux = evaluate(kernel, primals, params)
    dtype = out.dtype
    if kernel.pullback is None or not mode.enabled or not (dtype.kind == "f" or is_float(dtype)):
        return box(out, level, None)
    needs = tuple([x is not None for x in own])
    if True not in needs:
        return box(out, level, None)
    keep, keep_out, keep_aux = kernel.plan(needs)
    node = Node(
        kernel,
        tuple([None if x is None else x.node for x in own]),
        needs,
        [x if kept else None for x, kept in zip(primals, keep, strict=True)],
        out if keep_out else None,
        params,
        tuple([getattr(x, "shape", ()) for x in primals]),
        out.shape,
        [a if kept else None for a, kept in zip(aux, keep_aux, strict=True)] if aux else (),
        dtype,
    )
    if state.ledger is not None:
        for kept in (*node.primals, node.out, *node.aux):
            label(kept, "residual", only="activation")
            label(kept, "residual", only="workspace")
    return box(out, level, node)


def replay(node: Node, box: type, level: int) -> Call:
    """`node` with its residuals as tensors of its own level, so that its pullback is recorded in turn."""
    primals = [box(x, level, p) if p is not None and x is not None else x for x, p in zip(node.primals, node.parents, strict=True)]
    out = box(node.out, level, node) if node.out is not None else None
    aux = node.aux
    if any(a is not None and is_float(a.dtype) for a in aux):
        aux = node.kernel.derive_aux(out, primals, node.params)
    return Call(node.kernel, primals, out, node.params, node.shapes, node.shape, aux)


def backward(
    roots: Iterable[tuple[Node, Any]],
    *,
    keep: bool = False,
    create: tuple[type, int] | None = None,
    stops: frozenset[Node] = frozenset(),
) -> dict[Node, Any]:
    """Carry cotangents from `roots` to the leaves; returns the cotangent of every leaf (and of every node in `stops`) reached.

    Nodes are visited newest first, each once, when all its cotangents have arrived. Cotangents may have a leading axis of directions.
    `keep` leaves the graph whole; `create` (Tensor class, level) records the pass itself.
    """
    cotangents: dict[Node, Any] = {}
    owned: set[Node] = set()
    heap: list[tuple[int, Node]] = []
    found: dict[Node, Any] = {}
    for node, g in roots:
        _accumulate(cotangents, owned, heap, node, g)
    outer = state.phase, mode.enabled
    state.phase, mode.enabled = "adjoint", mode.enabled or create is not None
    try:
        while heap:
            node = heapq.heappop(heap)[1]
            g = cotangents.pop(node)
            kernel = node.kernel
            if kernel is None or node in stops:
                found[node] = g
            if kernel is None:
                continue
            parents = node.parents
            if parents is None:
                raise GradientError(
                    "Trying to backward through the graph a second time: saved intermediate values were freed when .backward() "
                    "was called. Specify retain_graph=True if you need to backward through the graph a second time."
                )
            call = node if create is None else replay(node, *create)
            if state.ledger is not None:
                state.kernel = kernel.name
            for parent, h in zip(parents, kernel.pullback(call, g, node.needs), strict=True):
                if h is not None and parent is not None:
                    _accumulate(cotangents, owned, heap, parent, h)
            if not keep:
                node.free()
    finally:
        (state.phase, mode.enabled), state.kernel = outer, ""
    return found


def _accumulate(cotangents: dict[Node, Any], owned: set[Node], heap: list[tuple[int, Node]], node: Node, g: Any) -> None:
    """Add `g` to the cotangent of `node`: the first is kept as it is, the second makes a sum of ours, later ones go into it."""
    if g.dtype != node.dtype:
        g = g.astype(node.dtype)
    if state.ledger is not None:
        label(g, "cotangent", only="workspace")
    if node not in cotangents:
        cotangents[node] = g
        heapq.heappush(heap, (-node.order, node))
        return
    before = cotangents[node]
    if node in owned and is_mutable(before) and not isinstance(g, Boxed):
        before += g
    else:
        cotangents[node] = before + g
        owned.add(node)
