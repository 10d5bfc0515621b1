"""The checkers catch what they are there to catch."""

import numpy as np
import pytest

from diffcore.kernels import registered
from diffcore.kernels.record import Call, Kernel
from diffcore.testing import (
    CheckFailed,
    altered,
    calls_of,
    check_derivative,
    check_jacobian,
    check_rules,
    derivative,
    difference,
    expect_close,
    unchanged,
    with_kernel,
)
from diffcore.testing.scenarios import SCENARIOS

ROWS = {row.id: row for row in SCENARIOS}
ALIKE = ("tanh-matrix", "mul-rows and columns", "matmul-matrices", "cross_entropy-batch mean")


def call_for(row_id):
    row = ROWS[row_id]
    return next(call for call in calls_of(row) if call.kernel.name == row.kernel), row.rng


def tamper(change):
    """Both rules of a kernel with `change` applied to what they return."""

    def wrong(kernel, **which):
        rules = {}
        if which.get("push", True):
            rules["pushforward"] = lambda call, tangents: change(kernel.pushforward(call, tangents))
        if which.get("pull", True):
            rules["pullback"] = lambda call, g, needs: [None if h is None else change(h) for h in kernel.pullback(call, g, needs)]
        return altered(kernel, **rules)

    return wrong


slightly = tamper(lambda t: t * (1 + 1e-9))
flipped = tamper(lambda t: -t)
nan = tamper(lambda t: t * np.nan)


@pytest.mark.parametrize("row_id", [*ALIKE, "max-last", "getitem-repeated"])
@pytest.mark.parametrize("change", [slightly, flipped, nan], ids=["relative 1e-9", "sign", "NaN"])
@pytest.mark.parametrize("which", ["push", "pull"])
def test_one_wrong_rule_is_caught(row_id, change, which):
    call, rng = call_for(row_id)
    kernel = change(call.kernel, push=which == "push", pull=which == "pull")
    check_rules(call, rng)
    with pytest.raises(CheckFailed, match=call.kernel.name):
        check_rules(with_kernel(call, kernel), rng)


@pytest.mark.parametrize("row_id", ALIKE)
@pytest.mark.parametrize("change", [slightly, flipped, nan], ids=["relative 1e-9", "sign", "NaN"])
def test_two_rules_wrong_alike_are_caught_by_the_value(row_id, change):
    call, rng = call_for(row_id)
    wrong = with_kernel(call, change(call.kernel))
    assert check_derivative(call, rng) == (derivative.LONGDOUBLE if derivative.extended() else derivative.COMPLEX)
    with pytest.raises(CheckFailed, match="its derivative by"):
        check_derivative(wrong, rng)


def call_of(compute, slope, x):
    """A call of a kernel that nobody registered, with `slope(x)` for its derivative."""
    x = np.asarray(x)
    kernel = Kernel("made up", ("x",), compute, lambda call, tangents: tangents[0] * slope(call.primals[0]))
    out = np.asarray(compute(np, x))
    return Call(kernel, [x], out, {}, (x.shape,), out.shape, ())


def only(*dtypes):
    """`sin`, in these dtypes alone."""

    def compute(xp, x):
        if x.dtype not in dtypes:
            raise TypeError(f"no {x.dtype} here")
        return xp.sin(x)

    return compute


def in_float64(x):
    """`x` without what extended precision adds to it."""
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


METHODS = {
    "everything": (only(np.longdouble, np.complex128, np.float64), np.cos, derivative.LONGDOUBLE),
    "no longdouble": (only(np.complex128, np.float64), np.cos, derivative.COMPLEX),
    "float64 alone": (only(np.float64), np.cos, derivative.FLOAT64),
    "in float64 whatever is given": (lambda xp, x: np.sin(in_float64(x)), np.cos, derivative.COMPLEX),
    "not analytic": (lambda xp, x: np.abs(in_float64(x)) ** 3, lambda x: 3 * x * abs(x), derivative.FLOAT64),
    "great slopes": (lambda xp, x: xp.tan(x), lambda x: 1 + np.tan(x) ** 2, derivative.LONGDOUBLE),
}


@pytest.mark.skipif(not derivative.extended(), reason="numpy.longdouble is float64 here")
@pytest.mark.parametrize(("compute", "slope", "method"), METHODS.values(), ids=METHODS)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_the_sharpest_method_that_works_is_taken(compute, slope, method):
    for x in (1.25, [-1.5, 0.3, 1.4], np.zeros((0, 2))):
        call = call_of(compute, slope, x)
        assert check_derivative(call, np.random.default_rng(0)) == method or not call.out.size
        if call.out.size:
            wrong = call_of(compute, lambda x: slope(x) * (1 + (1e-9 if method != derivative.FLOAT64 else 1e-8)), x)
            with pytest.raises(CheckFailed, match=f"derivative by {method} differ"):
                check_derivative(wrong, np.random.default_rng(0))


def test_rounding_inside_a_value_costs_no_sharpness():
    def compute(xp, x):
        return (0 * x + np.sin(in_float64(x))).astype(x.dtype)  # extended in name only

    for x in (1.25, [-1.5, 0.3, 1.4]):
        check_derivative(call_of(compute, np.cos, x), np.random.default_rng(0))
        with pytest.raises(CheckFailed):
            check_derivative(call_of(compute, lambda x: np.cos(x) * (1 + 1e-9), x), np.random.default_rng(0))


@pytest.mark.parametrize("method", [derivative.COMPLEX, derivative.FLOAT64])
def test_where_longdouble_is_no_wider_the_others_serve(method, monkeypatch):
    monkeypatch.setattr(derivative, "extended", lambda: False)
    compute = only(np.complex128, np.float64) if method == derivative.COMPLEX else only(np.float64)
    assert check_derivative(call_of(compute, np.cos, [0.5, 2.0]), np.random.default_rng(0)) == method


def test_small_derivatives_are_held_to_as_many_digits():
    for scale in (1.0, 1e-6, 1e-12):
        right = call_of(lambda xp, x, s=scale: s * xp.sin(x), lambda x, s=scale: s * np.cos(x), [0.5, 1.0])
        wrong = call_of(lambda xp, x, s=scale: s * xp.sin(x), lambda x, s=scale: s * np.cos(x) * (1 + 1e-9), [0.5, 1.0])
        check_derivative(right, np.random.default_rng(0))
        with pytest.raises(CheckFailed):
            check_derivative(wrong, np.random.default_rng(0))


def test_a_call_without_floating_operands_has_no_derivative_to_check():
    call = Call(registered()["neg"], [np.arange(3)], -np.arange(3), {}, ((3,),), (3,), ())
    for check in (check_derivative, check_rules):
        with pytest.raises(CheckFailed, match="no operand is floating point"):
            check(call, np.random.default_rng(0))


def test_a_missing_broadcast_sum_is_caught():
    call, rng = call_for("mul-rows and columns")
    wrong = altered(call.kernel, pullback=lambda call, g, needs: [g * call.primals[1], g * call.primals[0]])
    with pytest.raises(CheckFailed, match="has shape"):
        check_rules(with_kernel(call, wrong), rng)


def test_a_wrong_axis_is_caught():
    call, rng = call_for("log_softmax-middle")
    right = call.kernel
    wrong = altered(right, pullback=lambda call, g, needs: [g - np.exp(call.out) * g.sum(axis=1, keepdims=True)])
    assert right.pullback(call, call.out, (True,))[0].shape == call.shape  # the mistake shows only with several cotangents
    with pytest.raises(CheckFailed, match="cotangents at once"):
        check_rules(with_kernel(call, wrong), rng)


def test_a_residual_that_is_not_declared_is_caught():
    call, rng = call_for("tanh-matrix")
    with pytest.raises(CheckFailed, match=r"read more than is kept \(nothing\)"):
        check_rules(with_kernel(call, altered(call.kernel, keeps=(frozenset(),))), rng)


def test_a_cotangent_that_depends_on_needs_is_caught():
    call, rng = call_for("mul-same")
    right = call.kernel.pullback
    wrong = altered(call.kernel, pullback=lambda call, g, needs: right(call, g if all(needs) else 2 * g, needs))
    with pytest.raises(CheckFailed, match="needed alone"):
        check_rules(with_kernel(call, wrong), rng)


def test_a_cotangent_nobody_needs_is_caught():
    call, rng = call_for("add-same")
    right = call.kernel.pullback
    wrong = altered(call.kernel, pullback=lambda call, g, needs: right(call, g, (True, True)))
    with pytest.raises(CheckFailed, match="not needed"):
        check_rules(with_kernel(call, wrong), rng)


def test_a_rule_that_writes_into_its_arguments_is_caught():
    call, rng = call_for("exp-matrix")

    def pullback(call, g, needs):
        g *= call.out
        return [g]

    with pytest.raises(CheckFailed):
        check_rules(with_kernel(call, altered(call.kernel, pullback=pullback)), rng)


def test_a_wrong_jacobian_is_caught():
    row = ROWS["mul-same"]
    operands = row.operands()
    right = tuple(np.einsum("ij,ik,jl->ijkl", x, np.eye(3), np.eye(4)) for x in reversed(operands))
    check_jacobian("by hand", lambda f, argnums: lambda *xs: right, row, operands, right)
    for name, wrong in {
        "nearly": tuple(b * (1 + 1e-11) for b in right),
        "transposed": tuple(b.transpose(1, 0, 2, 3) for b in right),
        "swapped": right[::-1],
        "one too few": right[:1],
    }.items():
        with pytest.raises(CheckFailed):
            check_jacobian(name, lambda f, argnums, wrong=wrong: lambda *xs: wrong, row, operands, right)
    narrow = tuple(b.astype(np.float32) for b in right)
    with pytest.raises(CheckFailed, match="dtype"):
        check_jacobian("narrow", lambda f, argnums: lambda *xs: narrow, row, operands, narrow)


def test_altering_a_kernel_leaves_the_registered_one():
    kernel = registered()["tanh"]
    copy = altered(kernel, pullback=None)
    assert not copy.differentiable
    assert registered()["tanh"] is kernel
    assert kernel.differentiable


def test_difference():
    assert difference(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0
    assert difference(np.array([100.0]), np.array([101.0])) == pytest.approx(1 / 101)
    assert difference(np.array([0.5]), np.array([0.25])) == 0.25
    assert difference(np.array([np.inf, -np.inf]), np.array([np.inf, -np.inf])) == 0
    for actual, expected in ((np.nan, np.nan), (np.nan, 1.0), (1.0, np.nan), (np.inf, -np.inf), (1.0, np.inf), (np.inf, 1.0)):
        assert difference(np.array(actual), np.array(expected)) == np.inf
    assert difference(np.array([1, 2]), np.array([1, 2])) == 0
    assert difference(np.array([1, 2]), np.array([1, 3])) == np.inf
    assert difference(np.array([1]), np.array([1.0])) == 0


def test_expect_close_wants_equal_structures_and_shapes():
    expect_close("x", (np.ones(2), [np.ones(3)]), (np.ones(2), [np.ones(3)]), 0)
    with pytest.raises(CheckFailed, match="1 arrays, expected 2"):
        expect_close("x", (np.ones(2),), (np.ones(2), np.ones(2)), 1)
    with pytest.raises(CheckFailed, match=r"shape \(2,\), expected \(2, 1\)"):
        expect_close("x", np.ones(2), np.ones((2, 1)), 1)
    with pytest.raises(CheckFailed, match="differs by inf"):
        expect_close("x", np.array([np.nan]), np.array([np.nan]), 1)


def test_unchanged_sees_every_bit():
    x = np.zeros(2)
    with pytest.raises(CheckFailed, match="array 0"), unchanged("x", [x]):
        x[0] = -0.0


def test_strided_rows_are_laid_out_with_gaps():
    (x,) = ROWS["tanh-strided"].operands()
    assert not x.flags.c_contiguous
    assert not x.flags.f_contiguous
    assert np.isfinite(x).all()


def test_a_row_draws_the_same_operands_each_time():
    first, second = ROWS["mul-same"].operands(), ROWS["mul-same"].operands()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, ROWS["add-same"].operands())
