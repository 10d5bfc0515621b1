"""Optimizers over reverse-mode parameters; what needs no engine is the same class as in `dualdiff.optim`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from diffcore import optim
from diffcore.optim import *
from diffcore.optim import newton, newton_cg
from revdiff.optim import lr_scheduler
from revdiff.transforms import grad, vjp


class Newton(newton.Newton):
    """`diffcore.optim.Newton` on reverse-mode Hessians."""

    @property
    def _engine(self) -> Any:
        return sys.modules["revdiff"]


class NewtonCG(newton_cg.NewtonCG):
    """`diffcore.optim.NewtonCG` on reverse-mode Hessian-vector products."""

    @property
    def _engine(self) -> Any:
        return sys.modules["revdiff"]

    def _products(self, loss: Callable[..., Any], values: list[Any]) -> Callable[[list[Any]], list[Any]]:
        """One recording serves all products."""
        _, pullback = vjp(grad(loss), values)
        return lambda along: pullback(along)[0]


__all__ = ["Newton", "NewtonCG", "lr_scheduler"]
__all__ += optim.__all__
