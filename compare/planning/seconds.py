"""Predicted seconds, from the calibration of this machine where there is one."""

from __future__ import annotations

from functools import cache

from compare.calibration.model import Calibration
from compare.calibration.store import UncalibratedError, load
from diffcore.ledger import Ledger


@cache
def calibration() -> Calibration | None:
    """The calibration of this machine, or None where it was never made. Raises `InputError` for a file that is none."""
    try:
        return load()
    except UncalibratedError:
        return None


def notes() -> list[str]:
    """One line where seconds cannot be told, and why; one where overheads of the calibration are missing."""
    found = calibration()
    if found is not None:
        return [found.warning] if found.warning else []
    try:
        load()
    except UncalibratedError as error:
        return [f"Ways are ranked by operations, and no seconds are told: {error}."]
    return []


def options() -> dict[str, bool]:
    """What a ledger is opened with, so that seconds can be told of it."""
    return {"works": True} if calibration() is not None else {}


def seconds_of(ledger: Ledger) -> tuple[float, float] | tuple[None, None]:
    """The seconds that what `ledger` has booked is predicted to take, and how many more at half the pace; None without a calibration."""
    found = calibration()
    return (None, None) if found is None else found.told(ledger.work)
