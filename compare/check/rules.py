"""Checks of a kernel's rules by themselves, without an engine."""

from __future__ import annotations

import numpy as np

from compare.check.trial import Trial
from diffcore.kernels.record import Call
from diffcore.testing import CheckFailed, active, check_derivative, check_rules
from diffcore.testing.checks import push


def runs_its_kernel(trial: Trial) -> None:
    """The program of a row calls the kernel that the row is for."""
    if trial.row.kernel not in [call.kernel.name for call in trial.calls]:
        raise CheckFailed(f"{trial.id}: the kernel is never called, only {sorted({call.kernel.name for call in trial.calls})}")


def adjoint(trial: Trial) -> None:
    """Both rules of every call are adjoint to each other and consistent with themselves; infinite slopes at a kink say nothing."""
    for call in trial.differentiable_calls:
        if trial.row.smooth or is_finite(call):
            check_rules(call, trial.row.rng)


def is_finite(call: Call) -> bool:
    """Whether value and derivative of a call are finite."""
    ones = {i: np.ones_like(call.primals[i]) for i in active(call)}
    return bool(np.isfinite(call.out).all() and np.isfinite(push(call, ones)).all())


def derivative(trial: Trial) -> None:
    """The pushforward of every call is the derivative of its value."""
    for call in trial.differentiable_calls:
        method = check_derivative(call, trial.row.rng)
        if call.kernel.name == trial.row.kernel:
            trial.methods.add(method)
