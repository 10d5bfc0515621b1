"""PyTorch as an outside oracle, ambiguous points included. It is imported here and nowhere else, and only when it is asked."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

import revdiff
from compare.check.first_order import FIRST
from compare.check.on_jax import VALUE
from compare.check.second_order import SECOND
from compare.check.trial import Trial
from diffcore.testing import expect_close


def by_torch(t: Trial) -> None:
    """PyTorch computes the same value, gradient (also at a kink) and second derivatives."""
    torch = _torch()
    operands = t.operands()
    tensors = [torch.tensor(np.array(x), requires_grad=i in t.variables) for i, x in enumerate(operands)]
    out = _program(t)(torch, *tensors)
    expect_close(f"{t.id}: value by torch", t.value, out.detach().numpy(), VALUE)
    if not t.has_derivative:
        return
    weights = torch.tensor(np.asarray(t.row.rng.uniform(0.5, 1.5, t.value.shape)))
    gradients = torch.autograd.grad((out * weights).sum(), [tensors[i] for i in t.variables])
    found = revdiff.grad(t.scalar(squared=False), t.variables)(*operands)
    expect_close(f"{t.id}: gradient by torch", found, tuple(g.numpy() for g in gradients), FIRST)
    if not t.row.smooth or any(np.size(x) == 0 for x in operands):
        return

    def scalar(*values: Any) -> Any:
        full = list(tensors)
        for i, v in zip(t.variables, values, strict=True):
            full[i] = v
        return (_program(t)(torch, *full) ** 2 * weights).sum()

    hessian = torch.autograd.functional.hessian(scalar, tuple(tensors[i].detach() for i in t.variables))
    expect_close(f"{t.id}: hessian by torch", t.hessian, tuple(tuple(h.numpy() for h in line) for line in hessian), SECOND)


@cache
def _torch() -> Any:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)  # operands are tiny, and threads of several processes that check would wait for one another
    return torch


def _program(t: Trial) -> Any:
    assert t.row.torch is not None
    return t.row.torch
