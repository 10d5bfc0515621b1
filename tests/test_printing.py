"""Tensors as text: character for character what PyTorch prints, over generated arrays and at every special case."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualdiff
import revdiff
from diffcore.printing import backward_name

torch = pytest.importorskip("torch", reason="compares with what PyTorch prints")

DTYPES = ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-4, 9.99e-5, 1e3, 1e8, 1.01e8, 0.5, 1 / 3, 1e-45, 3e38, 1e300]),
    st.floats(-1e3, 1e3, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**9), 10**9).map(float),
)


@st.composite
def arrays(draw: Any) -> np.ndarray:
    """Arrays of every dtype, of up to four axes and a few thousand elements, made of a handful of awkward numbers."""
    shape = tuple(draw(st.lists(st.one_of(st.integers(0, 4), st.integers(0, 30)), max_size=4)))
    while np.prod(shape) > 3000:
        shape = shape[1:]
    palette = np.array(draw(st.lists(NUMBERS, min_size=1, max_size=8)))
    positions = np.random.default_rng(draw(st.integers(0, 99))).integers(0, len(palette), shape)
    dtype = draw(st.sampled_from(DTYPES))
    with np.errstate(all="ignore"):
        return np.asarray(np.nan_to_num(palette) if "int" in dtype else palette).astype(dtype)[positions]


@settings(derandomize=True, deadline=None, max_examples=600, database=None)
@given(arrays(), st.booleans())
def test_generated_arrays(array: np.ndarray, variable: bool) -> None:
    variable = variable and array.dtype.kind == "f"
    expected = repr(torch.tensor(array, requires_grad=variable))
    for engine in (revdiff, dualdiff):
        assert repr(engine.tensor(array, requires_grad=variable)) == expected


SPECIAL: dict[str, Callable[[Any], Any]] = {
    "whole numbers": lambda t: t.tensor([1.0, -20.0, 300.0]),
    "fractions": lambda t: t.tensor([1.0, 2.5]),
    "one number": lambda t: t.tensor(2.5),
    "one whole number": lambda t: t.tensor(2.0),
    "one small number": lambda t: t.tensor(1e-5),
    "one large number": lambda t: t.tensor(123456789.0),
    "magnitudes apart": lambda t: t.tensor([1e-3, 1.001]),
    "magnitudes not quite apart": lambda t: t.tensor([1e-3, 0.999]),
    "large whole numbers": lambda t: t.tensor([1e8, 1e7]),
    "not finite": lambda t: t.tensor([float("nan"), float("inf"), -float("inf"), 1.0]),
    "not finite and fractions": lambda t: t.tensor([[float("nan"), 1.5], [-float("inf"), 100.25]]),
    "only zeros": lambda t: t.zeros(2, 3),
    "negative zero": lambda t: t.tensor([-0.0, 0.0, 1.5]),
    "bools": lambda t: t.tensor([[True, False], [False, False]]),
    "a bool": lambda t: t.tensor(True),
    "integers": lambda t: t.tensor([1, -200, 3]),
    "narrow integers": lambda t: t.tensor([1, 200], dtype=t.uint8),
    "doubles": lambda t: t.tensor([1.5, 2.0], dtype=t.float64),
    "halves": lambda t: t.tensor([1.5, 2.0], dtype=t.float16),
    "empty": lambda t: t.tensor([]),
    "empty integers": lambda t: t.zeros(0, dtype=t.int64),
    "empty rows": lambda t: t.zeros(0, 3),
    "empty columns that are doubles": lambda t: t.zeros(3, 0, dtype=t.float64, requires_grad=True),
    "three axes": lambda t: t.arange(24.0).reshape(2, 3, 4),
    "four axes": lambda t: t.arange(16).reshape(2, 2, 2, 2),
    "a long vector": lambda t: t.arange(1000),
    "a vector too long": lambda t: t.arange(1001),
    "a matrix too large": lambda t: t.arange(1200.0).reshape(40, 30),
    "a wide matrix": lambda t: t.arange(1200.0).reshape(2, 600) / 7,
    "a tall matrix": lambda t: t.arange(1200.0).reshape(600, 2) / 7,
    "axes too large": lambda t: t.arange(3000).reshape(10, 5, 60),
    "wrapped lines": lambda t: t.arange(100.0).reshape(2, 50) + 0.5,
    "a variable": lambda t: t.ones(2, requires_grad=True),
    "a variable on the next line": lambda t: t.tensor([1.5] * 8, dtype=t.float64, requires_grad=True),
    "a wide variable": lambda t: t.tensor([[1.5] * 7, [2.0] * 7], dtype=t.float64, requires_grad=True),
    "a large variable": lambda t: t.ones(2000, dtype=t.float64, requires_grad=True),
    "a transposed view": lambda t: t.arange(6.0).reshape(2, 3).T,
    "as text": lambda t: str(t.ones(3)),
    "formatted": lambda t: f"{t.ones(3)} {t.tensor(0.123456)} {t.tensor(3)} {t.tensor(0.5):.3f} {t.tensor(True)} {t.ones(1)}",
    "among others": lambda t: [t.ones(1), {"a": t.tensor(1)}],
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_cases(engine: ModuleType, name: str) -> None:
    assert repr(SPECIAL[name](engine)) == repr(SPECIAL[name](torch))


@pytest.mark.parametrize("data", [[1.0], [[1.5, 2.0], [0.0, 1.0]], 3.0])
def test_parameters(engine: ModuleType, data: Any) -> None:
    assert repr(engine.nn.Parameter(engine.tensor(data))) == repr(torch.nn.Parameter(torch.tensor(data)))
    frozen = engine.nn.Parameter(engine.tensor(data), requires_grad=False)
    assert repr(frozen) == repr(torch.nn.Parameter(torch.tensor(data), requires_grad=False))


@pytest.mark.parametrize(
    "program",
    [lambda x: x + 1, lambda x: x * x, lambda x: x.exp(), lambda x: x.sum(), lambda x: x.log_softmax(0), lambda x: (x / 3).tanh()],
)
def test_results_of_reverse_mode_name_the_operation(program: Callable[[Any], Any]) -> None:
    values = [1.0, 2.0, 3.0]
    assert repr(program(revdiff.tensor(values, requires_grad=True))) == repr(program(torch.tensor(values, requires_grad=True)))
    assert backward_name("log_softmax") == "LogSoftmaxBackward0"


@pytest.fixture
def options() -> Iterator[None]:
    yield
    for library in (revdiff, torch):
        library.set_printoptions(profile="default")


OPTIONS: list[dict[str, Any]] = [
    {"precision": 2},
    {"threshold": 5},
    {"threshold": 5, "edgeitems": 1},
    {"linewidth": 30},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 6},
]


@pytest.mark.parametrize("given_options", OPTIONS, ids=str)
def test_options(engine: ModuleType, given_options: dict[str, Any], options: None) -> None:
    engine.set_printoptions(**given_options)
    torch.set_printoptions(**given_options)
    for make in (
        lambda t: t.arange(12.0).reshape(3, 4) / 7,
        lambda t: t.tensor([1e-6, 1.0]),
        lambda t: t.arange(7),
        lambda t: t.arange(1500.0),
        lambda t: t.tensor(0.123456, requires_grad=True),
    ):
        assert repr(make(engine)) == repr(make(torch))


def test_an_unknown_profile_is_refused(engine: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"`profile` .*'long'.* must be one of 'default', 'short', 'full'"):
        engine.set_printoptions(profile="long")


def test_what_has_no_values_shows_its_shape(engine: ModuleType) -> None:
    import jax

    shown = []
    jax.jit(lambda x: shown.append(repr(engine.Tensor(x))) or x)(np.ones((2, 3), np.float32))
    assert shown == ["tensor(..., shape=(2, 3))"]
    assert repr(engine.zeros(2, dtype=engine.float64, device="meta", requires_grad=True)) == (
        "tensor(..., shape=(2,), dtype=float64, device='meta', requires_grad=True)"
    )
