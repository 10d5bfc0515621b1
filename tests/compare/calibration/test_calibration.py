"""Predictions are sums of prices; calibrations are kept strictly and belong to one machine."""

import itertools
import json
import math
import os
import statistics

import msgspec
import numpy as np
import pytest

import compare
from compare.bench.groups import prediction
from compare.bench.records import AT_LEAST, Measured, Target
from compare.bench.summary import rows_of
from compare.bench.wanted import Limits, Wanted
from compare.calibration import Calibration, company, load, path, probes, programs, read, save
from compare.calibration.curves import Curve, Products, not_falling, rising
from compare.calibration.model import KINDS, RULES, TOGETHER, VERSION
from compare.calibration.programs import evaluated
from compare.calibration.store import VARIABLE, this_machine
from compare.calibration.terminal import rows
from compare.calibration.walks import Walk
from compare.cli import _main
from compare.errors import InputError
from compare.planning import seconds
from compare.settings import Settings
from compare.strategies import STRATEGIES
from diffcore.ledger import Work

SIZES = [1, 2, 8, 64]
US = 1e-6


def walk(scale=1.0):
    return Walk(call=1 * US * scale, walk=0.5 * US, loop=0.01 * US, still=0.02 * US, element=1e-9 * scale, strided=3e-9 * scale)


def made(**changes):
    """A calibration of round numbers: products at a multiply-add per nanosecond, but no less than 10 ns."""
    seconds = [[[max(m * n * k, 10) * 1e-9 for k in SIZES] for n in SIZES] for m in SIZES]
    operations = {"make": 1, "concatenate": 2, "record": 3, "push": 10, "site": 20, "update": 5, "turn": 7, "chain": -1}
    operations |= {"step revdiff": 40, "step dualdiff": 90, "checkpoint": 30, "segment": 50, "segment again": 8}
    operations |= {"view getitem": 0.2, "view transpose": 0.3, "kernel tanh": 2, "op tanh": 1, "pullback tanh": 4, "pushforward tanh": 6}
    names = ("add", "where", "copy", "put", "gather", "scatter", "draw", "add.reduce", "maximum")
    walks = {name: walk() for name in names} | {"exp": walk(4.0), "scatter far": walk(8.0), "gather far": walk(6.0)}
    given = {
        "version": VERSION,
        "machine": this_machine(),
        "created": "2026-01-01T00:00:00+00:00",
        "took": 12.0,
        "gauge": 60 * US,
        "pace": 1.0,
        "walks": {"float32": walks, "float64": walks},
        "traffic": Curve([1e4, 1e6], [1e-11, 1e-10]),
        "buffers": Curve([1e3, 1e6], [1e-7, 1e-4], beyond=1.0),
        "call": 2 * US,
        "products": {"float32": Products(SIZES, seconds)},
        "operations": {name: value * US for name, value in operations.items()},
    }
    return Calibration(**(given | changes))


PRICES = {
    "a call and its elements": (Work("add", "float32", (1000, 1, 12000, 0)), 1 * US + 1000e-9),
    "several inner loops": (Work("add", "float32", (1000, 10, 12000, 0)), 1 * US + 0.5 * US + 10 * 0.01 * US + 1000e-9),
    "a column": (Work("add", "float32", (1000, 10, 8040, 2)), 1 * US + 0.5 * US + 10 * 0.02 * US + 1000e-9),
    "strides": (Work("add", "float32", (1000, 1, 12000, 1)), 1 * US + 3000e-9),
    "a dear function": (Work("exp", "float32", (1000, 1, 8000, 0)), 4 * US + 4000e-9),
    "one like it": (Work("minimum", "float32", (10, 1, 120, 0)), 1 * US + 10e-9),
    "memory where it is slower": (Work("add", "float32", (10, 1, 10**6, 0)), 1 * US + 10**6 * 1e-10),
    "a byte of a far buffer": (Work("far", "", (10**4, 10**6)), 9e-11),
    "a byte of a buffer further away": (Work("far", "", (10**4, 10**7)), 9e-11),
    "products": (Work("matmul", "float32", (5, 8, 8, 64)), 2 * US + 5 * 8 * 8 * 64e-9),
    "products of another dtype": (Work("matmul", "float16", (1, 8, 8, 8)), 2 * US + 512e-9),
    "larger products than measured": (Work("matmul", "float32", (1, 640, 64, 64)), 2 * US + 640 * 64 * 64e-9),
    "a gather": (Work("gather", "float32", (100,)), 1 * US + 100e-9),
    "a scatter over a large buffer": (Work("scatter far", "float32", (100,)), 8 * US + 800e-9),
    "random numbers": (Work("draw", "float32", (100,)), 1 * US + 100e-9),
    "a buffer": (Work("allocate", "", (10**6,)), 100 * US),
    "a larger buffer": (Work("allocate", "", (10**7,)), 1000 * US),
    "a few bytes": (Work("allocate", "", (8,)), 0.0),
    "a join, beside what is put": (Work("concatenate", "float32", (4,)), 0.0),
    "a join that takes longer": (Work("concatenate", "float32", (1,)), 1 * US),
    "a view": (Work("view", "getitem", ()), 0.2 * US),
    "a kernel in an engine, and its operation's checks": (Work("apply", "tanh", ()), 3 * US),
    "a case of a kernel, which nobody has timed": (Work("apply", "tanh pointwise", ()), 1 * US),
    "a segment's first run": (Work("segment", "first", ()), 50 * US),
    "a run of a segment that keeps nothing": (Work("segment", "again", ()), 8 * US),
    "a kernel in a rule": (Work("kernel", "tanh", ()), 2 * US),
    "a rule": (Work("pullback", "tanh", ()), 4 * US),
    "what is recorded": (Work("record", "tanh", ()), 3 * US),
    "steps of a recurrent layer": (Work("turn", "lstm", (8,)), 8 * 7 * US),
    "what a chain saves": (Work("chain", "revdiff", (3,)), -3 * 1 * US),
    "a step": (Work("step", "dualdiff", ()), 90 * US),
    "an update": (Work("update", "Adam", ()), 5 * US),
    "what is known of nothing": (Work("pullback", "nothing", ()), 0.0),
}


@pytest.mark.parametrize("name", PRICES)
def test_a_call_is_priced_by_the_formula(name):
    work, seconds = PRICES[name]
    assert made().seconds(work) == pytest.approx(seconds, rel=1e-12)
    assert made(pace=0.5).seconds(work) == pytest.approx(seconds / 2, rel=1e-12)


def test_a_prediction_is_the_sum_of_its_parts():
    counted = {work: 3 + number for number, (work, _) in enumerate(PRICES.values())}
    expected = sum(counted[work] * seconds for work, seconds in PRICES.values())
    calibration = made()
    assert calibration.seconds(counted) == pytest.approx(expected, rel=1e-12)
    parts = calibration.parts(counted)
    assert sum(parts.values()) == pytest.approx(expected, rel=1e-12)
    assert list(parts.values()) == sorted(parts.values(), reverse=True)
    assert parts["chain"] < 0
    assert parts["pullback"] == pytest.approx(counted[PRICES["a rule"][0]] * 4 * US)
    assert calibration.seconds({}) == 0


def test_factors_scale_the_prices_of_their_kinds():
    factors = dict(zip(KINDS, (2.0, 3.0, 5.0, 7.0, 11.0, 13.0), strict=True))
    scaled = made(factors=factors)
    for work, price in PRICES.values():
        own = made().kinds(work)
        assert sum(own.values()) == pytest.approx(price)
        assert scaled.kinds(work) == own
        part = {kind: int(work.function in RULES) / TOGETHER if kind in ("numpy", "engines") else 1.0 for kind in KINDS}
        assert scaled.seconds(work) == pytest.approx(sum((1 + (factors[kind] - 1) * part[kind]) * own[kind] for kind in KINDS))
    kinds = {name: {kind for kind, price in made().kinds(work).items() if price} for name, (work, _) in PRICES.items()}
    assert kinds["products"] == {"numpy", "products"}
    assert kinds["strides"] == {"numpy", "elements"}
    assert kinds["a buffer"] == {"elements"}
    assert kinds["a byte of a far buffer"] == {"memory"}
    assert kinds["a larger buffer"] == kinds["a byte of a buffer further away"] == {"streams"}
    assert kinds["a view"] == {"numpy"}
    assert kinds["a rule"] == kinds["what is recorded"] == {"engines"}


def test_rules_take_longer_in_turn_with_others():
    """Once each, and the more the more there are; then the factors of code count, too."""
    firsts = {f"first pullback k{i}": 6 * US for i in range(2 * TOGETHER)} | {f"pullback k{i}": 1 * US for i in range(2 * TOGETHER)}
    told = made(operations=made().operations | firsts)
    slower = msgspec.structs.replace(told, factors={"engines": 3.0, "elements": 5.0})
    for many, part in ((1, 1 / TOGETHER), (TOGETHER // 2, 0.5), (TOGETHER, 1.0), (2 * TOGETHER, 1.0)):
        work = {Work("pullback", f"k{i}", ()): 4 for i in range(many)}
        assert told.seconds(work) == pytest.approx(many * (4 + 6 * part) * US)
        assert slower.seconds(work) == pytest.approx(many * (4 + 6 * part) * US * (1 + 2 * part))


def test_factors_are_those_that_bring_probes_to_what_they_take():
    rng = np.random.default_rng(0)
    true = np.array([0.8, 1.5, 1.1, 1.3, 1.2, 0.9])
    rows = rng.dirichlet(np.ones(6), 40_000) / true  # of which each adds up to 1 with the factors
    rows /= (rows @ true)[:, None]
    assert list(probes.fitted(rows.tolist()).values()) == pytest.approx(true.tolist(), rel=5e-3)
    assert list(probes.fitted([[0.5, 0.5, 0.0, 0.0, 0.0, 0.0]] * 9).values()) == pytest.approx([1.0] * 6)
    assert list(probes.fitted((0.9 * rows).tolist(), [0.1] * len(rows)).values()) == pytest.approx(true.tolist(), rel=5e-3)
    low, high = probes.BOUNDS
    assert probes.fitted([[100.0, 0.0, 0.0, 0.0, 0.0, 0.0]] * 9)["numpy"] == low
    assert probes.fitted([[0.01, 0.0, 0.0, 0.0, 0.0, 0.0]] * 10**6)["numpy"] == high


def test_what_engines_do_is_told_apart(monkeypatch):
    """Programs that take just what they consist of give back what each part takes."""
    takes = {"record": 3, "chain": -1, "push": 20, "site": 15, "turn": 2, "update": 5, "checkpoint": 70, "segment": 110, "segment again": 15}
    takes = {name: value * US for name, value in (takes | {"step revdiff": 30, "step dualdiff": 90}).items()}
    timed = {}

    class Watch:
        def seconds(self, work):
            return sum(n * size * takes[of] if of in takes else n * US for _, n, of, size in timed[work].deeds())

    class Noted(programs.Timed):
        def __init__(self, run, work):
            super().__init__(run, work)
            timed[run] = self

    monkeypatch.setattr(programs, "Timed", Noted)
    found = programs.operations(Watch(), lambda works: sum(works.values()) * US)
    assert {name: found[name] for name in takes} == pytest.approx(takes)
    assert found["update Adam"] == pytest.approx(5 * US)


def test_cases_of_kernels_are_timed_apart():
    calls = engines.examples("float32")
    assert {call.kernel.name for call in calls["conv pointwise"]} == {"conv"}
    assert all(call.primals[1].shape[2:] == (1,) for call in calls["conv pointwise"])
    assert all(call.primals[1].shape[2:] != (1,) for call in calls["conv"])
    assert all(calls[name] for name in ("tanh", "conv_weight pointwise", "conv_transpose pointwise"))


def test_operations_are_timed_beside_their_kernels(monkeypatch):
    class Watch:
        def seconds(self, work, *, patience):
            work()
            return 100 * US

    rows = {name: given for name, given in engines._table().items() if name in ("conv", "tanh", "solve")}
    monkeypatch.setattr(engines, "_table", lambda: rows)
    found = engines.wrappers(Watch(), "float32", lambda works: 10 * US)
    assert found.keys() == {f"op {name}" for name in rows}
    assert found["op conv"] == pytest.approx(90 * US)
    assert all(0 <= seconds <= 90.01 * US for seconds in found.values())


def test_operands_lie_apart_within_their_pages():
    x, y = (walks._numbers((1, 2048), "float32", place) for place in (0, 1))
    assert (y.ctypes.data - x.ctypes.data) % 4096 == walks.APART_IN_PAGE
    assert np.array_equal(x, y)
    assert x.flags.c_contiguous
    assert x.flags.aligned


def test_probes_are_networks_that_train():
    for build, shapes in probes.PROBES:
        program = evaluated(STRATEGIES["reverse"], build, shapes[0])
        value, gradients = program.run()
        assert value > 0
        assert all(np.isfinite(gradient).all() for gradient in gradients.values())
        row, rest = probes.parts(made(), program, 1e-3)
        assert sum(row) + rest == pytest.approx(made().seconds(program.work) / 1e-3)


# curves


def test_a_curve_goes_through_what_was_measured_and_never_falls():
    curve = rising([1, 10, 100, 1000], [2.0, 1.0, 5.0, 4.0], beyond=1.0)
    assert curve.values == pytest.approx([math.sqrt(2), math.sqrt(2), math.sqrt(20), math.sqrt(20)])  # the means of those that fall
    found = [curve.at(size) for size in np.geomspace(0.1, 1e5, 200)]
    assert all(a <= b * (1 + 1e-12) for a, b in itertools.pairwise(found))
    assert curve.at(0.1) == pytest.approx(math.sqrt(2))
    assert curve.at(100) == pytest.approx(math.sqrt(20))
    assert curve.at(math.sqrt(10 * 100)) == pytest.approx((2 * 20) ** 0.25)
    assert curve.at(1e5) == pytest.approx(100 * math.sqrt(20))
    assert not_falling([3.0, 1.0, 1.5, 8.0]) == pytest.approx([4.5 ** (1 / 3)] * 3 + [8.0])


def test_products_grow_with_each_of_their_sizes():
    products = made().products["float32"]
    dims = [2, 3, 8, 20, 64, 100]
    for m, n, k in itertools.product(dims, repeat=3):
        here = products.at(m, n, k)
        assert products.at(m + 5, n, k) >= here
        assert products.at(m, n + 5, k) >= here
        assert products.at(m, n, k + 5) >= here
    assert products.at(8, 64, 2) == pytest.approx(1024e-9)
    assert products.at(0, 1, 1) == products.at(1, 1, 1)


@pytest.mark.parametrize(
    ("sizes", "values"), [([], []), ([1.0], [1.0, 2.0]), ([2.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [2.0, 1.0]), ([1.0], [0.0]), ([0.0], [1.0])]
)
def test_what_is_no_curve_is_refused(sizes, values):
    with pytest.raises(ValueError, match=r"must|needs"):
        Curve(sizes, values)


@pytest.mark.parametrize("seconds", [[], [[[1.0]]], [[[1.0, -1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]])
def test_what_is_no_cube_of_products_is_refused(seconds):
    with pytest.raises(ValueError, match="must"):
        Products([1, 2], seconds)


# the file


@pytest.fixture
def kept(tmp_path, monkeypatch):
    target = tmp_path / "folder" / "calibration.json"
    monkeypatch.setenv(VARIABLE, str(target))
    return target


def test_round_trip(kept):
    assert path() == kept
    assert save(made()) == kept
    assert load() == read() == made()
    assert json.loads(kept.read_text())["operations"]["record"] == 3 * US


def test_it_is_kept_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert path() == tmp_path / "diffmodes" / "calibration.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
    assert path().is_absolute()


@pytest.mark.parametrize("name", ["processor", "cores", "threads", "numpy", "BLAS", "diffmodes"])
def test_one_of_another_machine_is_not_used(kept, name):
    save(made(machine=this_machine() | {name: "another one"}))
    with pytest.raises(InputError, match=rf"of another {name} \('another one', here .*compare calibrate"):
        load()
    assert read().machine[name] == "another one"


def changed(**changes):
    return json.dumps(msgspec.to_builtins(made()) | changes).encode()


BAD = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "another object": b'{"a": 1}',
    "an unknown field": changed(colour="red"),
    "a number that is text": changed(call="2"),
    "a curve that falls": changed(traffic={"sizes": [1, 2], "values": [2.0, 1.0], "beyond": 0.0}),
    "a cube with a hole": changed(products={"float32": {"sizes": [1, 2], "seconds": [[[1.0]]]}}),
    "another version": changed(version=99),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_calibration_is_told_in_one_line(kept, name):
    kept.parent.mkdir()
    kept.write_bytes(BAD[name])
    with pytest.raises(InputError, match="compare calibrate") as caught:
        load()
    assert str(kept) in str(caught.value)
    assert "`python -m compare calibrate`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_machine_that_is_not_calibrated(kept):
    with pytest.raises(InputError, match=r"not calibrated: run `python -m compare calibrate`"):
        load()
    kept.mkdir(parents=True)
    with pytest.raises(InputError, match="cannot read calibration"):
        load()


def test_what_is_shown():
    shown = rows(made(pace=0.5))
    assert shown["a call of numpy's"] == "0.5 us"
    assert shown["a step in reverse mode"] == "20.0 us"
    assert shown["products of 512x512, float32"] == "4 GFLOP/s"


# the command


@pytest.fixture
def threads(monkeypatch):
    monkeypatch.setattr("compare.environment.limit_threads", lambda: None)


def test_the_command_shows_what_is_kept(kept, threads, capsys):
    save(made())
    assert _main(["calibrate"]) == 0
    out = capsys.readouterr().out
    assert "a step in reverse mode" in out
    assert "40.0 us" in out
    assert _main(["calibrate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(kept)
    assert told["operations"]["record"] == 3 * US


def test_the_command_warns_of_overheads_that_were_measured_as_nothing(kept, threads, capsys):
    whole = made()
    assert whole.warning == ""
    nothing = dict.fromkeys(("record", "chain", "pullback tanh", "update", "update SGD"), 0.0)  # of the first three that may be left
    save(made(operations=whole.operations | nothing | {"segment": -1e-6}))
    assert _main(["calibrate", "--json"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compare: the calibration has an overhead of 0 for `update`, `update SGD`, which must be above 0")
    assert line.endswith("run `python -m compare calibrate --force` while the machine has nothing else to do")


def test_one_made_in_company_is_warned_of():
    assert made(others=0.2).warning == made(others=None).warning == ""
    assert made(others=0.9).warning.startswith("the machine was calibrated while others kept 0.9 of its cores busy: predictions may be far")
    assert rows(made(others=0.9))["others meanwhile kept busy"] == "0.90 cores"
    assert "others meanwhile kept busy" not in rows(made())


def test_company_is_what_cores_did_beside_this_process(tmp_path, monkeypatch):
    stat, now, own = tmp_path / "stat", [10.0], [1.0]
    monkeypatch.setattr(company, "STAT", str(stat))
    monkeypatch.setattr(company.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(company.time, "process_time", lambda: own[0])
    ticks = os.sysconf("SC_CLK_TCK")

    def write(*seconds):
        stat.write_text("cpu  " + " ".join(str(int(each * ticks)) for each in seconds) + "\ncpu0 1 2 3\n", encoding="ascii")

    write(100, 0, 10, 500, 3, 0, 0, 2, 0, 0)
    kept = company.Company()
    write(112, 1, 11, 530, 4, 0, 1, 5, 7, 0)  # 18 s: user, nice, system, interrupts and what the host took
    now[0], own[0] = 20.0, 11.0
    assert kept.cores() == pytest.approx((18 - 10) / 10)
    own[0] = 30.0
    assert kept.cores() == 0.0
    stat.write_text("nothing", encoding="ascii")
    assert kept.cores() is None
    stat.unlink()
    assert company.Company().cores() is None


def test_the_command_measures_what_is_not_known(kept, threads, capsys, monkeypatch):
    calls = []

    def measured(heard):
        heard("everything", 0.5)
        calls.append(1)
        return made(pace=0.25)

    monkeypatch.setattr("compare.calibration.measuring.calibrate", measured)
    assert _main(["calibrate"]) == 0
    assert load() == made(pace=0.25)
    assert _main(["calibrate"]) == 0
    assert len(calls) == 1
    assert _main(["calibrate", "--force"]) == 0
    assert len(calls) == 2
    kept.write_bytes(b"{")
    assert _main(["calibrate"]) == 0
    assert load() == made(pace=0.25)
    capsys.readouterr()


# the grid


def test_cells_hold_within_the_tolerance_of_what_is_measured():
    tally = prediction.Tally([prediction.Cell(f"cell {i}", p, 2.0, 1.0) for i, p in enumerate((0.69, 0.71, 1.0, 1.29, 1.31))])
    held, cells = tally.predicted(Limits(1, 1, 0.0), lambda part: None)
    assert (held.values, cells.values) == ([3.0], [5.0])
    assert "1.31" in held.note
    assert "cell 0 0.69" in held.note
    measured = Measured("prediction", "all", "cells", [held, cells], [Target(prediction.WITHIN, prediction.CELLS, 0.9, AT_LEAST)])
    (row,) = rows_of(measured)
    assert row.ratio == 0.6
    assert row.state == "missed"


def test_recommendations_hold_that_take_a_tenth_longer_than_the_fastest_at_most():
    advices = [prediction.Advised(f"cell {i}", "reverse", "forward", slowdown) for i, slowdown in enumerate((1.0, 1.09, 1.11))]
    held, all_of_them = prediction.Tally(advices=advices).recommended(Limits(1, 1, 0.0), lambda part: None)
    assert (held.values, all_of_them.values) == ([2.0], [3.0])
    assert held.note == "worst: cell 2: reverse takes 1.11 of forward"


def test_steps_count_at_the_pace_of_the_calibration():
    step = prediction._Step("x", 1.0, None, None)
    step.gauges, step.taken = [1.0, 1.1, 0.9, 1.0, 2.0, 2.0], [10.0, 11.0, 12.0, 13.0, 30.0, 31.0]
    assert step.paced(1.0) == 11.5  # those beside which the gauge is alike
    assert step.paced(2.0) == pytest.approx(statistics.median([20.0, 20.0, 24 / 0.9, 26.0, 30.0, 31.0]))  # too few: all in proportion


def test_steps_are_planned_timed_and_judged(kept):
    save(made())
    seconds.calibration.cache_clear()
    tally = prediction.Tally()
    settings = Settings(network="mlp", batch=64, width=16, depth=2)
    entrants = tally.measuring("mlp", settings)(Limits(1, 1, 0.0), lambda part: None)
    names = [entrant.name for entrant in entrants]
    assert names[0] == prediction.GAUGE
    assert {"reverse, predicted", "reverse, measured", "forward-activations, measured"} <= {*names}
    assert any(name.startswith("reverse-checkpoint in ") for name in names)
    assert [cell.title for cell in tally.cells] == [f"mlp, {name[: -len(', measured')]}" for name in names if name.endswith("measured")]
    planned = compare.plan("mlp", 64, width=16, depth=2, flips=False)
    assert tally.cells[0].predicted == planned.ways["reverse"].seconds
    assert all(cell.clocked > 0 and cell.paced > 0 for cell in tally.cells)
    free, *_ = tally.advices
    assert (free.title.partition(",")[0], free.way) == ("mlp", planned.best.name)
    assert all(each.slowdown >= 1 for each in tally.advices)
    seconds.calibration.cache_clear()


def test_the_grid_is_measured_and_shown(kept, monkeypatch, tmp_path, capsys):
    save(made())
    seconds.calibration.cache_clear()
    monkeypatch.setattr(prediction, "QUICK", (0,))
    monkeypatch.setattr(prediction, "BATCHES", (16,))
    assert _main(["bench", "--only", "prediction", "--quick", "--output", str(tmp_path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "at least 0.9×" in told
    assert "at least 0.95×" in told
    page = (tmp_path / "bench.html").read_text()
    assert prediction.WITHIN in page
    assert prediction.HOLDS in page
    seconds.calibration.cache_clear()
    full = [len(prediction.contests(wanted)) for wanted in (Wanted(quick=True), Wanted())]
    assert full == [1 + 2, len(prediction.NETWORKS) + 2]
