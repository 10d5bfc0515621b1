"""Why a check has nothing to say of a row: each function names the rows it lets through, and returns the reason for the others."""

from __future__ import annotations

from compare.check.trial import Trial


def never(trial: Trial) -> str:
    """Every row."""
    return ""


def without_derivative(trial: Trial) -> str:
    """Rows that have a derivative."""
    return "" if trial.has_derivative else "no derivative"


def not_smooth(trial: Trial) -> str:
    """Rows that have a derivative and are not at a kink."""
    return without_derivative(trial) or ("" if trial.row.smooth else "at a kink")


def without_torch(trial: Trial) -> str:
    """Rows that say what PyTorch calls it."""
    return "" if trial.row.torch is not None else "no such function in torch"


def a_cast(trial: Trial) -> str:
    """Rows that have a derivative and do not say themselves which dtype they are in."""
    return without_derivative(trial) or ("a cast decides for itself" if trial.row.kernel == "astype" else "")
