"""Predicted seconds, from the calibration of this machine where there is one."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from diffcore.ledger import Ledger


@cache
def calibration() -> Any:
    """The calibration of this machine, or None where it was never made."""
    try:
        return importlib.import_module("compare.calibration").load()
    except ModuleNotFoundError:
        return None


def options() -> dict[str, bool]:
    """What a ledger is opened with, so that seconds can be told of it."""
    return {"works": True} if calibration() is not None else {}


def seconds_of(ledger: Ledger) -> float | None:
    """The seconds that what `ledger` has booked is predicted to take, or None without a calibration."""
    found = calibration()
    return None if found is None else float(found.seconds(ledger.work))  # type: ignore[attr-defined]
