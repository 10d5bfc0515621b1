"""Every kernel is tried on all that it can be tried on, by rows that really call it, and exempt only with a reason."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import dualdiff
import revdiff
from compare.check.trial import trial
from diffcore.errors import ShapeError
from diffcore.kernels import registered
from diffcore.testing import coverage, derivative
from diffcore.testing.derivative import check_derivative
from diffcore.testing.mutations import replaced
from diffcore.testing.scenarios import MISUSES, SCENARIOS, misuses_of, rows_of

KERNELS = registered()
DIFFERENTIABLE = {name: kernel for name, kernel in KERNELS.items() if kernel.differentiable}
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

kernels = pytest.mark.parametrize("name", DIFFERENTIABLE)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_has_rows(name):
    assert rows_of(name)


@kernels
def test_a_differentiable_kernel_has_enough_rows(name):
    assert len(rows_of(name)) >= coverage.LEAST_ROWS
    assert len(misuses_of(name)) >= coverage.LEAST_MISUSES


@kernels
def test_a_differentiable_kernel_is_tried_on_every_kind_of_operand(name):
    assert coverage.missing(KERNELS[name], rows_of(name)) == []


def test_exemptions_are_of_kernels_and_properties_that_exist():
    assert set(coverage.EXEMPT) <= set(KERNELS)
    assert {p for properties in coverage.EXEMPT.values() for p in properties} <= set(coverage.PROPERTIES)


@pytest.mark.parametrize("name", coverage.EXEMPT)
def test_an_exemption_is_needed_and_borne_out(name):
    found = coverage.covered(KERNELS[name], rows_of(name))
    assert [p for p in coverage.EXEMPT[name] if found[p]] == []
    assert coverage.unfounded(name, misuses_of(name)) == []


def test_rows_are_of_kernels_that_exist():
    assert {row.kernel for row in (*SCENARIOS, *MISUSES)} <= set(KERNELS)


def test_rows_that_must_be_contiguous_are_refused_with_gaps():
    rows = [row for row in SCENARIOS if row.contiguous]
    assert rows
    for row in rows:
        with pytest.raises(ShapeError, match="view size is not compatible"):
            row.function(*replace(row, strided=True).operands())


@contextmanager
def counted(kernel):
    """How often each rule of a kernel runs in the block."""
    seen = {"pushforward": 0, "pullback": 0}

    def counting(rule, function):
        def call(*args):
            seen[rule] += 1
            return function(*args)

        return call

    with replaced(kernel, **{rule: counting(rule, getattr(kernel, rule)) for rule in seen}):
        yield seen


@kernels
def test_the_rules_of_a_kernel_run_forward_reverse_and_forward_over_reverse(name):
    row = next(t for t in map(trial, rows_of(name)) if t.smooth and t.value.size)
    numbers, scalar = tuple(range(len(row.variables))), row.of_variables(row.scalar())
    with counted(KERNELS[name]) as seen:
        dualdiff.jvp(row.of_variables(row.function), row.primals, row.along)
    assert seen["pushforward"] > 0 == seen["pullback"]
    with counted(KERNELS[name]) as seen:
        revdiff.grad(scalar, numbers)(*row.primals)
    assert seen["pullback"] > 0 == seen["pushforward"]
    with counted(KERNELS[name]) as seen:
        dualdiff.jvp(revdiff.grad(scalar, numbers), row.primals, row.along)
    assert min(seen.values()) > 0


@kernels
def test_where_only_float64_can_check_a_derivative_an_outside_oracle_does(name):
    trials = [t for t in map(trial, rows_of(name)) if t.smooth]
    methods = {check_derivative(call, t.row.rng) for t in trials for call in t.differentiable_calls if call.kernel.name == name}
    assert methods
    if methods == {derivative.FLOAT64}:
        assert any(row.reference or row.torch for row in rows_of(name) if row.smooth), f"{name} needs a row with an oracle"


def test_what_is_not_covered_is_told():
    kernel, rows = KERNELS["mul"], rows_of("mul")
    dense = tuple(row for row in rows if row.case == "same")
    assert coverage.missing(kernel, dense) == ["0-d", "empty", "size one", "broadcast", "repeated", "aliased"]
    assert coverage.covered(kernel, dense)["non-contiguous"] == ["same"]
    for case, found in (
        ("0-d", "0-d"),
        ("empty", "empty"),
        ("ones", "size one"),
        ("rows and columns", "broadcast"),
        ("strided", "non-contiguous"),
        ("repeated operand", "repeated"),
        ("given two views", "aliased"),
    ):
        (row,) = (row for row in rows if row.case == case)
        assert coverage.covered(kernel, (row,))[found] == [case]


def test_an_exemption_without_its_misuse_is_told():
    assert coverage.unfounded("matmul", ()) == ["matmul: no misuse 'given a number' shows that 0-d is refused"]
    vectors = tuple(row for row in misuses_of("matmul") if row.case == "given vectors of different lengths")
    assert len(coverage.unfounded("matmul", vectors)) == 1
    assert np.shape(next(row for row in misuses_of("matmul") if row.case == "given a number").operands()[0]) == ()
