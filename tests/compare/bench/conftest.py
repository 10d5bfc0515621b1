"""Small subjects, and records of a benchmark that was never run."""

import pytest

from compare.bench.records import AT_LEAST, VERSION, BenchHeader, Entrant, Line, Measured, Target
from compare.bench.subjects import Subject
from compare.bench.wanted import GROUPS
from compare.records import Environment


@pytest.fixture
def mlp() -> Subject:
    return Subject("mlp", (7,), 5, 2, 6, classes=3)


@pytest.fixture
def lenet() -> Subject:
    return Subject("lenet", (1, 12, 12), 2, 1, 3)


@pytest.fixture
def lines() -> list[Line]:
    """Rows that are met, missed, without a bound and without a peer; of seconds, operations and bytes."""
    timed = Measured(
        "reverse-numpy",
        "MLP 1-1, batch 1",
        "seconds",
        [
            Entrant("ours", [2e-4, 3e-4, 18e-4]),
            Entrant("by hand", [1e-4, 1e-4, 9e-4]),
            Entrant("in parts", [1e-3, 1e-3, 1e-3], share=0.01, note="1 of 100 parts, scaled"),
            Entrant("a peer", [], absent="not installed"),
        ],
        [
            Target("ours", "by hand", 1.25),
            Target("in parts", "ours", 100.0, AT_LEAST),
            Target("ours", "a peer", 1.0),
            Target("in parts", "by hand"),
        ],
    )
    operations = [Entrant("jvp", [30_000.0]), Entrant("primal", [15_000.0])]
    counted = Measured("jvp", "Linear(2, 2)", "FLOPs", operations, [Target("jvp", "primal", 2.05)])
    kept = Measured("residuals", "net", "bytes", [Entrant("ours", [1001.0]), Entrant("theirs", [1000.0])], [Target("ours", "theirs", 1.0)])
    groups = {name: GROUPS[name] for name in ("reverse-numpy", "jvp", "residuals")}
    header = BenchHeader(VERSION, "python -m compare bench", "2026-01-02 03:04 UTC", groups, 12.3)
    return [header, Environment({"numpy": "2", "threads": "OMP_NUM_THREADS=2"}), timed, counted, kept]
