"""Where advice flips: every change held against planning again on both sides of it."""

import pytest

from compare.planning import plan
from compare.planning.recipe import Preset
from compare.planning.sizes import Sizes
from compare.planning.words import flip as told
from compare.settings import Settings

from .conftest import build


def flips_of(planned, computes, knob):
    return [flip for flip in planned.flips if (flip.computes, flip.knob) == (computes, knob)]


def deep(nn, depth=4):
    return build(*[8] * (depth + 1))(nn)


ASKED = {"inputs": 8, "loss": "mse"}


@pytest.fixture(scope="module")
def tight():
    """A network of a depth and batch at which the budget is nearly used up in reverse."""
    return plan(deep, 512, depth=6, memory="170KB", **ASKED)


def advised(**wishes):
    planned = plan(deep, **{"batch": 512, "depth": 6, "memory": "170KB", **ASKED, **wishes}, flips=False)
    return planned.advices["gradient"].way


@pytest.mark.parametrize("knob", ["batch", "depth"])
def test_a_larger_batch_or_depth_changes_the_advice_where_it_is_said(tight, knob):
    (flip,) = flips_of(tight, "gradient", knob)
    assert (flip.before, flip.below) == ("reverse", False)
    assert flip.to != "reverse"
    assert advised(**{knob: flip.value - 1}) == "reverse"
    assert flip.to is None or advised(**{knob: flip.value}) == flip.to
    assert f"up to {flip.value - 1}" in told(tight, flip)


def test_a_smaller_budget_changes_the_advice_at_the_byte(tight):
    (flip,) = flips_of(tight, "gradient", "budget")
    assert (flip.before, flip.to, flip.below) == ("reverse", "reverse-checkpoint", True)
    assert flip.value == tight.ways["reverse"].nbytes - 1
    assert advised(memory=flip.value + 1) == "reverse"
    assert advised(memory=flip.value) == flip.to


def test_a_larger_budget_gives_the_reverse_pass_back(tight):
    planned = plan(build(*[8] * 7), 512, memory=int(0.9 * tight.ways["reverse"].nbytes), **ASKED)  # the same network, without a knob
    assert planned.best.name == "reverse-checkpoint"
    (up,) = (flip for flip in flips_of(planned, "gradient", "budget") if not flip.below)
    assert (up.value, up.to) == (tight.ways["reverse"].nbytes, "reverse")
    (down,) = (flip for flip in flips_of(planned, "gradient", "batch") if flip.below)
    assert down.to == "reverse"
    small = {"memory": int(0.9 * tight.ways["reverse"].nbytes)}
    assert advised(batch=down.value, **small) == "reverse"
    assert advised(batch=down.value + 1, **small) == "reverse-checkpoint"


def test_where_nothing_fits_it_is_said_where_something_would():
    asked = {"inputs": 50, "loss": "mse", "memory": "600KB"}
    net = build(50, 4, 40)
    planned = plan(net, 100, **asked)
    for knob, name in (("batch", "batch"), ("outputs", "outputs")):
        (flip,) = flips_of(planned, "Jacobian", knob)
        assert (flip.before, flip.below) == (None, True)
        for value, way in ((flip.value, flip.to), (flip.value + 1, None)):
            again = plan(net, **{"batch": 100, **asked, name: value}, flips=False)
            assert again.advices["Jacobian"].way == way
    (flip,) = flips_of(planned, "Jacobian", "budget")
    for value, way in ((flip.value, flip.to), (flip.value - 1, None)):
        assert plan(net, 100, **{**asked, "memory": value}, flips=False).advices["Jacobian"].way == way


def test_what_does_not_flip_says_so_and_within_what_range():
    planned = plan("linear", 8, memory="1GB")
    (flip,) = flips_of(planned, "gradient", "batch")
    assert (flip.value, flip.to, flip.least, flip.most) == (None, flip.before, 1, 65536)
    assert "throughout, from 1 to 65,536" in told(planned, flip)


def test_one_number_in_and_many_out_go_forward_and_flip_to_reverse_with_fewer():
    def net(nn, outputs=30):
        return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, outputs))

    asked = {"inputs": 6, "loss": "mse", "memory": "1GB"}
    planned = plan(net, 4, outputs=30, **asked)
    (flip,) = (flip for flip in flips_of(planned, "Jacobian", "outputs") if flip.below)
    assert (flip.before, flip.to) == ("jacobian-forward", "jacobian-reverse")
    for outputs, best in ((flip.value, "jacobian-reverse"), (flip.value + 1, "jacobian-forward")):
        assert plan(net, 4, outputs=outputs, **asked, flips=False).advices["Jacobian"].way == best


def test_where_a_way_cannot_be_gone_flips_are_of_the_others():
    def net(nn):
        return nn.Sequential(nn.Flatten(0, 1), nn.Linear(4, 4), nn.Unflatten(0, (-1, 3)), nn.Flatten(), nn.LogSoftmax(0))

    planned = plan(net, 4, inputs=(3, 4), loss="mse", memory="1GB")
    assert "mixes the examples" in planned.ways["jacobian-forward"].reason
    for knob in ("batch", "outputs", "budget"):
        assert {flip.to for flip in flips_of(planned, "Jacobian", knob)} <= {None, "jacobian-reverse"}


def test_depths_that_no_network_has_are_not_asked_for():
    """Images of 8x8 can be halved three times."""
    recipe = Preset(Settings(network="small-vgg"))
    assert [depth for depth in range(1, 65) if recipe.can_be(Sizes(2, depth=depth))] == [1, 2, 3]
