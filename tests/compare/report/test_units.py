from __future__ import annotations

import pytest

from compare.report import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (9.2e-8, "92 ns"),
        (91.23e-6, "91.2 µs"),
        (0.00026, "260 µs"),
        (0.01998, "20.0 ms"),
        (0.9999, "1.00 s"),
        (75.4, "75.4 s"),
    ],
)
def test_durations(seconds, text):
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (512, "512 B"), (1024, "1 KiB"), (112_000, "109 KiB"), (9_870_000, "9.41 MiB"), (1023 * 1024, "1023 KiB")],
)
def test_sizes(amount, text):
    assert units.size(amount) == text


@pytest.mark.parametrize(("amount", "text"), [(17, "17 FLOP"), (681_152, "681 kFLOP"), (999_950, "1.00 MFLOP"), (2.0e10, "20 GFLOP")])
def test_operations(amount, text):
    assert units.operations(amount) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.0×"), (2.94, "2.9×"), (9.96, "10×"), (1204.4, "1,204×"), (0.534, "0.53×"), (None, "—")]
)
def test_ratios(value, text):
    assert units.ratio(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (2.1e-15, "3e-15"), (3e-15, "3e-15"), (9.5e-11, "1e-10"), (0.0123, "0.02"), (float("nan"), "nan")]
)
def test_an_upper_bound_is_never_rounded_down(value, text):
    assert units.at_most(value) == text
    assert not float(text) < value


def test_powers_are_superscripts():
    assert units.power(-16) == "10⁻¹⁶"
