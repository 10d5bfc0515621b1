"""Networks that plans are made of, and a machine without a calibration."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from compare.planning import seconds


@pytest.fixture(autouse=True)
def uncalibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No calibration of the machine that tests run on: ways are ranked by operations, on every machine alike."""
    monkeypatch.setenv("DIFFMODES_CALIBRATION", str(tmp_path / "none.json"))
    seconds.calibration.cache_clear()
    yield
    seconds.calibration.cache_clear()


def build(*widths: int) -> Callable[[Any], Any]:
    """A `build` of linear layers with tanh between them."""

    def made(nn: Any) -> Any:
        layers: list[Any] = []
        for n, m in pairwise(widths):
            layers += [nn.Linear(n, m), nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    return made
