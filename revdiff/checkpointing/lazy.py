"""Nodes without residuals: what an operation inside of a checkpointed segment leaves on the tape.

Such a node has its parents, so the graph is the graph that it would be without checkpoints. Its residuals are asked for when a backward
pass has come to it, and then its segment runs again to make them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MethodType
from typing import TYPE_CHECKING, Any

from diffcore.arrays import is_traced
from diffcore.kernels.record import Kernel
from diffcore.seeds import array_under
from revdiff import tape
from revdiff.tape import Node

if TYPE_CHECKING:
    from revdiff.checkpointing.segment import Segment


class Lazy(Node):
    """A node whose residuals are those of `loaded`, the node that a further run of its segment recorded in its place; `None` before.

    Without a segment it stands for a node that is gone, during a further run alone.
    """

    __slots__ = ("_light", "index", "loaded", "segment")
    segment: Segment | None
    index: int
    loaded: Any
    _light: Any

    def _now(self) -> Any:
        segment = self.segment
        if segment is not None and segment.top != self.index:  # newer ones are done with, or nothing is there
            segment.load(self.index)
        return self.loaded

    @property
    def kernel(self) -> Any:  # type: ignore[override]  # as the residuals are  # read from what is loaded, as the residuals are
        return self._light if self.loaded is None else self.loaded.kernel

    @property
    def primals(self) -> Any:
        return self._now().primals

    @primals.setter
    def primals(self, _: None) -> None:
        self.loaded = None  # the backward pass is done with this node

    @property
    def out(self) -> Any:
        return self._now().out

    @out.setter
    def out(self, value: Any) -> None:
        if self.loaded is not None:
            self.loaded.out = value

    @property
    def aux(self) -> Any:
        return self._now().aux

    @aux.setter
    def aux(self, _: None) -> None:
        pass

    @property
    def params(self) -> Any:  # type: ignore[override]  # as the residuals are
        return self._now().params

    @property
    def shapes(self) -> Any:
        return self._now().shapes

    @shapes.setter
    def shapes(self, value: Any) -> None:
        if self.loaded is not None:
            self.loaded.shapes = value

    @property
    def kept_at(self) -> float:
        return self._now().order

    @property
    def settled(self) -> bool:
        """What is not there cannot be decided on."""
        return self.loaded is None or self.loaded.settled

    @settled.setter
    def settled(self, value: bool) -> None:
        self.loaded.settled = value

    @property
    def is_held(self) -> bool:
        """Whether the residuals are there."""
        return self.loaded is not None

    def release(self) -> None:
        """Let go of the residuals until they are asked for again."""
        self.loaded = None


def lazy(node: Node, segment: Segment | None, index: int) -> Lazy:
    """What stands for `node`, number `index` of what was recorded in `segment`."""
    made: Lazy = object.__new__(Lazy)
    made.parents = node.parents
    made.needs = node.needs
    made.shape = node.shape
    made.dtype = node.dtype
    made.order = node.order
    made.segment, made.index, made.loaded = segment, index, None
    made._light = _lightened(node)
    return made


def stand_in(node: Node) -> Lazy:
    """What takes the place of a node that is gone, with the residuals of `node`, recorded anew."""
    made = lazy(node, None, -1)
    made.loaded = node
    return made


def gone() -> Lazy:
    """What stands for a node that is gone, where its value is needed still: a leaf to all that is done with it."""
    made: Lazy = object.__new__(Lazy)
    made.parents = ()
    made.needs = ()
    made.order = -1
    made.segment, made.index, made.loaded, made._light = None, -1, None, None
    return made


def checkpointed(nodes: Iterable[Lazy]) -> Iterator[tuple[str, Any]]:
    """What the outermost segments of some nodes keep, each array under a name."""
    roots: dict[int, Any] = {}
    for node in nodes:
        segment: Any = node.segment
        while segment is not None and segment.owner is not None:
            segment = segment.owner
        roots[id(segment)] = segment
    for segment in roots.values():
        yield from segment.kept()


_deferred: weakref.WeakKeyDictionary[Kernel, Kernel] = weakref.WeakKeyDictionary()


def _lightened(node: Node) -> Kernel:
    """The kernel that a lazy node shows while nothing is loaded.

    That of a call of a `Function` holds what the call saved, so it is left out. Where jax is tracing, the residuals are loaded with the
    cotangent at hand, after whose arrival the segment shall run.
    """
    kernel: Kernel = node.kernel
    if isinstance(kernel.pullback, MethodType):
        return Kernel(kernel.name, kernel.operands, _never, forward=_never, pullback=_deferred_pullback, keeps=kernel.keeps)
    if not any(is_traced(array_under(x)) for x in node.primals):
        return kernel
    found = _deferred.get(kernel)
    if found is None:
        accumulate = None if kernel.accumulate is None else _deferred_accumulate
        found = _deferred[kernel] = replace(kernel, pullback=_deferred_pullback, accumulate=accumulate)
    return found


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("only what was loaded is computed with")


def _deferred_pullback(call: Any, g: Any, needs: tuple[bool, ...]) -> Any:
    if isinstance(call, Lazy) and call.segment is not None:
        call.segment.load(call.index, g)
    return call.kernel.pullback(call, g, needs)


def _deferred_accumulate(call: Any, g: Any, total: Any) -> Any:
    if call.segment is not None:
        call.segment.load(call.index, g)
    return call.kernel.accumulate(call, g, total)


@contextmanager
def hooks_as_they_were(nodes: list[Any]) -> Iterator[None]:
    """A further run registers the hooks of the first once more on the same `nodes`: these are taken away again."""
    if not tape.watched_nodes:
        yield
        return
    before = [(node, {} if node.extras is None else dict(node.extras.hooks)) for node in nodes]
    try:
        yield
    finally:
        for node, hooks in before:
            if node.extras is not None and node.extras.hooks.keys() != hooks.keys():
                node.extras.hooks.clear()
                node.extras.hooks.update(hooks)
