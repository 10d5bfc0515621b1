"""The processor's own count: through a perf that stands in for the real one, which is rarely allowed to count."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compare.truth import SOURCES, counters, told
from compare.truth.repeat import main
from revdiff.optim import SGD
from tests.compare.truth.steps import planned

PERF = """#!{python}
import json, sys
words = sys.argv[1:]
target = words[words.index("-o") + 1]
events = [words[i + 1] for i, word in enumerate(words) if word == "-e"]
if {unknown} and any("umask" not in event for event in events):
    sys.stderr.write("event syntax error: 'fp'\\n                     \\\\___ parser error\\n")
    sys.exit(129)
if {broken}:
    sys.stderr.write("event syntax error: 'cpu/'\\n                     \\\\___ Cannot find PMU `cpu'. Missing kernel support?\\n")
    sys.exit(129)
told = json.loads(words[-1]) if words[-1] else [None, None, None, 0]
with open(target, "w") as out:
    for number, event in enumerate(events):
        out.write("{value}".format(5000 + 700 * told[-1]) + ";;" + event + ";1;100.00;;\\n")
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What is found out of the machine once is found out for every test."""
    counters.unavailable.cache_clear()
    yield
    counters.unavailable.cache_clear()


def stand_in(
    monkeypatch: pytest.MonkeyPatch, folder: Path, maker: str, *, unknown: bool = False, broken: bool = False, value: str = "{}"
) -> None:
    """A perf that counts 5000 operations and 700 a step of every event, on a processor by `maker`."""
    path = folder / "perf"
    text = PERF.format(python=sys.executable, unknown=unknown, broken=broken, value=value)
    path.write_text(text)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(counters, "vendor", lambda: maker)


@pytest.mark.parametrize(("maker", "weight"), [("AuthenticAMD", 1), ("GenuineIntel", 1 + 4 + 8 + 16 + 1 + 2 + 4 + 8)])
@pytest.mark.parametrize("unknown", [False, True], ids=["by name", "by code"])
def test_steps_are_counted_and_what_setting_up_costs_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, maker: str, weight: int, unknown: bool
) -> None:
    stand_in(monkeypatch, tmp_path, maker, unknown=unknown)
    work = planned(network="mlp")
    found = told(SOURCES["hardware FLOPs"], work)
    each = 700 * weight / counters.ELEMENTS
    assert (found.measured, found.why) == (round(700 * weight - each * sum(work.prepared.transcendentals.values())), "")


def test_why_there_is_no_count_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, work = SOURCES["hardware FLOPs"], planned(network="mlp")
    stand_in(monkeypatch, tmp_path, "AuthenticAMD", unknown=True, broken=True)
    assert source.missing(work) == "perf: Cannot find PMU `cpu'. Missing kernel support?"
    counters.unavailable.cache_clear()
    stand_in(monkeypatch, tmp_path, "AuthenticAMD", value="<not supported>")
    assert source.missing(work) == "the processor does not let fp_ret_sse_avx_ops.all be counted (perf: <not supported>)"
    counters.unavailable.cache_clear()
    stand_in(monkeypatch, tmp_path, "HygonGenuine")
    assert source.missing(work) == "no events are known of processors by HygonGenuine"
    counters.unavailable.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert source.missing(work) == "perf is not installed"


def test_on_this_machine_it_counts_the_plan_or_tells_why_not() -> None:
    """Of LeNet at its published size, where products are most of the work: within 3% of the plan with what convolutions do besides."""
    work = planned(network="lenet", width=6)
    found = told(SOURCES["hardware FLOPs"], work)
    if found.measured is None:
        assert found.why
    else:
        assert found.planned == pytest.approx(found.measured, rel=0.03)


def test_functions_are_taken_off_by_name_and_products_scale_their_results() -> None:
    work = planned(network="mlp", width=24, depth=1, batch=16)  # 64-24-10
    found = counters._transcendentals(work)
    assert found == {"tanh": 16 * 24, "exp": 16 * 10, "log": 16}
    assert sum(found.values()) == sum(work.prepared.transcendentals.values())
    results = 16 * 24 + 16 * 10 + 10 * 24 + 16 * 24 + 24 * 64  # two layers, and adjoints of two weights and one value
    assert counters.Counters().planned(work) == work.flops + 2 * results
    traced = planned(network="mlp", backend="jax")
    assert counters._transcendentals(traced) == {"tanh": sum(traced.prepared.transcendentals.values())}
    assert counters.Counters().planned(traced) == traced.flops


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_the_process_that_is_counted_computes_a_function(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    module = pytest.importorskip("numpy" if backend == "numpy" else "jax.numpy")
    sizes, tanh = [], module.tanh
    monkeypatch.setattr(module, "tanh", lambda x: (sizes.append(x.size), tanh(x))[1])
    main(f'["{backend}", "tanh", "float32", 10, 4]')
    assert sizes == [10] * 4
    main('["numpy", "power", "float64", 10, 1]')  # of two operands
    main('["numpy", "erf", "float32", 10, 1]')  # of scipy's


def test_the_process_that_is_counted_makes_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    made, update = [], SGD.step
    monkeypatch.setattr(SGD, "step", lambda self: made.append(update(self)))
    main('[{"network": "mlp"}, "reverse", null, 3]')
    assert len(made) == 3
