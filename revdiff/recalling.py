"""Pullbacks on shapes, remembered: what a kernel's adjoint came to once, it comes to whenever it meets such residuals and cotangents."""

from __future__ import annotations

from typing import Any

from diffcore.ledger import state
from diffcore.recalled import Unlike, frozen_params, traits


def recalled_pullback(node: Any, g: Any) -> Any:
    """The cotangents of a node's operands for that of its result; where it is known what comes of it, that is booked in the open ledger."""
    ledger: Any = state.ledger
    kernel, arrays = node.kernel, [*node.primals, node.out, *node.aux, g]
    try:
        ledger.recalled.check(kernel)
        shapes = tuple(node.shapes or ()), node.shape, node.needs, len(node.primals)
        key = kernel, "pullback", state.role, shapes, frozen_params(node.params), traits(ledger, arrays)
    except Unlike:
        return kernel.pullback(node, g, node.needs)
    return ledger.recalled.once(ledger, key, arrays, lambda: tuple(kernel.pullback(node, g, node.needs)))[1]
