"""The one training loop learns, the same by every strategy and on every backend."""

import numpy as np
import pytest

from compare import datasets
from compare.backends import BACKENDS
from compare.errors import TrainingError
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer, scores, train


def trained(name, settings, *, steps, dtype="float64"):
    backend = BACKENDS[settings.backend]
    trainer = Trainer(settings, STRATEGIES[name], device=backend.device, dtype=dtype, compiled=True)
    split = datasets.load(settings.data, settings.model.takes, seed=settings.seed, dtype=dtype)
    losses = train(trainer, datasets.batches(split, batch=settings.batch, seed=settings.seed), steps, lambda done: None)
    return trainer, split, losses


def test_it_learns():
    trainer, split, losses = trained("reverse", Settings(), steps=200, dtype="float32")
    assert losses[0] == pytest.approx(np.log(10), abs=0.3)
    assert np.mean(losses[-20:]) < 0.3
    on_train, on_test = scores(trainer, split)
    assert 0.9 < on_test <= 1
    assert 0.9 < on_train <= 1


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "reverse"])
def test_every_strategy_trains_the_same_network(name):
    settings = Settings(width=8, batch=32)
    expected, _, losses = trained("reverse", settings, steps=10)
    trainer, _, others = trained(name, settings, steps=10)
    np.testing.assert_allclose(others, losses, rtol=0, atol=1e-12)
    parameters = trainer.parameters()
    assert list(parameters) == list(expected.parameters())
    for key, value in expected.parameters().items():
        np.testing.assert_allclose(parameters[key], value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", STRATEGIES)
def test_jax_under_jit_trains_as_numpy_does(name):
    plain, _, losses = trained(name, Settings(width=8, batch=32), steps=5, dtype="float32")
    compiled, _, others = trained(name, Settings(width=8, batch=32, backend="jax"), steps=5, dtype="float32")
    np.testing.assert_allclose(others, losses, rtol=1e-4)
    for key, value in plain.parameters().items():
        np.testing.assert_allclose(compiled.parameters()[key], value, rtol=1e-3, atol=1e-5)


def test_a_loss_that_is_not_finite_ends_the_training():
    with pytest.raises(TrainingError, match=r"the loss became (inf|nan) in step \d+; a smaller `lr`"), np.errstate(all="ignore"):
        trained("reverse", Settings(lr=1e308), steps=20)


def test_batches_and_split_depend_on_the_seed_alone():
    one, same, other = (datasets.load("digits", "vector", seed=seed, dtype="float32") for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.train_inputs, same.train_inputs)
    assert not np.array_equal(one.train_inputs, other.train_inputs)
    assert one.train_inputs.dtype == np.float32
    assert one.train_inputs.shape == (1438, 64)
    assert one.test_inputs.shape == (359, 64)
    assert 0 <= one.train_inputs.min() < one.train_inputs.max() <= 1

    def labels(seed):
        batches = datasets.batches(one, batch=64, seed=seed)
        return [np.asarray(next(batches)[1]) for _ in range(50)]

    first, second, third = labels(0), labels(0), labels(1)
    assert all(len(batch) == 64 for batch in first)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)
    # Epochs are shuffled anew: 1438 // 64 batches make one.
    assert not np.array_equal(first[0], first[22])


def test_a_parameter_that_is_not_finite_ends_the_training():
    with pytest.raises(TrainingError, match=r"a parameter became infinite or not a number in step 1"), np.errstate(all="ignore"):
        trained("reverse", Settings(lr=1e308), steps=1, dtype="float32")


def test_a_schedule_takes_effect_in_a_compiled_step():
    """Rates are given to the compiled step; other options are compiled in, anew when they change."""
    found = []
    for backend in ("numpy", "jax"):
        settings = Settings(width=4, batch=16, backend=backend)
        trainer = Trainer(settings, STRATEGIES["reverse"], device=BACKENDS[backend].device, dtype="float32", compiled=True)
        batches = datasets.batches(datasets.load("digits", "vector", seed=0, dtype="float32"), batch=16, seed=0)
        (group,) = trainer.optimizer.param_groups
        for step in range(6):
            group["lr"] = 0.3 * 0.7**step
            group["momentum"] = 0.9 if step < 3 else 0.1
            trainer.step(*next(batches))
        assert group["lr"] == 0.3 * 0.7**5
        found.append(trainer.parameters())
    for key, value in found[0].items():
        np.testing.assert_allclose(found[1][key], value, rtol=1e-3, atol=1e-5)
