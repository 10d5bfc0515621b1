"""The experiments at a reduced size: seconds in all, and the verdicts are the same."""

from dataclasses import replace
from typing import Any

import pytest

from compare.notes.catalogue import CLAIMS
from compare.notes.claim import Claim, Measured

SMALL = {
    "forward": {"width": 24, "depths": (2, 16), "inputs": (16, 64), "outputs": (16, 64), "hidden": 12, "batch": 16},
    "reverse": {"inputs": 16, "outputs": (1, 64), "hidden": (8, 24), "depths": (4, 16), "batch": 8, "timed": 0.01},
    "newton": {"features": 8, "examples": 60, "few": 4, "sizes": (64, 128), "solved": (64, 256), "descents": 300},
    "saddle": {"offsets": (1e-1, 1e-3, 1e-6), "budget": 900, "runs": 2},
    "vanishing": {"depth": 18, "width": 32, "batch": 48, "steps": (5, 30), "hidden": 4},
    "relu": {"units": 12, "examples": 32, "steps": 700, "lr": 0.4, "rates": (0.03, 3.0)},
    "dropout": {"values": 16, "draws": 2000},
    "decay": {"features": 10, "relevant": 3, "examples": 40, "settled": 600},
    "fitting": {"degrees": (0, 1, 3, 6, 9, 12), "sizes": (12, 40, 200), "repeats": 6, "widths": (6, 24, 200)},
    "xor": {"nets": 12, "steps": 300, "widths": (1, 2, 16), "epochs": 30},
    "convolution": {"size": 10, "channels": 2, "largest": (7, 3, 1, 3)},
    "batch": {"features": 32, "hidden": 16, "sizes": (1, 16, 64, 256, 1024), "timed": 0.02, "rounds": 1},
    "norm": {"features": 6, "sizes": (2, 8), "trials": 10, "history": 10},
}
"""Settings of each experiment."""
TINY = {
    "newton": {"sizes": (8, 16), "solved": (16, 32), "descents": 20},
    "saddle": {"offsets": (1e-1, 1e-2, 1e-3), "budget": 60, "runs": 1},
    "relu": {"steps": 60},
    "decay": {"settled": 60},
    "fitting": {"repeats": 2},
    "xor": {"steps": 30, "epochs": 5},
}
"""What is smaller still where only one run is held against another; such a run may come out otherwise."""


def small(slug: str, **more: Any) -> Claim:
    (entry,) = (entry for entry in CLAIMS if entry.slug == slug)
    return replace(entry.load(), **{**SMALL[slug], **more})


@pytest.fixture(scope="session")
def measured():
    """The measurements of each experiment, made when they are first asked for."""
    found: dict[str, Measured] = {}

    def of(slug: str) -> Measured:
        if slug not in found:
            found[slug] = small(slug).measure()
        return found[slug]

    return of
