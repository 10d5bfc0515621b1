"""Settings are checked once, and every refusal says what, its value and what is allowed."""

import click
import msgspec
import pytest

from compare import cli
from compare.errors import InputError
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
