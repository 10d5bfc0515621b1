"""Tensors made from sizes, numbers, random draws and other data: values and dtypes as PyTorch's, one stream for both engines."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import AbstractValueError, GradientError

SAME_AS_TORCH: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda t: t.zeros(2, 3),
    "zeros of a tuple": lambda t: t.zeros((2, 3)),
    "zeros of a list": lambda t: t.zeros([2]),
    "zeros of a size": lambda t: t.zeros(t.ones(2, 3).shape),
    "zeros by keyword": lambda t: t.zeros(size=(2, 1)),
    "zeros without axes": lambda t: t.zeros(()),
    "zeros that are empty": lambda t: t.zeros(2, 0),
    "zeros of a tensor's number": lambda t: t.zeros(t.tensor(2), 3),
    "zeros of a dtype": lambda t: t.zeros(2, dtype=t.int32),
    "ones": lambda t: t.ones(3, dtype=t.float64),
    "ones that are bools": lambda t: t.ones(3, dtype=t.bool),
    "a variable": lambda t: t.ones(2, requires_grad=True),
    "full of an int": lambda t: t.full((2,), 7),
    "full of a float": lambda t: t.full((2, 2), 0.1),
    "full of a bool": lambda t: t.full((2,), True),
    "full of a tensor": lambda t: t.full((2,), t.tensor(2.5, dtype=t.float64)),
    "full without axes": lambda t: t.full((), 3.0),
    "eye": lambda t: t.eye(3),
    "eye that is wide": lambda t: t.eye(2, 3, dtype=t.int64),
    "arange": lambda t: t.arange(5),
    "arange from": lambda t: t.arange(2, 7),
    "arange by a step": lambda t: t.arange(1, 10, 4),
    "arange down": lambda t: t.arange(10, 1, -4),
    "arange of a float": lambda t: t.arange(5.0),
    "arange of floats": lambda t: t.arange(-5, 5, 0.1),
    "arange that just misses": lambda t: t.arange(0, 1, 0.25),
    "arange in a dtype": lambda t: t.arange(4, dtype=t.float32),
    "arange by keyword": lambda t: t.arange(start=1, end=4),
    "arange that is empty": lambda t: t.arange(0),
    "arange of a tensor's number": lambda t: t.arange(t.tensor(3)),
    "arange of a variable": lambda t: t.arange(4.0, requires_grad=True),
    "linspace": lambda t: t.linspace(0, 10, 5),
    "linspace of one": lambda t: t.linspace(3, 10, 1),
    "linspace of none": lambda t: t.linspace(3, 10, 0),
    "linspace in float64": lambda t: t.linspace(-1, 1, 7, dtype=t.float64),
    "linspace of ints": lambda t: t.linspace(0, 10, 4, dtype=t.int64),
    "logspace": lambda t: t.logspace(0, 2, 3),
    "logspace to the base 2": lambda t: t.logspace(0, 4, 5, base=2),
    "zeros_like": lambda t: t.zeros_like(t.ones(2, 3, dtype=t.float64)),
    "zeros_like a variable": lambda t: t.zeros_like(t.ones(2, requires_grad=True)),
    "ones_like": lambda t: t.ones_like(t.arange(3)),
    "ones_like in a dtype": lambda t: t.ones_like(t.arange(3), dtype=t.float32),
    "full_like": lambda t: t.full_like(t.arange(3), 4),
    "full_like cut off": lambda t: t.full_like(t.arange(3), 4.9),
    "full_like of a variable": lambda t: t.full_like(t.ones(2), 4.5, requires_grad=True),
    "as_tensor": lambda t: t.as_tensor([1, 2.5]),
    "as_tensor in a dtype": lambda t: t.as_tensor([1, 2], dtype=t.float32),
    "as_tensor of an array": lambda t: t.as_tensor(np.arange(3.0)),
    "asarray": lambda t: t.asarray([1.0, 2.0], requires_grad=True),
    "from_numpy": lambda t: t.from_numpy(np.arange(6.0).reshape(2, 3)),
    "FloatTensor": lambda t: t.FloatTensor([1, 2]),
    "LongTensor": lambda t: t.LongTensor([1.7, -2.2]),
    "BoolTensor": lambda t: t.BoolTensor([0, 2]),
    "DoubleTensor of a tensor": lambda t: t.DoubleTensor(t.ones(2).double()),
    "HalfTensor": lambda t: t.HalfTensor([[0.5]]),
    "ByteTensor": lambda t: t.ByteTensor([255]),
    "an empty typed tensor": lambda t: t.FloatTensor(),
    "new_tensor": lambda t: t.zeros(2).new_tensor([1, 2]),
    "new_zeros": lambda t: t.zeros(2, dtype=t.float64).new_zeros(2, 3),
    "new_ones": lambda t: t.zeros(2, dtype=t.int32).new_ones((2,)),
    "new_full": lambda t: t.zeros(2).new_full((2,), 3, dtype=t.int64),
    "type": lambda t: t.arange(3).type(t.float32),
    "type by name": lambda t: t.tensor([1.7]).type("torch.LongTensor"),
    "bernoulli of certainties": lambda t: t.bernoulli(t.tensor([0.0, 1.0, 1.0], dtype=t.float64)),
    "bernoulli by p": lambda t: t.bernoulli(t.zeros(3), 1.0),
    "normal that does not vary": lambda t: t.normal(2.0, 0.0, (2, 2)),
    "normal of tensors": lambda t: t.normal(t.arange(3.0).reshape(3, 1), t.zeros(2)),
    "normal around a tensor": lambda t: t.normal(t.arange(3.0, dtype=t.float64), 0.0),
    "normal of a deviation": lambda t: t.normal(1.0, t.zeros(3)),
    "multinomial that is certain": lambda t: t.multinomial(t.tensor([[0.0, 3.0], [1.0, 0.0]]), 4, replacement=True),
    "randint that is certain": lambda t: t.randint(4, 5, (3,)),
    "randint up to one": lambda t: t.randint(1, (2,), dtype=t.float32),
    "randint_like": lambda t: t.randint_like(t.ones(2, 2), 1),
    "randperm of one": lambda t: t.randperm(1),
    "out": lambda t: t.ones(2, out=t.zeros(2, dtype=t.int32)),
}


@pytest.mark.parametrize("name", SAME_AS_TORCH)
def test_values_dtypes_and_sizes_are_those_of_torch(engine: ModuleType, name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = SAME_AS_TORCH[name](engine), SAME_AS_TORCH[name](torch)
    assert isinstance(ours, engine.Tensor)
    assert repr(ours.shape) == repr(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    assert ours.requires_grad == theirs.requires_grad
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-7, atol=1e-8 if "arange" in name else 1e-15)

DRAWS: dict[str, Callable[..., Any]] = {
    "rand": lambda t, **o: t.rand(50, 40, **o),
    "rand of a size": lambda t, **o: t.rand((3, 2), **o),
    "randn": lambda t, **o: t.randn(50, 40, **o),
    "randn in float64": lambda t, **o: t.randn(5, dtype=t.float64, **o),
    "randn without axes": lambda t, **o: t.randn(size=(), **o),
    "randint": lambda t, **o: t.randint(-3, 4, (1000,), **o),
    "normal": lambda t, **o: t.normal(5.0, 2.0, (2000,), **o),
    "normal of tensors": lambda t, **o: t.normal(t.arange(3.0), t.ones(2, 1), **o),
    "randperm": lambda t, **o: t.randperm(100, **o),
    "bernoulli": lambda t, **o: t.bernoulli(t.full((2000,), 0.3), **o),
    "multinomial": lambda t, **o: t.multinomial(t.tensor([0.0, 1.0, 3.0]), 4000, replacement=True, **o),
    "multinomial without replacement": lambda t, **o: t.multinomial(t.ones(2, 10), 10, **o),
    "rand_like": lambda t, **o: t.rand_like(t.zeros(3, dtype=t.float64), **o),
    "randn_like": lambda t, **o: t.randn_like(t.zeros(3, 2), **o),
    "randint_like": lambda t, **o: t.randint_like(t.zeros(30), 2, 9, **o),
}


@pytest.mark.parametrize("name", DRAWS)
def test_one_seed_gives_both_engines_the_same_numbers(name: str) -> None:
    found = []
    for engine in (revdiff, dualdiff):
        engine.manual_seed(3)
        found.append(DRAWS[name](engine).numpy())
        found.append(DRAWS[name](engine, generator=engine.Generator().manual_seed(3)).numpy())
        found.append(DRAWS[name](engine, generator=np.random.default_rng(3)).numpy())
        other = DRAWS[name](engine).numpy()
        assert other.size < 2 or not np.array_equal(other, found[0])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
        assert other.dtype == found[0].dtype


def test_draws_have_the_distribution_they_are_named_for(engine: ModuleType) -> None:
    engine.manual_seed(0)
    n = 40_000
    uniform = engine.rand(n).numpy()
    assert 0 <= uniform.min() < 0.001 < 0.999 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    normal = engine.normal(3.0, 2.0, (n,)).numpy()
    assert abs(normal.mean() - 3) < 0.05
    assert abs(normal.std() - 2) < 0.05
    integers = engine.randint(2, 7, (n,)).numpy()
    assert np.all(np.abs(np.bincount(integers, minlength=7)[2:] / n - 0.2) < 0.01)
    assert abs(engine.bernoulli(engine.full((n,), 0.3)).numpy().mean() - 0.3) < 0.01
    drawn = engine.multinomial(engine.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 0.0]]), n, replacement=True).numpy()
    for row, expected in zip(drawn, ([0, 0.25, 0.75], [0.5, 0.5, 0]), strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / n, expected, atol=0.01)
        assert np.all(np.bincount(row, minlength=3)[np.equal(expected, 0)] == 0)
    first = [engine.multinomial(engine.tensor([1.0, 0.0, 3.0]), 2).numpy() for _ in range(2000)]
    assert {tuple(sorted(pair)) for pair in first} == {(0, 2)}
    assert abs(np.mean([pair[0] == 2 for pair in first]) - 0.75) < 0.04
    np.testing.assert_array_equal(np.sort(engine.randperm(100).numpy()), np.arange(100))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_numbers_stay_below_one_in_every_dtype(engine: ModuleType, dtype: str) -> None:
    drawn = engine.rand(200_000, dtype=getattr(engine, dtype), generator=engine.Generator().manual_seed(1)).numpy()
    assert drawn.max() < 1
    assert drawn.min() >= 0


def test_generators_restart_and_tell_their_seed(engine: ModuleType) -> None:
    generator = engine.Generator().manual_seed(5)
    assert generator.initial_seed() == 5
    first = engine.rand(3, generator=generator).tolist()
    assert engine.rand(3, generator=generator).tolist() != first
    assert engine.rand(3, generator=generator.manual_seed(5)).tolist() == first
    fresh = generator.seed()
    assert generator.initial_seed() == fresh
    again = engine.rand(3, generator=generator).tolist()
    assert engine.rand(3, generator=generator.manual_seed(fresh)).tolist() == again
    assert engine.manual_seed(-1).initial_seed() == -1
    assert engine.rand(2).tolist() != engine.manual_seed(1).random(2).tolist()
    assert engine.seed() == engine.initial_seed()
    assert engine.rand(3, generator=engine.Generator(device="cpu")).tolist() == engine.rand(3, generator=engine.Generator()).tolist()


def test_draws_are_the_same_on_every_device(engine: ModuleType) -> None:
    import jax

    for draw in (
        lambda **o: engine.randn(3, 2, **o),
        lambda **o: engine.normal(1.0, 2.0, (4,), **o),
        lambda **o: engine.randint(5, (3,), **o),
    ):
        engine.manual_seed(2)
        here = draw()
        engine.manual_seed(2)
        there = draw(device="jax")
        assert isinstance(there.array, jax.Array)
        np.testing.assert_array_equal(there.cpu().numpy(), here.numpy())
    like = engine.zeros_like(there)
    assert isinstance(like.array, jax.Array)
    assert like.dtype == there.dtype
    assert isinstance(there.new_ones(2).array, jax.Array)
    assert isinstance(engine.normal(there.float(), 1.0).array, jax.Array)


def test_meta_tensors_are_made_without_memory(engine: ModuleType) -> None:
    for made in (
        engine.zeros(10**9, 10**9, device="meta"),
        engine.randn(10**9, 10**9, device="meta"),
        engine.empty(10**9, 10**9, device="meta"),
        engine.zeros_like(engine.zeros(10**9, 10**9, device="meta")),
    ):
        assert (made.device, made.shape, made.dtype) == ("meta", (10**9, 10**9), np.float32)
    meta = engine.zeros(3, device="meta")
    assert engine.bernoulli(meta).device == "meta"
    assert engine.normal(meta, 1.0).device == "meta"
    assert engine.multinomial(meta, 2).shape == (2,)
    assert engine.ones(3, out=meta) is meta
    with pytest.raises(AbstractValueError):
        engine.full((2,), engine.zeros((), device="meta"))


def test_out_receives_the_values(engine: ModuleType) -> None:
    held = np.zeros((2, 3))
    out = engine.from_numpy(held)
    for make in (
        lambda **o: engine.ones(2, 3, **o),
        lambda **o: engine.randn(2, 3, **o),
        lambda **o: engine.full((2, 3), 0.1, **o),
        lambda **o: engine.normal(engine.zeros(3), engine.ones(2, 1), **o),
        lambda **o: engine.rand(2, 3, dtype=engine.float64, **o),
        lambda **o: engine.bernoulli(engine.full((2, 3), 0.5), **o),
    ):
        held[...] = 9
        assert make(out=out) is out
        assert out.dtype == np.float64
        assert not (held == 9).any()
    assert engine.arange(3, out=engine.zeros(3)).tolist() == [0.0, 1.0, 2.0]
    assert engine.ones(2, out=engine.zeros(2), requires_grad=True).requires_grad
    placed = engine.zeros(2, device="jax")
    assert engine.ones(2, out=placed) is placed
    assert placed.cpu().tolist() == [1.0, 1.0]
    assert placed.device.startswith(("jax", "cuda"))


def test_memory_is_shared_where_it_can_be(engine: ModuleType) -> None:
    held = np.arange(3.0)
    for wrap in (engine.from_numpy, engine.as_tensor, engine.asarray, lambda a: engine.asarray(a, copy=False)):
        assert wrap(held).array is held
    for copy in (
        engine.tensor(held),
        engine.asarray(held, copy=True),
        engine.as_tensor(held, dtype=engine.float32),
        engine.asarray(held, dtype=engine.float32),
    ):
        assert not np.shares_memory(copy.array, held)
    x = engine.ones(2, requires_grad=True)
    assert engine.as_tensor(x) is x
    assert engine.as_tensor(x * 2, dtype=engine.float64).requires_grad
    assert engine.as_tensor(x, device="cpu") is x
    assert not engine.asarray(x).requires_grad
    assert engine.asarray(x).array is x.array
    assert engine.as_tensor([1.0], device="meta").device == "meta"
    other = dualdiff if engine is revdiff else revdiff
    assert engine.as_tensor(other.from_numpy(held)).array is held
    with pytest.raises(GradientError, match="cannot meet"):
        engine.as_tensor(other.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="cannot share memory"):
        engine.asarray(held, dtype=engine.float32, copy=False)


def test_typed_constructors_take_values_or_a_size(engine: ModuleType) -> None:
    for name, dtype in (
        ("HalfTensor", "float16"),
        ("FloatTensor", "float32"),
        ("DoubleTensor", "float64"),
        ("CharTensor", "int8"),
        ("ShortTensor", "int16"),
        ("IntTensor", "int32"),
        ("LongTensor", "int64"),
        ("ByteTensor", "uint8"),
        ("BoolTensor", "bool"),
    ):
        make = getattr(engine, name)
        assert make([1, 0]).dtype == dtype
        assert make(2, 3).shape == (2, 3)
        assert make(2).shape == (2,)
        assert make().shape == (0,)
        assert make(engine.ones(2)).tolist() == [1, 1]
        assert make(2).type() == f"torch.{name}"


def test_questions_about_tensors(engine: ModuleType) -> None:
    x = engine.ones(2, 3)
    assert engine.is_tensor(x)
    assert not engine.is_tensor(np.ones(2))
    assert not engine.is_tensor([1.0])
    assert engine.numel(x) == 6
    assert engine.is_floating_point(x)
    assert not engine.is_floating_point(x.long())


def test_what_is_drawn_is_constant(engine: ModuleType) -> None:
    mean = engine.zeros(3, requires_grad=True)
    for drawn in (engine.normal(mean, 1.0), engine.rand_like(mean), engine.bernoulli(mean), engine.zeros_like(mean)):
        assert not drawn.requires_grad
    assert engine.randn(2, requires_grad=True).is_leaf
