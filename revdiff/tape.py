"""The tape: nodes made as operations run, and the pass that carries cotangents back over them.

A node keeps what its kernel's pullback reads for the operands that need a cotangent, and no more. The graph hangs on the
tensors: what no tensor reaches is freed at once, and the backward pass frees each node as it is consumed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from diffcore import anomaly, places
from diffcore.aliasing import changes, check_saved
from diffcore.arrays import is_float, is_mutable
from diffcore.arrays.works import touched
from diffcore.dispatch import Boxed, clock
from diffcore.errors import GradientError
from diffcore.hooks import called
from diffcore.kernels.bits import Bits
from diffcore.kernels.record import Call, Derived, Kernel
from diffcore.ledger import did, label, state
from diffcore.tensor import accumulated
from diffcore.watch import watch
from revdiff.chains import open_chain, pull
from revdiff.node import CHAIN, NO_PARAMS, Node, leaf, mode
from revdiff.recalling import recalled_pullback
from revdiff.residuals import residuals, settle

__all__ = ["Extras", "Node", "backward", "extras_of", "leaf", "mode", "record", "replay"]

_new = object.__new__


def record(
    kernel: Kernel, primals: list[Any], parents: list[Node | None], mask: int, out: Any, aux: Any, params: dict[str, Any]
) -> Node | None:
    """The node of `out = kernel(*primals)`, with the residuals that `parents` will need; `None` when no cotangent is needed."""
    dtype = out.dtype
    if kernel.pullback is None or not mode.enabled or dtype.kind != "f" and not is_float(dtype):
        return None
    needs, drop, keep_out, keep_aux = kernel._plans.get(mask) or kernel.plan(mask, len(primals))
    shapes = [getattr(x, "shape", ()) for x in primals] if kernel.reads_shapes else ()
    if keep_aux is not None:
        aux = tuple([a if kept else None for a, kept in zip(aux, keep_aux, strict=True)])
    node: Node = _new(Node)  # and filled in here: a call of the class would take as long as the rest
    node.kernel = kernel
    node.parents = parents
    node.needs = needs
    node.primals = primals
    node.out = out if keep_out else None
    node.params = params or NO_PARAMS
    node.shapes = shapes
    node.shape = out.shape
    node.aux = aux
    node.dtype = dtype
    node.order = next(clock)
    if watch.recording:
        return _watched(node, drop)
    for i in drop:
        primals[i] = None
    for x, parent in zip(primals, parents):  # noqa: B905  # as many
        if parent is not None and (maker := parent.kernel) is not None and maker.deferred:
            settle(kernel, parent, x)
    return node


def _watched(node: Node, drop: tuple[int, ...]) -> Node:
    """`node`, which still has all its operands, once it is noted wherever that is wanted; or what a checkpointed segment puts for it."""
    places.note(node)
    did("record", node.kernel.name)
    run = mode.run
    if run is not None:
        taken: Node = run.take(node, drop)
        return taken
    keep_only(node, drop)
    return node


def keep_only(node: Node, drop: tuple[int, ...]) -> None:
    """Let go of the operands in `drop`, and book the rest as residuals."""
    for i in drop:
        node.primals[i] = None
    for x, parent in zip(node.primals, node.parents, strict=True):
        if parent is not None and (maker := parent.kernel) is not None and maker.deferred:
            settle(node.kernel, parent, x)
    if state.ledger is not None:
        for _, kept in residuals(node):
            label(kept, "residual", only="activation")
            label(kept, "residual", only="workspace")


watched_nodes = 0
"""How many nodes have hooks or keep their gradient; while there are none, the backward pass asks none."""


class Extras:
    """What users attached to a node: hooks, called with its cotangent once that is complete, and whether it keeps its gradient.

    They hang on the node, so a hook that refers to its own tensor is garbage together with it.
    """

    __slots__ = ("__weakref__", "gradient", "hooks", "retains")

    def __init__(self) -> None:
        global watched_nodes
        watched_nodes += 1
        weakref.finalize(self, _one_less)
        self.hooks: dict[int, Callable[[Any], Any]] = {}
        self.retains = False
        self.gradient: Any = None


def _one_less() -> None:
    global watched_nodes
    watched_nodes -= 1


def extras_of(node: Node) -> Extras:
    """What is attached to `node`, to be changed by the caller."""
    found = node.extras
    if found is None:
        found = node.extras = Extras()
    return found


def _rederived(node: Node, define: Derived, value: Any, box: type, level: int) -> Any:
    """A kept residual as a tensor that depends on the operand of `node` it was derived from."""
    operand = node.kernel.operands.index(define.operand)
    parent = node.parents[operand]
    if parent is None or value is None:
        return value
    made = record(define.kernel, [None], [parent], 1, value, (), define.params)
    if made is not None:
        made.shapes = (node.shapes[operand],)
    return box(value, level, made)


def _hooked(node: Node, g: Any, box: Callable[[Any], Any]) -> Any:
    """The cotangent `g` after the hooks of `node`; they see tensors, also where the pass computes with arrays."""
    extras = node.extras
    if extras is None or not (extras.hooks or extras.retains):
        return g
    new = called(extras.hooks, g if isinstance(g, Boxed) else box(g))
    if extras.retains:
        extras.gradient = new.clone() if extras.gradient is None else accumulated(extras.gradient, new)
    return new if isinstance(g, Boxed) else new.primal


def replay(node: Node, box: type, level: int) -> Call:
    """`node` with its residuals as tensors of its own level, so that its pullback is recorded in turn."""
    primals = [box(x, level, p) if p is not None and x is not None else x for x, p in zip(node.primals, node.parents, strict=True)]
    out = node.out.mask() if type(node.out) is Bits else node.out
    if out is not None:
        out = box(out, level, node)
    aux = node.aux
    if any(a is not None and is_float(a.dtype) for a in aux):
        definitions = node.kernel.aux.values()
        if all(isinstance(define, Derived) for define in definitions):
            aux = tuple(_rederived(node, define, a, box, level) for define, a in zip(definitions, aux, strict=True))
        else:
            aux = node.kernel.derive_aux(out, primals, node.params)
    return Call(node.kernel, primals, out, node.params, node.shapes, node.shape, aux)


def backward(
    roots: Sequence[Node],
    cotangents: Any,
    *,
    keep: bool = False,
    create: tuple[type, int] | None = None,
    stops: frozenset[Node] = frozenset(),
    box: Callable[[Any], Any] = lambda g: g,
) -> dict[Node, Any]:
    """Carry `cotangents` of `roots` to the leaves; returns the cotangent of every leaf (and of every node in `stops`) reached.

    Nodes are visited newest first, each once, when all its cotangents have arrived. Cotangents may have a leading axis of directions.
    `keep` leaves the graph whole; `create` (Tensor class, level) records the pass itself; `box` makes tensors for hooks.
    """
    found: dict[Node, Any] = {}
    waiting: Any = None  # made when it is needed, which most graphs never do
    heap: list[tuple[float, Node]] = []
    watched = watch.count
    asked = bool(watched or watched_nodes or stops or keep or create is not None)  # whether there is more to do than to carry cotangents
    apart = create is not None or watched and state.ledger is not None and state.ledger.recalled is not None
    outer = mode.enabled
    if watched:
        phase, state.phase = state.phase, "adjoint"
    if create is not None:
        mode.enabled = True
    parents: Any = roots
    arrived: Any
    ours = False  # whether the cotangents at hand are held by nobody else, so that others may be added in their memory
    try:
        while True:
            ahead = None  # the only node that waits, if so: most graphs are chains, which need no heap
            for node, g in zip(parents, cotangents):  # noqa: B905  # as many, by the kernels' contract
                if node is None or g is None:
                    continue
                if g.dtype is not node.dtype and g.dtype != node.dtype:
                    g = g.astype(node.dtype)
                if watched:
                    label(g, "cotangent", only="workspace")
                if node.kernel is None:
                    if node in found:
                        waiting = waiting or _Waiting(heap)
                        waiting.add(found, node, g, ours)
                    else:
                        found[node] = g
                elif ahead is None and not heap:
                    ahead, arrived = node, g
                else:
                    waiting = waiting or _Waiting(heap)
                    if ahead is not None:
                        waiting.put(ahead, arrived, False)
                        ahead = None
                    waiting.put(node, g, ours)
            if ahead is not None:
                node, g = ahead, arrived
            elif heap:
                node, g = waiting.pop()
                cotangents = arrived = None  # which may be parts of a sum now, and are not wanted any more
            else:
                return {n: _hooked(n, g, box) if n.is_leaf else g for n, g in found.items()} if watched_nodes else found
            if asked:
                if watched_nodes:
                    g = _hooked(node, g, box)
                if stops and node in stops:
                    found[node] = g
            parents = node.parents
            if parents is None:
                raise GradientError(
                    "Trying to backward through the graph a second time: saved intermediate values were freed when .backward() "
                    "was called. Specify retain_graph=True if you need to backward through the graph a second time."
                )
            if node.kernel is CHAIN:
                if not asked and node.order > changes.latest and g.ndim == len(node.shape):
                    ours = node.aux[0].recorded[0].kernel.makes
                    parents, cotangents = pull(node, g, found)
                    continue
                parents = open_chain(node).parents
            if node.order < changes.latest:
                check_saved(node, node.kept_at)
            if watched:
                state.kernel, state.place = node.kernel.name, places.place_of(node)
                did("pullback", node.kernel.name)
                if state.ledger is not None:
                    state.ledger.next_operation()
            ours = node.kernel.makes
            if apart and (create is not None or node.kernel.accumulate is None):
                if create is None:
                    cotangents = recalled_pullback(node, g)
                else:
                    cotangents = node.kernel.pullback(replay(node, *create), g, node.needs)
            elif node.kernel.accumulate is not None:
                waiting = waiting or _Waiting(heap)
                cotangents = waiting.take_part(found, node, g)
            else:
                cotangents = node.kernel.pullback(node, g, node.needs)
            if watched:
                if not node.kernel.view:
                    touched([*node.primals, node.out, *node.aux, g], cotangents)
                anomaly.check_cotangents(node, g, cotangents)
            if not keep:  # nothing is left of it; a second pass says so
                node.parents = node.primals = node.out = node.aux = None
    finally:
        if create is not None:
            mode.enabled = outer
        if watched:
            state.phase, state.kernel, state.place = phase, "", None


class _Waiting:
    """Nodes whose cotangents are arriving, the newest first, and the sums of these."""

    __slots__ = ("_owned", "_sums", "heap")

    def __init__(self, heap: list[tuple[float, Node]]) -> None:
        self.heap = heap
        self._sums: dict[Node, Any] = {}
        self._owned: set[Node] = set()

    def put(self, node: Node, g: Any, ours: bool) -> None:
        """One more cotangent of `node`; `ours` says that nobody else holds it."""
        if node in self._sums:
            self.add(self._sums, node, g, ours)
        else:
            self._sums[node] = g
            if ours:
                self._owned.add(node)
            heappush(self.heap, (-node.order, node))

    def add(self, sums: dict[Node, Any], node: Node, g: Any, ours: bool) -> None:
        """Add `g` to the sum of `node`, in the memory of either that is ours; where none is, the sum is a new array and ours."""
        total = sums[node]
        if node in self._owned and is_mutable(total) and is_mutable(g) and total.shape == g.shape:
            total += g
        elif ours and is_mutable(total) and is_mutable(g) and total.shape == g.shape:
            g += total
            sums[node] = g
        else:
            sums[node] = total + g
        self._owned.add(node)

    def take_part(self, found: dict[Node, Any], node: Node, g: Any) -> tuple[None]:
        """The cotangent of a part, added to that of the whole: the first part makes a whole one, the others go into that.

        Returns what is left to be carried on: nothing.
        """
        (whole,) = node.parents
        sums = found if whole.kernel is None else self._sums
        if whole in self._owned and whole in sums and not isinstance(g, Boxed) and not isinstance(sums[whole], Boxed):
            sums[whole] = node.kernel.accumulate(node, g, sums[whole])
            return (None,)
        (made,) = node.kernel.pullback(node, g, node.needs)
        if watch.count:
            label(made, "cotangent", only="workspace")
        if whole in sums:
            sums[whole] = sums[whole] + made
        else:
            sums[whole] = made
            if sums is self._sums:
                heappush(self.heap, (-whole.order, whole))
        self._owned.add(whole)
        return (None,)

    def pop(self) -> tuple[Node, Any]:
        """The newest node, of which all cotangents have arrived, and their sum."""
        node = heappop(self.heap)[1]
        return node, self._sums.pop(node)
