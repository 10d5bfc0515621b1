"""Settings are checked once, and every refusal says what, its value and what is allowed."""

import click
import msgspec
import pytest

from compare import cli
from compare.errors import InputError
from compare.networks import NETWORKS
from compare.optimizers import WITH_MOMENTUM
from compare.settings import Settings

REFUSED = [
    ({"network": "mpl"}, "unknown network 'mpl': it must be linear, ridge, "),
    ({"data": "mnist"}, "unknown data set 'mnist': it must be digits, iris, "),
    ({"engines": ("forward-activation",)}, "Perhaps you meant 'forward-activations'?"),
    ({"engines": ()}, "no engine given"),
    ({"backend": "Jax"}, "unknown backend 'Jax': it must be numpy or jax. Perhaps you meant 'jax'?"),
    ({"dtype": "float16"}, "it must be float32 or float64"),
    ({"steps": 0}, "`steps` (=0) must be a whole number from 1"),
    ({"steps": 10**12}, "to 1000000000"),
    ({"rounds": True}, "`rounds` (=True)"),
    ({"width": -3}, "`width` (=-3)"),
    ({"depth": 0}, "`depth` (=0)"),
    ({"agreement_steps": 0}, "`agreement_steps` (=0)"),
    ({"seed": -1}, "`seed` (=-1) must be a whole number from 0"),
    ({"batch": 1439}, "`batch` (=1439) must be at most 1438, the training examples of digits"),
    ({"lr": float("nan")}, "`lr` (=nan)"),
    ({"lr": float("inf")}, "`lr` (=inf)"),
    ({"lr": 0.0}, "`lr` (=0.0) must be a finite number above 0"),
    ({"momentum": 1.0}, "`momentum` (=1.0) must be at least 0 and below 1"),
    ({"momentum": float("nan")}, "`momentum` (=nan)"),
    ({"name": "a/b"}, "`name` (='a/b')"),
    ({"name": "a\\b"}, "no folder"),
    ({"name": ".."}, "`name` (='..')"),
    ({"name": "-x"}, "not begin with"),
    ({"name": "x" * 101}, "at most 100"),
    ({"name": "a\nb"}, "`name` (='a\\nb')"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED, ids=[str(wrong)[:40] for wrong, _ in REFUSED])
def test_impossible_settings_are_refused_in_one_line(wrong, message):
    with pytest.raises(InputError) as caught:
        Settings(**wrong)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_strategies_come_once_and_the_reference_first():
    settings = Settings(engines=("forward-parameters", "reverse", "reverse"))
    assert [strategy.name for strategy in settings.strategies] == ["reverse", "forward-parameters"]
    assert len(Settings().strategies) == 3


def test_title_names_what_is_run():
    assert Settings().title == "mlp-digits"
    assert Settings(backend="jax").title == "mlp-digits-jax"
    assert Settings(name="mine").title == "mine"


def test_shape_follows_width_and_depth():
    settings = Settings(width=16, depth=3)
    assert settings.shape == "64-16-16-16-10"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(engines=("reverse", "forward-activations"), backend="jax", steps=7, lr=1e-3, full=True, name="mine", agreement_steps=3),
    ],
)
def test_the_command_repeats_the_run(settings):
    """Parsing the command gives the settings back, the name now written out."""
    words = settings.command.split()
    assert words[:4] == ["python", "-m", "compare", "run"]
    with click.Context(cli.cli) as parent:
        options = cli.run.make_context("run", words[4:], parent=parent).params
    options.pop("output")
    repeated = Settings(**options)
    assert repeated == msgspec.structs.replace(settings, name=settings.title, engines=repeated.engines)
    assert repeated.strategies == settings.strategies


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_not_given_is_the_networks_own(name):
    """And its command, every setting written out, is that of the same run."""
    settings, network = Settings(network=name), NETWORKS[name]
    for setting in ("data", "steps", "batch", "width", "depth", "optimizer", "lr"):
        assert getattr(settings, setting) == getattr(network, setting)
    assert settings.momentum == (network.momentum if settings.optimizer in WITH_MOMENTUM else 0)
    assert settings.shape
    assert settings.inputs == settings.dataset.delivered(network.takes)
    words = settings.command.split()
    assert words[words.index("--data") + 1] == network.data
    assert words[words.index("--width") + 1] == str(network.width)
    assert ("--momentum" in words) == (settings.optimizer in WITH_MOMENTUM)


UNFIT = [
    ({"network": "lenet", "data": "iris"}, "network 'lenet' and data set 'iris' do not fit: the network takes image inputs"),
    ({"network": "lenet", "data": "iris"}, "networks that fit iris: softmax, perceptron, svm, kernel-svm, mlp"),
    ({"network": "linear", "data": "digits"}, "data sets that fit linear: diabetes, linear, series, adding;"),
    ({"optimizer": "adam", "momentum": 0.9}, "`momentum` (=0.9) cannot be set: adam has none"),
    ({"network": "mlp", "data": "text"}, "the data are tokens inputs (16,) for language"),
    ({"network": "resnet18", "data": "digits"}, "takes image inputs (3, 224, 224) for classification"),
    ({"network": "svm", "width": 3}, "`width` (=3) cannot be set: svm has no width to choose"),
    ({"network": "kernel-svm", "depth": 2}, "`depth` (=2) cannot be set: kernel-svm has no depth to choose"),
    ({"network": "iris"}, "unknown network 'iris'"),
    ({"optimizer": "Adam"}, "Perhaps you meant 'adam'?"),
    ({"memory": "12 parsecs"}, "`memory` (='12 parsecs') must be a positive whole number of bytes, or a text like '64MB', "),
    ({"memory": 0}, "`memory` (=0) must be"),
    ({"network": "resnet18", "batch": 64}, "`batch` (=64) must be at most 13, the training examples of noise-224"),
]


@pytest.mark.parametrize(("wrong", "message"), UNFIT, ids=[str(wrong)[:40] for wrong, _ in UNFIT])
def test_networks_and_data_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(InputError) as caught:
        Settings(**wrong)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_learns_what_the_data_are_for():
    settings = Settings(data="diabetes")
    assert (settings.model.task, NETWORKS["mlp"].task) == ("regression", "classification")
    assert (settings.shape, settings.outputs) == ("10-32-1", 1)


def test_a_memory_budget_is_in_bytes():
    assert (Settings().memory, Settings().budget) == ("auto", 256_000_000)
    assert Settings(memory="1MB").memory == Settings(memory="1000000").memory == 1_000_000
    assert "--memory 1000000" in Settings(memory="1MB").command
