"""The networks of one layer and the perceptron of several: against closed forms, their own rules, PyTorch, and each other's engines."""

import numpy as np
import pytest

from compare import datasets
from compare.backends import BACKENDS
from compare.errors import InputError
from compare.networks import NETWORKS, kernel_svm, lasso, linear, perceptron, ridge
from compare.networks.kit import Kit
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer, built, scores, train

LEARNED = {
    "linear": 0.999,
    "ridge": 0.4,
    "lasso": 0.4,
    "softmax": 0.93,
    "perceptron": 0.95,
    "svm": 0.92,
    "kernel-svm": 0.97,
    "mlp": 0.95,
}
"""The least test score of every simple network after its own training."""


def split_of(settings, dtype="float64"):
    return datasets.load(settings.data, settings.model.takes, seed=settings.seed, dtype=dtype)


def trainer_of(settings, strategy="reverse", dtype="float64", **options):
    backend = BACKENDS[settings.backend]
    split = split_of(settings, dtype)
    known = {"device": backend.device, "dtype": dtype, "compiled": True, "examples": split.train_inputs, **options}
    return Trainer(settings, STRATEGIES[strategy], **known), split


def run(settings, steps, strategy="reverse", dtype="float64", **options):
    trainer, split = trainer_of(settings, strategy, dtype, **options)
    losses = train(trainer, datasets.batches(split, batch=settings.batch, seed=settings.seed), steps, lambda done: None)
    return trainer, split, losses


@pytest.mark.parametrize("name", LEARNED)
def test_it_learns_its_task(name):
    settings = Settings(network=name)
    trainer, split, losses = run(settings, settings.steps, dtype="float32")
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:5])
    assert scores(trainer, split)[1] >= LEARNED[name]


def test_every_simple_network_is_tried():
    assert {name for name, network in NETWORKS.items() if network.takes == "vector"} == set(LEARNED)


@pytest.mark.parametrize("data", ["own", "several"])
@pytest.mark.parametrize("name", LEARNED)
def test_steps_are_the_same_by_every_strategy_chunked_or_not(name, data):
    other = {"classification": "wine", "regression": "series"}[NETWORKS[name].task]
    settings = Settings(network=name, data=None if data == "own" else other, batch=8, width=8 if "width" in NETWORKS[name].knobs else None)
    expected, _, losses = run(settings, 3)
    for strategy, memory in (("forward-activations", None), ("forward-parameters", None), ("forward-parameters", 30_000)):
        trainer, _, found = run(settings, 3, strategy, memory=memory)
        np.testing.assert_allclose(found, losses, rtol=1e-12, atol=1e-14)
        for key, value in expected.parameters().items():
            np.testing.assert_allclose(trainer.parameters()[key], value, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", LEARNED)
def test_jax_takes_the_same_steps(name):
    settings = Settings(network=name, batch=8)
    _, _, losses = run(settings, 3, dtype="float32")
    for strategy in ("reverse", "forward-activations"):
        _, _, found = run(Settings(network=name, batch=8, backend="jax"), 3, strategy, dtype="float32")
        np.testing.assert_allclose(found, losses, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LEARNED)
def test_it_is_torchs_own(name, classes):
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    data = ("breast_cancer", "wine")[classes - 2] if NETWORKS[name].task == "classification" else "diabetes"
    settings = Settings(network=name, data=data, batch=16, width=8 if "width" in NETWORKS[name].knobs else None)
    trainer, split = trainer_of(settings)
    inputs, targets = split.train_inputs[:16], split.train_targets[:16]
    knobs = {"width": settings.width, "depth": settings.depth}
    theirs = settings.model.build(Kit(torch, dtype=torch.float64), settings.inputs, settings.outputs, **knobs)
    theirs.load_state_dict({name: torch.from_numpy(np.array(value.numpy())) for name, value in trainer.net.state_dict().items()})
    expected = settings.model.loss(torch.nn.functional, theirs, torch.from_numpy(inputs), torch.from_numpy(targets))
    expected.backward()
    loss, gradients = trainer.value_and_grad(trainer.net, inputs, targets)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-12)
    assert list(gradients) == [key for key, _ in theirs.named_parameters()]
    for key, parameter in theirs.named_parameters():
        np.testing.assert_allclose(gradients[key], parameter.grad.numpy(), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(trainer.outputs(inputs), theirs(torch.from_numpy(inputs)).detach().numpy(), rtol=1e-11, atol=1e-14)


def whole_gradient(name, weight, bias, split):
    """The gradient over all training examples at a given point."""
    settings = Settings(network=name, data="diabetes")
    trainer, _ = trainer_of(settings)
    trainer.net.load_state_dict({"weight": weight, "bias": bias})
    return trainer.value_and_grad(trainer.net, split.train_inputs, split.train_targets)


def test_the_closed_forms_are_where_the_gradient_is_zero():
    split = split_of(Settings(network="ridge", data="diabetes"))
    for name, solution in (("linear", linear.solution), ("ridge", ridge.ridge_solution)):
        _, gradients = whole_gradient(name, *solution(split.train_inputs, split.train_targets), split)
        assert max(abs(gradient).max() for gradient in gradients.values()) < 1e-12
    free, held = (abs(s(split.train_inputs, split.train_targets)[0]).sum() for s in (linear.solution, ridge.ridge_solution))
    assert held < free


def test_descent_arrives_at_the_closed_form():
    settings = Settings(network="linear", data="linear", lr=0.05, momentum=0.0)
    trainer, split, _ = run(settings, 1000)
    weight, bias = linear.solution(split.train_inputs, split.train_targets)
    np.testing.assert_allclose(trainer.parameters()["weight"], weight, atol=0.03)
    np.testing.assert_allclose(trainer.parameters()["bias"], bias, atol=0.03)
    # The data were made of these, and a little noise.
    np.testing.assert_allclose(weight, [[2, -3.4]], atol=0.02)
    np.testing.assert_allclose(bias, [4.2], atol=0.02)


def test_dependent_features_have_the_solution_of_least_norm():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(20, 2)), 2, axis=1)
    weight, bias = linear.solution(x, x[:, :1] * 3 + 1)
    np.testing.assert_allclose(weight, [[1.5, 1.5, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(bias, [1], atol=1e-12)


def test_the_lasso_comes_near_the_optimum_of_scikit_learn():
    from sklearn.linear_model import Lasso

    settings = Settings(network="lasso", momentum=0.0)
    trainer, split, _ = run(settings, 1500)
    found = Lasso(alpha=lasso.PENALTY / 2, tol=1e-12).fit(split.train_inputs, split.train_targets[:, 0])
    best, _ = whole_gradient("lasso", found.coef_[None], np.atleast_1d(found.intercept_), split)
    reached, _ = whole_gradient("lasso", *(trainer.parameters()[key] for key in ("weight", "bias")), split)
    assert best <= reached <= 1.01 * best
    absent = found.coef_ == 0
    assert absent.any()
    assert abs(trainer.parameters()["weight"][0, absent]).max() < 0.03


@pytest.mark.parametrize("data", ["breast_cancer", "wine"])
def test_a_step_of_the_perceptron_is_its_own_rule(data):
    settings = Settings(network="perceptron", data=data)
    trainer, split = trainer_of(settings)
    weight, bias = (np.array(trainer.parameters()[key]) for key in ("weight", "bias"))
    moved = 0
    for x, label in zip(split.train_inputs[:60], split.train_targets[:60], strict=True):
        new_weight, new_bias = perceptron.update(weight, bias, x, int(label))
        moved += not np.array_equal(new_weight, weight)
        weight, bias = new_weight, new_bias
        trainer.step(x[None], np.array([label]))
        np.testing.assert_allclose(trainer.parameters()["weight"], weight, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(trainer.parameters()["bias"], bias, rtol=1e-12, atol=1e-12)
    assert 0 < moved < 60


def test_two_classes_have_one_unit_and_a_number_each():
    for name in ("perceptron", "svm", "kernel-svm"):
        trainer, split = trainer_of(Settings(network=name, data="breast_cancer"))
        outputs = trainer.outputs(split.test_inputs)
        assert outputs.shape == (len(split.test_inputs), 1)
        predicted = NETWORKS[name].predict(outputs)
        np.testing.assert_array_equal(predicted.argmax(1), outputs[:, 0] > 0)


def test_the_kernel_is_that_of_scikit_learn():
    from sklearn.metrics.pairwise import rbf_kernel

    trainer, split = trainer_of(Settings(network="kernel-svm", data="wine", width=20))
    similarity, x = trainer.net.similarity, split.test_inputs
    gamma = 1 / (13 * split.train_inputs.var())
    assert float(similarity.gamma) == pytest.approx(gamma, rel=1e-12)
    np.testing.assert_allclose(similarity.gram.numpy(), rbf_kernel(split.train_inputs[:20], gamma=gamma), rtol=1e-10)
    expected = rbf_kernel(x, split.train_inputs[:20], gamma=gamma)
    found = trainer._tensor(x)
    np.testing.assert_allclose(similarity(found).numpy(), expected, rtol=1e-10)


def test_more_centres_than_examples_are_refused():
    with pytest.raises(InputError, match=r"kernel-svm: `width` \(=400\) must be at most 320, the training examples"):
        trainer_of(Settings(network="kernel-svm", width=400))
    assert kernel_svm.NETWORK.knobs == ("width",)


@pytest.mark.parametrize("name", LEARNED)
def test_it_is_built_from_shapes_alone(name, engine):
    settings = Settings(network=name)
    net = built(settings, engine, device="meta", dtype="float32")
    assert {str(parameter.device) for parameter in net.parameters()} == {"meta"}
    assert settings.shape.startswith(str(settings.inputs[0]))
