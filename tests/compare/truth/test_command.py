"""`python -m compare truth` as a person meets it, and the truths that a run records."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from compare import records
from compare.records import Line, Truth
from compare.settings import Settings
from compare.truth import LEFT, SOURCES
from compare.truth.command import Told, as_json, compared, print_table
from tests.compare.conftest import Command


def test_it_tells_every_truth_beside_the_plan_in_json(command: Command) -> None:
    done = command("truth", "--network", "mlp", "--batch", 64, "--engine", "forward-activations", "--backend", "numpy", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["network"], told["batch"], told["dtype"]) == ("mlp", 64, "float32")
    assert [truth["source"] for truth in told["truths"]] == list(SOURCES)
    truths = {truth["source"]: truth for truth in told["truths"]}
    assert all(truth["why"] if truth["measured"] is None else truth["measured"] > 0 for truth in truths.values())
    assert all((truth["ratio"] is None) == (truth["measured"] is None) for truth in truths.values())
    assert truths["XLA FLOPs"]["why"] == "the numpy backend compiles nothing"
    assert truths["torch FLOPs"]["why"] == "PyTorch's step is a reverse one, without checkpoints"
    assert truths["tracemalloc"]["ratio"] == pytest.approx(1, abs=0.2)  # 60 KB, most of them Python's objects
    assert truths["XLA FLOPs"]["planned"] == 671978


def test_a_run_records_what_is_measured_in_no_time(small_run: list[Line], small_settings: Settings) -> None:
    found = [line for line in small_run if isinstance(line, Truth)]
    names = [strategy.name for strategy in small_settings.strategies]
    assert [(truth.strategy, truth.source) for truth in found] == [(name, source) for name in names for source in SOURCES]
    memories = {line.strategy: line for line in small_run if isinstance(line, records.Memory)}
    for truth in found:
        if truth.source == "tracemalloc":
            assert truth.measured == memories[truth.strategy].measured_peak
            assert memories[truth.strategy].measured_by == f"{truth.source}: {truth.measures}"
        if SOURCES[truth.source].dear:
            assert truth.measured is None
            assert truth.why == LEFT or SOURCES[truth.source].name in ("torch FLOPs", "hardware FLOPs")


def test_records_with_truths_are_read_again(small_run: list[Line], tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(records.encode(small_run))
    assert records.read(path) == small_run


TRUTHS = (
    Truth("reverse", "numpy", "tracemalloc", "peak of one step", "bytes", 2048, 1024),
    Truth("reverse", "numpy", "XLA FLOPs", "operations of the step", "operations", None, 5, "the numpy backend compiles nothing"),
    Truth("reverse", "jax", "XLA FLOPs", "operations of the step", "operations", 1_000_000, 990_000),
)


def test_the_table_names_what_is_missing_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told((Settings(network="mlp"),), TRUTHS, "A multiply-add counts 2 operations.")
    print_table(told, Console(width=80, force_terminal=False))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["tracemalloc", "2", "KiB", "1", "KiB", "0.500"] for line in lines)
    assert any(line.split()[:2] == ["XLA", "FLOPs"] and line.endswith("0.990") for line in lines)
    assert "  no XLA FLOPs: the numpy backend compiles nothing" in lines
    assert all(len(line) <= 80 for line in lines)
    assert lines[-1].endswith("A multiply-add counts 2 operations.")
    assert [truth["ratio"] for truth in as_json(told)["truths"]] == [0.5, None, 0.99]
    assert compared(TRUTHS[1]) is None
