"""`show --schedule`, and checkpointed reverse mode as a way of differentiating that is measured."""

import pytest

from compare import experiment, measure, records, show
from compare.errors import InputError
from compare.settings import Settings
from compare.strategies import STRATEGIES

SMALL = Settings(depth=8, memory="50KB", engines=("reverse-checkpoint",))


def test_the_schedule_is_drawn(command):
    run = command("show", "--schedule", "--network", "mlp", "--depth", "8", "--memory", "50KB")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "mlp 64-32-32-32-32-32-32-32-32-10, batch 64, float32"
    assert lines[2].startswith("optimal: 17 layers in 17 steps")
    assert lines[-1].endswith("reverse 0:1")
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("what", ["--schedule", "--saved"])
def test_a_deep_net_has_80_columns_too(command, what):
    lines = command("show", what, "--network", "mlp", "--depth", "60", "--batch", "1").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    title = "".join(line.removeprefix("  ") for line in lines[: lines.index("")])
    assert title == f"mlp 64-{'32-' * 60}10, batch 1, float32"


def test_what_cannot_be_shown_is_told(command):
    assert "nothing to show: say what, with --saved or --schedule" in command("show").stderr
    run = command("show", "--schedule", "--memory", "1KB")
    assert run.returncode == 2
    assert "`memory` (=1000 bytes) is below what one segment needs for mlp 64-32-10: at least" in run.stderr
    with pytest.raises(InputError, match="network 'linear' has no schedule"):
        show.scheduled(Settings(network="linear"))


def test_it_is_measured_when_it_is_asked_for():
    assert "reverse-checkpoint" not in {strategy.name for strategy in Settings().strategies}
    assert "--engine all" in Settings().command
    both = Settings(engines=("all", "reverse-checkpoint"))
    assert [strategy.name for strategy in both.strategies] == list(STRATEGIES)
    assert "--engine all --engine reverse-checkpoint" in both.command


def test_recomputation_is_counted_and_the_memory_kept():
    plain = measure.counted(SMALL, STRATEGIES["reverse"], "float32")
    found = measure.counted(SMALL, STRATEGIES["reverse-checkpoint"], "float32")
    assert found.memory == 50_000
    assert 0.9 * show.scheduled(SMALL).flops <= found.flops.pop("recompute") <= show.scheduled(SMALL).flops
    assert found.flops == plain.flops
    assert found.planned_peak < plain.planned_peak
    usual = measure.counted(Settings(depth=8), STRATEGIES["reverse-checkpoint"], "float32")
    assert usual.memory is None
    assert 0 < usual.flops["recompute"] <= usual.flops["primal"]
    with pytest.raises(InputError, match=r"is below what one segment of reverse-checkpoint needs for mlp .*: at least \d+ would do"):
        measure.counted(Settings(memory=1000), STRATEGIES["reverse-checkpoint"], "float32")


def test_its_records_say_how(small_run):
    arithmetic = next(line for line in small_run if isinstance(line, records.Arithmetic) and line.strategy == "reverse-checkpoint")
    assert arithmetic.flops["recompute"] > 0
    note = next(line.note for line in small_run if isinstance(line, records.Strategy) and line.name == "reverse-checkpoint")
    assert note.startswith("some values between layers are kept")
    assert experiment._megabytes(60_000) == "0.06"
    assert experiment._megabytes(64_000_000) == "64"
