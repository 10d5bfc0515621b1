"""Checks of second derivatives: whole Hessians and products with them, in the four nestings of forward and reverse mode."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.check.engines import NESTINGS
from compare.check.trial import Trial
from diffcore import ops
from diffcore.kernels import registered
from diffcore.testing import expect_close, unchanged

SECOND = 1e-10
"""Tolerance of second derivatives in float64."""


def _double_backward(function: Any, primals: Any, along: Any) -> Any:
    """A Hessian-vector product the imperative way: `create_graph`, then `backward`."""
    xs = [revdiff.tensor(x, requires_grad=True) for x in primals]
    gradients = revdiff.autograd.grad(function(*xs), xs, create_graph=True)
    slope: Any = sum(ops.sum(ops.mul(g, v)) for g, v in zip(gradients, along, strict=True))
    slope.backward()
    return tuple(np.zeros_like(p) if x.grad is None else x.grad.numpy() for x, p in zip(xs, primals, strict=True))


def _numbers(primals: Any) -> tuple[int, ...]:
    return tuple(range(len(primals)))


PRODUCTS: dict[str, dict[str, Callable[..., Any]]] = {
    "forward over reverse": {"jvp of grad": lambda f, xs, vs: dualdiff.jvp(revdiff.grad(f, _numbers(xs)), xs, vs)[1]},
    "reverse over forward": {"vjp of grad": lambda f, xs, vs: revdiff.vjp(dualdiff.grad(f, _numbers(xs)), *xs)[1](vs)},
    "reverse over reverse": {"revdiff.hvp": revdiff.hvp, "create_graph": _double_backward},
    "forward over forward": {"dualdiff.hvp": dualdiff.hvp},
}
"""Products of the Hessian with a vector by nesting, called as `product(function, primals, along)`."""


def _expect_symmetric(trial: Trial) -> None:
    """The reference's second derivatives do not depend on the order of differentiation."""
    expected, operands = trial.hessian, trial.operands()
    for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(trial.variables), 2):
        turned, axes = expected[j][i], operands[b].ndim
        turned = np.moveaxis(turned, range(axes), range(-axes, 0)) if axes else turned
        expect_close(f"{trial.id}: symmetry of the Hessian in {a}, {b}", turned, expected[i][j], SECOND)


def nesting(name: str) -> Callable[[Trial], None]:
    """All second derivatives, and a product with them, by one nesting are the reference's."""
    _, hessians = NESTINGS[name]

    def check(trial: Trial) -> None:
        operands, scalar = trial.operands(), trial.scalar()
        if name == "reverse over reverse":  # of which the reference is one
            _expect_symmetric(trial)
        for way, hessian in hessians.items():
            with unchanged(f"{trial.id} {name}", list(operands)):
                found = hessian(scalar, trial.variables)(*operands)
            expect_close(f"{trial.id}: {name} ({way})", found, trial.hessian, SECOND)
        primals, along = trial.primals, trial.along
        expected = tuple(sum(np.tensordot(b, v, v.ndim) for b, v in zip(line, along, strict=True)) for line in trial.hessian)
        for way, product in PRODUCTS[name].items():
            if way != "create_graph" or registered()[trial.row.kernel].differentiable:
                expect_close(f"{trial.id}: {name} ({way})", product(trial.of_variables(scalar), primals, along), expected, SECOND)

    return check
