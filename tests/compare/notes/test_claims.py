"""Every experiment at a reduced size, and every verdict on records made up for it."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from compare.errors import InputError
from compare.notes.catalogue import CLAIMS, chosen
from compare.notes.claim import AGREE, FAILS, HOLDS, LIMITED, Criterion, Limit, Measured, number, times

from .conftest import SMALL, TINY, small

SLUGS = [entry.slug for entry in CLAIMS]
CLOCK = {"reverse": {"seconds"}, "batch": {"waste_reverse", "waste_forward"}, "forward": {"depth_forward_traced"}}
"""Criteria of the clock and of the process's memory, which a busy machine or small arrays may upset."""

claims = pytest.mark.parametrize("slug", SLUGS)


def inside(criterion: Criterion) -> float:
    """A number within the bounds."""
    low, high = criterion.low, criterion.high
    if low is not None and high is not None:
        return (low + high) / 2
    return low if low is not None else high


def outside(criterion: Criterion) -> list[float | None]:
    """Numbers beyond each bound, and none at all."""
    low, high = criterion.low, criterion.high
    beyond = [] if low is None else [low - max(1e-6, 0.01 * abs(low)), -math.inf]
    beyond += [] if high is None else [high + max(1e-6, 0.01 * abs(high)), math.inf]
    return [*beyond, math.nan, None]


def good(claim) -> dict[str, float | None]:
    """Numbers that meet every need and no limit."""
    numbers = {limit.key: next(v for v in outside(limit) if v is not None and math.isfinite(v)) for limit in claim.limits}
    return numbers | {need.key: inside(need) for need in claim.needs}


@claims
def test_an_experiment_at_a_reduced_size_comes_out_as_in_full(slug, measured):
    claim, found = small(slug), measured(slug)
    assert claim.agrees(found)
    unmet = {need.key for need in claim.needs if not need.met(found)}
    assert unmet <= CLOCK.get(slug, set())
    assert claim.verdict(found).state in ({FAILS} if unmet else {HOLDS, LIMITED})


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if slug not in ("forward", "reverse", "batch")])
def test_it_is_the_same_in_every_run(slug):
    tiny = small(slug, **TINY.get(slug, {}))
    found, again = tiny.measure(), tiny.measure()
    assert tiny.agrees(found)
    assert set(found.varying) <= {*found.numbers, *found.series}
    for kind in ("numbers", "series"):
        first, second = ({k: v for k, v in getattr(each, kind).items() if k not in found.varying} for each in (found, again))
        assert first == second
    assert not set(found.varying) & {need.key for need in small(slug).needs} - CLOCK.get(slug, set()) - {"bytes_reverse", "bytes_forward"}


@pytest.mark.parametrize("slug", ["vanishing", "dropout", "convolution", "norm"])
def test_other_seeds_make_other_numbers(slug, measured):
    found, other = measured(slug), replace(small(slug), seed=1).measure()
    assert found.numbers != other.numbers
    assert small(slug).agrees(other)


@claims
def test_what_is_shown(slug, measured):
    claim, found = small(slug), measured(slug)
    figure, table = claim.figure(found), claim.table(found)
    ElementTree.fromstring(figure.svg)
    assert "nan" not in figure.svg
    assert all(len(row) == len(table.head) for row in table.body)
    assert all(cell for row in table.body for cell in row)
    assert 100 < len(claim.experiment) < 500
    assert claim.experiment.count(". ") <= 2
    assert {need.key for need in (*claim.needs, *claim.limits)} <= set(found.numbers)
    assert claim.needs[0] is AGREE


@claims
def test_verdicts_can_be_each_of_three(slug):
    claim = CLAIMS[SLUGS.index(slug)].load()
    numbers = good(claim)
    assert len(numbers) == len(claim.needs) + len(claim.limits), "a need and a limit read one number, so one of them decides nothing"
    verdict = claim.verdict(Measured(numbers))
    assert (verdict.state, verdict.sentence) == (HOLDS, "holds")
    for need in claim.needs:
        for value in outside(need):
            verdict = claim.verdict(Measured(numbers | {need.key: value}))
            assert verdict.state == FAILS
            assert verdict.sentence.startswith(f"does not hold: {need.words} is ")
    for limit in claim.limits:
        found = Measured(numbers | {limit.key: inside(limit)})
        verdict = claim.verdict(found)
        assert verdict.state == LIMITED
        assert verdict.sentence == f"holds with a limit: {limit.sentence(found)}"
        assert "{}" not in verdict.sentence
        assert claim.verdict(Measured(found.numbers | {claim.needs[0].key: 1.0})).state == FAILS


def test_most_claims_have_limits_to_find():
    assert sum(bool(entry.load().limits) for entry in CLAIMS) >= 12


def test_criteria_say_what_they_want():
    assert Criterion("", "x", low=1.0).wanted == "at least 1"
    assert Criterion("", "x", high=0.5).wanted == "at most 0.5"
    assert Criterion("", "x", low=0.0, high=0.0).wanted == "exactly 0"
    assert Criterion("", "x", low=0.9, high=1.1, show=times).wanted == "0.9× to 1.1×"
    assert Criterion("", "x", low=1.0).shown(Measured({"x": None})) == "—"
    assert Limit("to {} of it", "x", low=1.0).sentence(Measured({"x": 2.5})) == "to 2.5 of it"
    assert [number(v) for v in (0, 1234, 12345.6, 0.25, 3.14159e-16, math.inf)] == ["0", "1,234", "12,346", "0.25", "3.14e-16", "—"]


def test_claims_are_chosen_by_number_and_name():
    assert [entry.number for entry in chosen(())] == list(range(1, 14))
    assert [entry.slug for entry in chosen(("10", "saddle", "XOR", "4"))] == ["saddle", "xor"]
    for name in ("0", "14", "newtn", ""):
        with pytest.raises(InputError, match=f"unknown claim '{name}': it must be a number from 1 to 13 or one of forward"):
            chosen((name,))


def test_the_settings_of_the_tests_are_settings():
    assert list(SMALL) == SLUGS


# what the experiments rest on, by other means


def test_slopes_and_crossings():
    from compare.notes.bench import crossing, difference, slope

    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert slope(x, 3 * x**1.5) == pytest.approx(1.5, rel=1e-12)
    assert crossing(x, 10 / x, x) == pytest.approx(math.sqrt(10), rel=1e-12)
    assert crossing(x, x, x / 2) is None
    assert difference([np.ones(3), np.array([1.0, 2.0])], [np.ones(3), np.array([1.0, 4.0])]) == 0.5
    assert difference(np.ones(2), np.ones(3)) == math.inf


def test_the_perceptron_and_the_linear_net_cannot(measured):
    found = measured("xor")
    assert found["perceptron"] == found["linear"] == found["deep"] == 0
    # no line parts XOR: every combination of signs, by search over a fine circle of directions and all thresholds
    points, labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([-1, 1, 1, -1])
    for angle in np.linspace(0, 2 * np.pi, 720, endpoint=False):
        heights = points @ (np.cos(angle), np.sin(angle))
        assert not heights[labels > 0].min() > heights[labels < 0].max()


def test_output_sizes_are_those_of_a_loop(measured):
    cases = [(n, k, p, s) for n in range(1, 8) for k in range(1, 4) for p in range(2) for s in range(1, 4) if n + 2 * p >= k]
    counted = sum(len(range(0, n + 2 * p - k + 1, s)) != (n - k + 2 * p + s) // s for n, k, p, s in cases)
    notes = sum(len(range(0, n + 2 * p - k + 1, s)) != (n - k + p + s) // s for n, k, p, s in cases)
    found = measured("convolution")
    assert (found["cases"], found["sizes_wrong"], found["sizes_notes"]) == (len(cases), counted, notes)
    assert counted == 0


def test_the_ball_and_its_multiplier_are_those_of_scipy():
    from scipy.optimize import minimize

    claim = small("decay")
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    ball = claim._ball(x, y, 0.1)
    bound = {"type": "ineq", "fun": lambda w: 0.01 - w @ w}
    exact = minimize(lambda w: 0.5 * np.mean((x @ w - y) ** 2), np.full(4, 0.01), constraints=[bound], method="SLSQP", tol=1e-14)
    assert ball == pytest.approx(exact.x, abs=1e-6)
    assert claim._lasso(x, y, 0.05, proximal=True) == pytest.approx(lasso_by_coordinates(x, y, 0.05), abs=1e-9)


def lasso_by_coordinates(x, y, lam):
    w = np.zeros(x.shape[1])
    for _ in range(2000):
        for j in range(len(w)):
            rest = y - x @ w + x[:, j] * w[j]
            rho, scale = x[:, j] @ rest / len(y), x[:, j] @ x[:, j] / len(y)
            w[j] = np.sign(rho) * max(abs(rho) - lam, 0) / scale
    return w


def test_the_fit_is_least_squares():
    claim = small("fitting")
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(20, 5)), rng.normal(size=20)
    exact = np.linalg.lstsq(features, y, rcond=None)[0]
    for mode in ("reverse", "forward"):
        assert claim._fit(features, y, mode) == pytest.approx(exact, abs=1e-7)
