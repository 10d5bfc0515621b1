"""Optimizers over forward-mode parameters; what needs no engine is the same class as in `revdiff.optim`."""

from __future__ import annotations

import sys
from typing import Any

from diffcore import optim
from diffcore.optim import *
from diffcore.optim import newton, newton_cg
from dualdiff.optim import lr_scheduler


class Newton(newton.Newton):
    """`diffcore.optim.Newton` on forward-mode Hessians."""

    @property
    def _engine(self) -> Any:
        return sys.modules["dualdiff"]


class NewtonCG(newton_cg.NewtonCG):
    """`diffcore.optim.NewtonCG` on forward-mode Hessian-vector products."""

    @property
    def _engine(self) -> Any:
        return sys.modules["dualdiff"]


__all__ = ["Newton", "NewtonCG", "lr_scheduler"]
__all__ += optim.__all__
