"""What a calibration measures."""

import itertools
import os

import numpy as np
import pytest

from compare.calibration import company, engines, measuring, probes, programs, stopwatch, walks
from compare.calibration.curves import not_falling
from compare.calibration.pace import KINDS
from compare.calibration.products import MANY, products
from compare.calibration.programs import evaluated
from compare.calibration.stopwatch import Stopwatch, Taken
from compare.strategies import STRATEGIES
from diffcore.kernels.record import Call
from tests.compare.calibration.prices import US, made


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
    takes = {"record": 3, "chain": -1, "push": 20, "site": 15, "turn": 2, "update": 5, "step revdiff": 30, "step dualdiff": 90}
    takes = {name: value * US for name, value in (takes | {"checkpoint": 70, "segment": 110, "segment again": 15}).items()}
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


def test_rules_are_told_by_kernel_and_values_by_case():
    taken = {"conv": 70 * US, "conv pointwise": 30 * US}

    class Watch:
        def seconds(self, work, *, patience):
            return taken[current(work)]

        def together(self, works):
            return [2 * taken[current(work)] for work in works]

    calls = {name: given for name, given in engines.examples("float32").items() if name in taken}
    by_call = {}
    for name, given in calls.items():
        for call in given:
            by_call[id(call)] = name

    def current(work):
        return by_call[id(next(cell.cell_contents for cell in work.__closure__ if isinstance(cell.cell_contents, Call)))]

    found = engines.rules(Watch(), calls, lambda work: 0.0)
    assert (found["kernel conv"], found["kernel conv pointwise"]) == pytest.approx((70 * US, 30 * US))
    assert found["first kernel conv pointwise"] == pytest.approx(30 * US)
    assert "pullback conv" in found
    assert not [name for name in found if "pointwise" in name and not name.endswith("kernel conv pointwise")]


class AtTwice:
    """A watch of a machine that is slow for code: of every work the clock says the same."""

    def __init__(self, clock):
        self.clock = clock

    def taken(self, work, *, calm=True):
        work()
        return Taken(0.5 * self.clock, self.clock, 2.0)

    def seconds(self, work, *, calm=True):
        return self.taken(work).code


def test_operands_of_a_call_lie_apart_within_their_pages():
    met = []

    def program(out, x, y):
        met.append([each.__array_interface__["data"][0] % 4096 for each in (out, x, y)])

    walks._walk(AtTwice(US), program, "float32")
    assert len(met) == 6
    for places in met:
        for first, second in itertools.combinations(places, 2):
            assert 64 <= (first - second) % 4096 <= 4096 - 64
    x, y = (walks._numbers((1, 2048), "float32", place) for place in (0, 1))
    assert np.array_equal(x, y)
    assert x.flags.c_contiguous
    assert x.flags.aligned


def test_bulk_work_is_told_by_the_clock():
    """Where all code takes twice as long: a call takes half the clock at best, elements two thirds, memory and products all of it."""

    class Watch(AtTwice):
        def taken(self, work, *, calm=True):
            work()
            self.clock += 100 * US
            return Taken(0.5 * self.clock, self.clock, 2.0)

    walk = walks._walk(Watch(0.0), lambda out, x, y: None, "float32")  # 100 us, 200 us, ...
    assert walk.call == pytest.approx(50 * US)
    assert walk.element == pytest.approx((200 - 100) / 1.5 * US / walks.NEAR)
    told = [1000 * US / (1.5 if n <= walks.CORE else 1) / n for n in walks.TRAFFIC]
    assert walks.traffic(AtTwice(1000 * US)).values == pytest.approx(not_falling(told))
    call, table = products(Watch(0.0), "float64")
    single, many = 100 * US, 200 * US
    each = (many - single) / (MANY - 1)
    assert call == pytest.approx(0.5 * single - each)
    last = 2 + 2 * len(table.sizes) ** 3  # as the matrix lies, and transposed
    assert table.seconds[-1][-1][-1] == pytest.approx((last - 0.5) * 100 * US - 2 * call)


def test_a_calibration_is_whole(monkeypatch):
    """All that is measured, of a machine that takes a microsecond for everything."""

    class Watch(AtTwice):
        unit = usual = 100 * US
        pace = 1.0

        def __init__(self):
            super().__init__(US)

        def taken(self, work, *, calm=True, patience=0.0):
            return Taken(US, US, 1.0)

        def seconds(self, work, *, calm=True, patience=0.0):
            return US

        def together(self, works):
            return [2 * US] * len(works)

        def forget(self):
            pass

    monkeypatch.setattr(measuring, "Stopwatch", Watch)
    parts = []
    found = measuring.calibrate(lambda what, done: parts.append(done))
    assert found.lack == ""
    assert parts == sorted(parts)
    assert {"op conv", "op normalise", "kernel conv pointwise", "segment again", "first pullback tanh"} <= found.operations.keys()
    assert found.factors.keys() == set(KINDS)
    assert found.gauge == 100 * US


def test_probes_are_networks_that_train():
    for build, shapes in probes.PROBES:
        program = evaluated(STRATEGIES["reverse"], build, shapes[0])
        value, gradients = program.run()
        assert value > 0
        assert all(np.isfinite(gradient).all() for gradient in gradients.values())
        for pace in (1.0, 2.0):
            row, rest = probes.parts(made(), program, Taken(5e-4, 1e-3, pace))
            assert sum(row) + rest == pytest.approx(made(pace=pace).seconds(program.work) / 1e-3)


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


def test_code_is_told_at_the_best_pace_and_the_clock_as_it_is(monkeypatch):
    """A machine that takes three times as long for code from the middle on, and for all else as long as before."""
    now, slow = [0.0], [1.0]

    class Gauge:
        clock = staticmethod(lambda: now[0])

        def __call__(self):
            return _pass(100 * US * slow[0])

    def _pass(seconds):
        now[0] += seconds
        return seconds

    monkeypatch.setattr(stopwatch, "Gauge", Gauge)
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    watch = Stopwatch()
    for slow[0] in (1.0, 3.0):
        code = watch.taken(lambda: _pass(40 * US * slow[0]), calm=False)
        assert code == pytest.approx((40 * US, 40 * US * slow[0], slow[0]))
        assert watch.seconds(lambda: _pass(40 * US * slow[0])) == pytest.approx(40 * US)
        both = watch.taken(lambda: _pass(40 * US * slow[0] + 500 * US), calm=False)
        assert both.beside(code.code) == pytest.approx(500 * US)
    watch.forget()
    watch.seconds(lambda: _pass(US))
    assert watch.pace == pytest.approx(3.0)
