"""Random numbers from a key, and functions that run more than once for one evaluation."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.arrays import random
from diffcore.errors import GradientError
from diffcore.replay import Moment, is_again


def test_a_further_run_draws_the_same_and_the_stream_goes_on() -> None:
    random.manual_seed(3)
    start = Moment()
    first = [random.normal((3,)), random.kept(0.5, (4,))]
    with start.again():
        assert is_again()
        second = [random.normal((3,)), random.kept(0.5, (4,))]
    assert not is_again()
    after = random.normal((2,))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    random.manual_seed(3)
    random.normal((3,)), random.kept(0.5, (4,))
    np.testing.assert_array_equal(random.normal((2,)), after)


def test_a_further_run_ends_with_an_exception_and_nests() -> None:
    start = Moment()
    expected = random.normal((2,))

    def failing() -> None:
        with start.again():
            inner = Moment()
            with inner.again():
                np.testing.assert_array_equal(random.normal((2,)), expected)
            assert is_again()
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert not is_again()


def test_a_seed_set_inside_a_further_run_is_forgotten() -> None:
    random.manual_seed(1)
    start = Moment()
    with start.again():
        random.manual_seed(5)
    found = random.normal((2,))
    random.manual_seed(1)
    np.testing.assert_array_equal(random.normal((2,)), found)


def test_numbers_from_a_key_are_put_back_too() -> None:
    import jax

    with random.keyed(jax.random.key(0)) as stream:
        start = Moment()
        first = random.uniform(0, 1, (3,))
        key = stream.key
        with start.again():
            np.testing.assert_array_equal(random.uniform(0, 1, (3,)), first)
        assert (jax.random.key_data(stream.key) == jax.random.key_data(key)).all()
        assert not np.array_equal(random.uniform(0, 1, (3,)), first)


def test_a_key_draws_what_the_generator_would_not_and_leaves_it_alone(engine: ModuleType) -> None:
    import jax

    engine.manual_seed(0)
    before = random.position().state
    with random.keyed(jax.random.key(7)) as stream:
        x = engine.tensor(np.ones((200, 50), np.float32))
        mask = engine.nn.functional.dropout(x, 0.3)
        assert isinstance(mask.array, np.ndarray)  # numpy stays numpy
        numbers = engine.randn(1000), engine.rand(1000), engine.randint(3, (1000,)), engine.randperm(50)
    assert random.position().state == before
    assert not random.is_keyed()
    assert abs(float((mask.array == 0).mean()) - 0.3) < 0.02
    assert abs(float(numbers[0].array.mean())) < 0.15
    assert 0 <= float(numbers[1].array.min()) < 0.05 < 0.95 < float(numbers[1].array.max()) < 1
    assert set(numbers[2].array.tolist()) == {0, 1, 2}
    assert sorted(numbers[3].array.tolist()) == list(range(50))
    with random.keyed(jax.random.key(7)) as again:
        np.testing.assert_array_equal(engine.nn.functional.dropout(x, 0.3).array, mask.array)
        assert not np.array_equal(engine.nn.functional.dropout(x, 0.3).array, mask.array)
    assert not (jax.random.key_data(stream.key) == jax.random.key_data(again.key)).all()


def test_masks_under_jit_are_those_of_the_key(engine: ModuleType) -> None:
    import jax

    layer = engine.nn.Dropout(0.5)

    @jax.jit
    def step(key: Any, x: Any) -> Any:
        with random.keyed(key) as stream:
            value, gradient = engine.value_and_grad(lambda x: layer(x).sum())(x)
        return stream.key, value, gradient

    x = np.ones((6, 5), np.float32)
    key, _, first = step(jax.random.key(3), x)
    _, _, second = step(key, x)
    assert not np.array_equal(first, second)
    assert set(np.unique(first)) == {0.0, 2.0}
    with random.keyed(jax.random.key(3)):
        np.testing.assert_array_equal(layer(engine.tensor(x)).array, first)
    with pytest.raises(GradientError, match=r"under `jax.jit` the mask needs a key that changes.*random.keyed"):
        jax.jit(lambda x: engine.grad(lambda x: layer(x).sum())(x))(x)


def test_chunks_draw_one_mask(x64: None) -> None:
    import dualdiff

    layer = dualdiff.nn.Dropout(0.5)
    w = np.linspace(-1, 1, 64).reshape(8, 8)
    x = np.cos(np.arange(48.0)).reshape(6, 8)

    def loss(w: Any) -> Any:
        noise = dualdiff.rand(8, dtype=np.float64)
        return (layer((dualdiff.tensor(x) @ w).tanh()) * noise).sum() * layer(dualdiff.ones(2)).sum()

    gradients, after = [], []
    for memory in (None, "2KB", "4KB"):
        dualdiff.manual_seed(11)
        gradients.append(dualdiff.grad(loss, memory=memory, seeding="parameters")(w))
        after.append(dualdiff.rand(3).array)
    for found, state in zip(gradients[1:], after[1:], strict=True):
        np.testing.assert_allclose(found, gradients[0], rtol=1e-13, atol=1e-15)
        np.testing.assert_array_equal(state, after[0])  # the stream goes on as after one run
