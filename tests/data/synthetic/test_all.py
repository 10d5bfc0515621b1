"""What holds for every generator: shapes, dtypes, seeds, arguments out of range."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diffcore.arrays.random import manual_seed
from diffcore.data import check_finite, synthetic
from diffcore.errors import ArgumentError, DTypeError, ShapeError

MADE: dict[str, tuple[dict[str, Any], list[tuple[int, ...]], str]] = {
    "linear_regression": ({"n": 7, "features": 3}, [(7, 3), (7, 1)], "ff"),
    "logistic": ({"n": 7, "features": 3}, [(7, 3), (7,)], "fi"),
    "polynomial": ({"n": 7}, [(7, 1), (7, 1)], "ff"),
    "xor": ({"n": 7}, [(7, 2), (7,)], "fi"),
    "two_moons": ({"n": 7}, [(7, 2), (7,)], "fi"),
    "spirals": ({"n": 7, "classes": 3}, [(7, 2), (7,)], "fi"),
    "blobs": ({"n": 7, "features": 4}, [(7, 4), (7,)], "fi"),
    "time_series": ({"n": 7}, [(7,)], "f"),
    "copy_problem": ({"n": 7, "length": 3, "delay": 4}, [(7, 10), (7, 10)], "ii"),
    "adding_problem": ({"n": 7, "length": 5}, [(7, 5, 2), (7, 1)], "ff"),
    "shapes": ({"n": 7, "size": 8, "channels": 3, "classes": 10}, [(7, 3, 8, 8), (7,)], "fi"),
    "detection": ({"n": 7, "size": 16, "objects": 2}, [(7, 3, 16, 16), (7, 2, 5)], "ff"),
    "noise_images": ({"n": 7, "shape": (3, 4, 5), "classes": 2}, [(7, 3, 4, 5), (7,)], "fi"),
}


def parts(made: Any) -> list[Any]:
    return list(made) if isinstance(made, tuple | list) else [made]


@pytest.mark.parametrize("name", MADE)
def test_shapes_dtypes_and_seeds(name: str) -> None:
    make, (options, shapes, kinds) = getattr(synthetic, name), MADE[name]
    made = parts(make(**options, seed=1))
    assert [part.shape for part in made] == shapes
    assert [part.dtype for part in made] == [np.dtype(np.float32 if kind == "f" else np.int64) for kind in kinds]
    for part in made:
        check_finite(part)

    def same(a: Any, b: Any) -> bool:
        return all(np.array_equal(x, y) for x, y in zip(parts(a), parts(b), strict=True))

    assert same(made, make(**options, seed=1))
    assert same(made, make(**options, seed=np.random.default_rng(1)))
    assert not same(made, make(**options, seed=2))
    manual_seed(4)
    shared = make(**options)
    assert not same(shared, make(**options))
    manual_seed(4)
    assert same(shared, make(**options))
    if "f" in kinds:
        double = parts(make(**options, seed=1, dtype=np.float64))
        assert same([part.astype(np.float32) if part.dtype.kind == "f" else part for part in double], made)
        with pytest.raises(DTypeError, match=f"{name}: `dtype`"):
            make(**options, dtype=np.int32)
    with pytest.raises(ArgumentError, match=rf"{name}: `n` \(=0\) must be an integer of \d or more"):
        make(**{**options, "n": 0})
    with pytest.raises(ArgumentError, match=r"`seed` \(=-1\) must be an integer of 0 or more"):
        make(**options, seed=-1)


def test_every_generator_is_tested() -> None:
    assert set(MADE) | {"FIGURES", "character_text", "next_tokens", "powers", "windows"} == set(synthetic.__all__)


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "weights": (
        lambda: synthetic.linear_regression(5, 3, weight=[1, 2]),
        ShapeError,
        "`weight` with 2 numbers must hold one number for each",
    ),
    "negative noise": (lambda: synthetic.xor(noise=-1), ArgumentError, r"xor: `noise` \(=-1\) must be a finite number of 0 or more"),
    "infinite noise": (lambda: synthetic.blobs(noise=np.inf), ArgumentError, r"blobs: `noise` \(=inf\)"),
    "centers": (lambda: synthetic.blobs(5, 3, 2, centers=[[0, 0]]), ShapeError, r"`centers` \(1, 2\) must be .* \[3, 2\]"),
    "no coefficients": (lambda: synthetic.polynomial(coefficients=()), ArgumentError, r"`len\(coefficients\)` \(=0\)"),
    "powers of a matrix": (lambda: synthetic.powers(np.ones((2, 2)), 1), ShapeError, r"`x` \(2, 2\) must be"),
    "a short sequence": (lambda: synthetic.adding_problem(3, 1), ArgumentError, r"`length` \(=1\) must be an integer of 2"),
    "no period": (lambda: synthetic.time_series(period=0), ArgumentError, r"`period` \(=0\) must be positive"),
    "a short series": (
        lambda: synthetic.windows(np.ones(3), 3),
        ArgumentError,
        "of 3 values has none with `length` 3 and a target 1 later",
    ),
    "a long text": (
        lambda: synthetic.next_tokens(np.arange(3), 3),
        ArgumentError,
        r"3 `tokens` are too few for `steps` \(=3\): at least 4",
    ),
    "tokens": (lambda: synthetic.next_tokens(np.ones(9), 3), ArgumentError, r"`tokens` \(9,\) of float64 must be integers"),
    "too many figures": (lambda: synthetic.shapes(3, classes=11), ArgumentError, r"`classes` \(=11\) must be an integer from 1 to 10"),
    "too small": (lambda: synthetic.shapes(3, size=7), ArgumentError, r"`size` \(=7\) must be an integer from 8 to 1024"),
    "no objects": (lambda: synthetic.detection(3, objects=0), ArgumentError, r"`objects` \(=0\)"),
    "no channels": (lambda: synthetic.noise_images(3, (0, 2)), ArgumentError, r"`shape` \(=0\)"),
    "no seed": (lambda: synthetic.xor(seed="a"), ArgumentError, r"`seed` \(='a'\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_made(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()
