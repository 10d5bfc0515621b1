"""What no tensor can be made of is refused in one line."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import ArgumentError, DeviceError, DTypeError, GradientError, ShapeError

MISUSE: list[tuple[str, Callable[[Any], Any], type[Exception], str]] = [
    ("negative", lambda t: t.zeros(2, -3), ShapeError, r"zeros: dimension size must be non-negative, got `size` \[2, -3\]"),
    ("negative in a tuple", lambda t: t.randn((-1,)), RuntimeError, "non-negative"),
    ("no size", lambda t: t.zeros(), TypeError, "missing 1 required argument: `size`"),
    ("text as a size", lambda t: t.zeros("a"), TypeError, "argument `size` must be a tuple of ints, not str"),
    ("a float as a size", lambda t: t.ones(1.5), TypeError, "argument `size` must be a tuple of ints, not float"),
    ("a bool as a size", lambda t: t.ones(True), TypeError, "argument `size` must be a tuple of ints, not bool"),
    ("a tuple and more", lambda t: t.ones((1,), 2), TypeError, "must be a tuple of ints, not tuple"),
    ("two sizes", lambda t: t.ones(2, size=(2,)), TypeError, "multiple values for argument `size`"),
    ("no dtype", lambda t: t.zeros(2, dtype="banana"), DTypeError, "zeros: argument `dtype` must be a dtype .*, not 'banana'"),
    ("text as elements", lambda t: t.zeros(2, dtype="U3"), TypeError, "argument `dtype` must be a dtype"),
    ("an integer variable", lambda t: t.ones(2, dtype=t.int64, requires_grad=True), GradientError, "only Tensors of floating point"),
    ("a counted variable", lambda t: t.arange(3, requires_grad=True), RuntimeError, "only Tensors of floating point dtype .* int64"),
    ("no device", lambda t: t.zeros(2, device="banana"), DeviceError, "device 'banana' is unknown"),
    ("an absent device", lambda t: t.randn(2, device="cuda:99"), DeviceError, "device 'cuda:99' is not there"),
    ("out of another shape", lambda t: t.zeros(2, out=t.zeros(3)), ShapeError, r"`out` has shape \(3,\), but the result has shape \(2,\)"),
    (
        "out of another dtype",
        lambda t: t.zeros(2, dtype=t.float64, out=t.zeros(2)),
        DTypeError,
        r"zeros: dtype float64 does not match dtype of `out` \(float32\)",
    ),
    ("out that is a variable", lambda t: t.ones(2, out=t.zeros(2, requires_grad=True)), GradientError, "don't support automatic diff"),
    ("out that is an array", lambda t: t.ones(2, out=np.zeros(2)), TypeError, "argument `out` must be a Tensor, not ndarray"),
    ("out elsewhere", lambda t: t.ones(2, out=t.zeros(2), device="meta"), DeviceError, "device 'meta' does not match device of `out`"),
    ("a value that is too large", lambda t: t.full((2,), 300, dtype=t.uint8), ArgumentError, "300 cannot be converted to type uint8"),
    ("a value that is none", lambda t: t.full((2,), "a"), TypeError, "argument `fill_value` must be a number, not str"),
    ("like a list", lambda t: t.zeros_like([1.0]), TypeError, "argument `input` must be a Tensor, not list"),
    ("a negative eye", lambda t: t.eye(-1), ArgumentError, "`n` must be greater or equal to 0, got -1"),
    ("a narrow eye", lambda t: t.eye(2, -1), ArgumentError, "`m` must be greater or equal to 0, got -1"),
    ("a broken eye", lambda t: t.eye(2.0), TypeError, "argument `n` must be an int, not float"),
    ("a step of zero", lambda t: t.arange(0, 3, 0), RuntimeError, "step must be nonzero"),
    ("a step away", lambda t: t.arange(3, 0), ArgumentError, "upper bound and lower bound inconsistent with step sign"),
    ("a step away from below", lambda t: t.arange(0.0, 3.0, -0.5), ArgumentError, "inconsistent with step sign"),
    ("an endless range", lambda t: t.arange(0, float("inf")), ArgumentError, "unsupported range: 0 -> inf"),
    ("no number", lambda t: t.arange("a"), TypeError, "arange: argument `end` must be a number, not str"),
    ("several numbers", lambda t: t.arange(t.ones(2)), TypeError, "argument `end` must be a number"),
    ("negative steps", lambda t: t.linspace(0, 1, -1), ArgumentError, "number of steps must be non-negative"),
    ("broken steps", lambda t: t.logspace(0, 1, 2.5), TypeError, "argument `steps` must be an int, not float"),
    ("integers drawn as floats", lambda t: t.randn(2, dtype=t.int64), DTypeError, "randn: expected a floating-point dtype, got int64"),
    ("uniform integers", lambda t: t.rand_like(t.arange(3)), DTypeError, "rand: expected a floating-point dtype, got int64"),
    ("a seed as generator", lambda t: t.rand(2, generator=3), TypeError, "argument `generator` must be a Generator, not int"),
    ("an empty range", lambda t: t.randint(5, 5, (2,)), ArgumentError, "`low` to be less than `high`, but got low=5 >= high=5"),
    ("a range too wide", lambda t: t.randint(3, 300, (2,), dtype=t.uint8), ArgumentError, "high - 1=299 is out of bounds for uint8"),
    ("a range without a size", lambda t: t.randint(5), TypeError, r"randint\(high, size\)"),
    ("a broken range", lambda t: t.randint(0, 2.5, (2,)), TypeError, "argument `high` must be an int"),
    ("a negative deviation", lambda t: t.normal(0.0, -1.0, (2,)), RuntimeError, "normal expects std >= 0.0, but found std -1"),
    ("negative deviations", lambda t: t.normal(0.0, t.tensor([1.0, -1.0])), ArgumentError, "normal expects all elements of std >= 0.0"),
    ("a normal without a size", lambda t: t.normal(0.0, 1.0), TypeError, "normal: `size` is needed"),
    ("a normal of two sizes", lambda t: t.normal(t.zeros(2), 1.0, (2,)), TypeError, "`size` is for a `mean` and `std` that are numbers"),
    ("a normal of integers", lambda t: t.normal(t.arange(2), 1.0), DTypeError, "normal: expected a floating-point dtype, got int64"),
    ("a normal that does not fit", lambda t: t.normal(t.zeros(2), t.ones(3)), ShapeError, r"\(2,\) and `std` \(3,\) do not broadcast"),
    ("a negative permutation", lambda t: t.randperm(-1), ShapeError, "non-negative"),
    ("a broken permutation", lambda t: t.randperm(2.5), TypeError, "argument `n` must be an int, not float"),
    ("chances beyond one", lambda t: t.bernoulli(t.tensor([1.5])), RuntimeError, "bernoulli: expected probabilities in"),
    ("chances that are NaN", lambda t: t.bernoulli(t.tensor([float("nan")])), ArgumentError, "bernoulli: expected probabilities in"),
    ("integer chances", lambda t: t.bernoulli(t.tensor([1])), DTypeError, "bernoulli: expected a floating-point dtype, got int64"),
    ("too many samples", lambda t: t.multinomial(t.ones(2), 3), ArgumentError, "without replacement: 3 > 2. Did you mean"),
    ("too few weights", lambda t: t.multinomial(t.tensor([1.0, 0.0]), 2), ArgumentError, "without replacement: 2 > 1"),
    ("negative weights", lambda t: t.multinomial(t.tensor([1.0, -1.0]), 1), ArgumentError, "an element < 0"),
    ("no weights", lambda t: t.multinomial(t.zeros(2), 1), ArgumentError, "sum of probabilities <= 0"),
    ("no samples", lambda t: t.multinomial(t.ones(2), 0), ArgumentError, "cannot sample num_samples <= 0 samples"),
    ("three axes", lambda t: t.multinomial(t.ones(1, 1, 2), 1), ShapeError, r"1 or 2 axes .*, got shape \(1, 1, 2\)"),
    ("a list as array", lambda t: t.from_numpy([1]), TypeError, r"expected np.ndarray \(got list\)"),
    ("an array of text", lambda t: t.from_numpy(np.array(["a"])), TypeError, "cannot make a tensor of <U1 elements"),
    ("no type", lambda t: t.zeros(2).type("FloatTensor"), DTypeError, "'FloatTensor' is no type of tensors"),
]


@pytest.mark.parametrize(("name", "call", "error", "message"), MISUSE, ids=[row[0] for row in MISUSE])
def test_misuse_is_named(engine: ModuleType, name: str, call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call(engine)
    assert "\n" not in str(caught.value)


def test_a_failing_draw_leaves_the_stream_where_it_was(engine: ModuleType) -> None:
    generator = engine.Generator().manual_seed(0)
    before = generator.bit_generator.state
    for call in (
        lambda: engine.randn(2, device="cuda:99", generator=generator),
        lambda: engine.normal(0.0, engine.tensor([-1.0]), generator=generator),
        lambda: engine.multinomial(engine.zeros(2), 1, generator=generator),
        lambda: engine.rand(2, out=engine.zeros(3), generator=generator),
    ):
        with pytest.raises(RuntimeError):
            call()
        assert generator.bit_generator.state == before
