"""Predictions are sums of prices."""

import itertools
import math

import msgspec
import numpy as np
import pytest

from compare.calibration.curves import Curve, Products, not_falling, rising
from compare.calibration.model import CODE, RULES, TOGETHER
from compare.calibration.pace import GOES, KINDS, slowed
from diffcore.ledger import Work
from tests.compare.calibration.prices import US, made

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
    "a case of a kernel, which nobody has timed": (Work("apply", "tanh pointwise", ()), 3 * US),
    "a reduction that is not timed": (Work("hypot.reduce rows", "float32", (1000, 1, 8000, 0)), 1 * US + 1000e-9),
    "a function that is not numpy's": (Work("j0", "float32", (1000, 1, 8000, 0)), 4 * US + 4000e-9),
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


@pytest.mark.parametrize("pace", [0.5, 1.0, 2.2])
def test_prices_go_with_the_pace_as_far_as_they_are_of_code(pace):
    work = {work: 2 for work, _ in PRICES.values()}
    factors = dict.fromkeys(KINDS, 1.25)
    calm, then = made(factors=factors), made(factors=factors, pace=pace)
    assert then.kinds(work) == pytest.approx({kind: slowed(kind, pace) * seconds for kind, seconds in calm.kinds(work).items()})
    assert slowed("engines", pace) == slowed("numpy", pace) == pace
    assert slowed("elements", pace) == (1 + pace) / 2
    assert all(slowed(kind, pace) == 1 for kind in KINDS if kind not in GOES)
    for more in (1.0, 1.5, 3.0):  # what goes with the pace tells what it comes to at any other
        there = made(factors=factors, pace=more * pace)
        seconds, going = then.told(work)
        assert seconds == then.seconds(work)
        assert seconds + going * (more - 1) == pytest.approx(there.seconds(work))


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
        part = {kind: int(work.function in RULES) / TOGETHER if kind in CODE else 1.0 for kind in KINDS}
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
