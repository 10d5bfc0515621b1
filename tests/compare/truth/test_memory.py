"""Memory by tracemalloc, by the resident set and by the device: of steps whose peak is known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compare.truth import SOURCES, Unavailable, told
from compare.truth import device as device_memory
from compare.truth.resident import CLEAR
from tests.compare.truth.steps import planned

MIB = 1 << 20


def big(x: Any, y: Any) -> None:
    """48 MiB at the peak, every page of it written."""
    first = np.full(16 * MIB, 1, np.uint8)
    second = np.full(32 * MIB, 2, np.uint8)
    del first, second


def test_tracemalloc_sees_the_peak() -> None:
    source, work = SOURCES["tracemalloc"], planned(big, network="mlp")
    assert source.missing(work) == ""
    assert source.measure(work) == pytest.approx(48 * MIB, rel=0.01)
    assert work.steps == 2


@pytest.mark.skipif(not CLEAR.exists(), reason="no /proc/self/clear_refs")
def test_the_resident_set_grows_by_the_peak() -> None:
    source, work = SOURCES["RSS"], planned(big, network="mlp")
    assert source.missing(work) == ""
    assert source.measure(work) == pytest.approx(48 * MIB, rel=0.05)


def test_a_real_steps_peak_is_what_the_ledger_planned() -> None:
    """A wide network, so that Python's objects count for little."""
    from tests.compare.truth.test_xla import work

    step = work("mlp", "reverse", {"width": 512, "depth": 2, "batch": 512}, backend="numpy")
    found = told(SOURCES["tracemalloc"], step)
    assert found.measured is not None
    assert found.measured > 4 * MIB
    assert found.planned == pytest.approx(found.measured, rel=0.03)
    assert (found.strategy, found.backend, found.unit, found.why) == ("reverse", "numpy", "bytes", "")


class Device:
    """One that counts as graphics processors do: 1000 bytes at rest, 1700 at the peak."""

    platform, device_kind = "gpu", "imaginary"

    def __init__(self, *fields: str) -> None:
        self.fields = fields

    def memory_stats(self) -> dict[str, int]:
        return {name: {"bytes_in_use": 1000, "peak_bytes_in_use": 1700}[name] for name in self.fields}


def test_a_device_tells_its_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    source, work = SOURCES["device memory"], planned(network="mlp", backend="jax")
    whole = Device("bytes_in_use", "peak_bytes_in_use")
    monkeypatch.setattr(device_memory, "_device", lambda: whole)
    assert source.missing(work) == ""
    assert source.measure(work) == 700
    part = Device("bytes_in_use")
    monkeypatch.setattr(device_memory, "_device", lambda: part)
    with pytest.raises(Unavailable, match="imaginary counts no peak_bytes_in_use"):
        source.measure(work)
    none = SimpleNamespace(platform="cpu", memory_stats=lambda: None)
    monkeypatch.setattr(device_memory, "_device", lambda: none)
    assert source.missing(work) == "cpu devices have no memory_stats"
    assert source.missing(planned(network="mlp")) == "the numpy backend computes on the processor"
