"""Optimizers over forward-mode parameters; what needs no engine is the same class as in `revdiff.optim`."""

from __future__ import annotations

import sys
from typing import Any

from diffcore.optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, ProximalSGD, RAdam, RMSprop, newton, newton_cg
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


__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Newton",
    "NewtonCG",
    "Optimizer",
    "ProximalSGD",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
]
