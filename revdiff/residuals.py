"""What nodes keep for the backward pass, and what is decided of that only when a result is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from diffcore.aliasing import buffer_of, changes
from diffcore.arrays import is_array
from diffcore.kernels.bits import Bits
from diffcore.kernels.record import Call, Kernel
from diffcore.ledger import label
from diffcore.seeds import array_under
from diffcore.watch import watch
from revdiff.node import CHAIN, Node


def residuals(call: Call) -> Iterator[tuple[str, Any]]:
    """Every array that the node `call` keeps, under the name that its kernel has for it; numbers are none."""
    kernel = call.kernel
    named = [*zip(kernel.names(len(call.primals)), call.primals, strict=True), ("out", call.out), *zip(kernel.aux, call.aux, strict=True)]
    for name, value in (*named, *call.params.items(), ("holds", kernel.holds)):
        for part in value if isinstance(value, tuple | list) else (value,):
            array = array_under(part)
            if type(array) is Bits:
                array = array.packed
            if is_array(array):
                yield name, array


def settle(kernel: Kernel, node: Node, kept: Any) -> None:
    """Decide what stays of the result of `node`, now that `kernel` has taken it and has `kept` it, or nothing (`None`) of it.

    A kernel with a `stand_in` keeps its result, which costs nothing while some other operation keeps that as its operand. The first
    operation that does not lets the stand-in take its place. A view decides nothing: the operations that take the view do.
    """
    if kept is None and kernel.view:
        return
    while node.kernel is not None and node.kernel.view:
        if not node.parents or node.parents[0] is None:
            return
        node = node.parents[0]
    call: Any = node
    if node.kernel is CHAIN and node.aux is not None:
        code, values = node.aux
        if not code.undecided:
            return
        call = values[-1]
    if call.kernel is None or call.kernel.stand_in is None or node.settled or call.out is None:
        return
    out = array_under(call.out)
    if kept is not None and buffer_of(array_under(kept)) is buffer_of(out):
        node.settled = True
        return
    change = changes.of(out) if node.order < changes.latest else None
    if change is not None and change.time > node.order:
        return  # the old values are lost, as the backward pass will say
    node.settled, call.out = True, call.kernel.stand_in(call.out)
    if watch.count:
        label(out, "activation", only="residual")
        for _, array in residuals(call):
            label(array, "residual", only="workspace")
