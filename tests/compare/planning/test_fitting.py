"""Ways within budgets: what is run at a time, and the numbers held against formulas."""

import pytest

from compare.planning import fitting, plan

from .conftest import build

DEEP = build(*[64] * 9)
"""Eight linear layers of 64 units with tanh between them: of a batch of n every value is 256 n bytes."""


@pytest.fixture(scope="module")
def deep():
    return plan(DEEP, 256, inputs=64, loss="mse", memory="1GB", flips=False)


def test_reverse_keeps_one_value_a_step_and_checkpoints_fewer(deep):
    value, parameters = 256 * 64 * 4, 8 * (64 * 64 + 64) * 4
    reverse = deep.ways["reverse"]
    kept = reverse.peak.roles["residual"] + reverse.peak.roles.get("activation", 0)
    assert reverse.resting == 2 * parameters + 2 * value
    assert 7 * value <= kept <= 9 * value
    tight = plan(DEEP, 256, inputs=64, loss="mse", memory=reverse.nbytes - 3 * value, flips=False)
    checkpoints = tight.ways["reverse-checkpoint"]
    assert checkpoints.fits
    assert checkpoints.nbytes <= reverse.nbytes - 3 * value
    held = checkpoints.peak.roles["residual"] + checkpoints.peak.roles.get("activation", 0)
    assert held <= kept - 3 * value
    # what runs again is whole layers: products of 2 * 256 * 64 * 64 and a bias
    assert checkpoints.flops["adjoint"] == reverse.flops["adjoint"]
    assert checkpoints.flops["recompute"] % (256 * 64) == 0
    assert "steps run again" in checkpoints.reason
    assert tight.best.name == "reverse-checkpoint"


def test_a_forward_gradient_costs_in_proportion_to_its_directions():
    ways = [plan(DEEP, 8, inputs=64, loss="mse", memory="1GB", directions=k, flips=False).ways["forward-gradient"] for k in (1, 2, 3)]
    one, two, three = (way.flops["tangent"] for way in ways)
    assert three - two == two - one > 0
    assert [way.directions for way in ways] == [1, 2, 3]
    assert len({way.flops["primal"] for way in ways}) <= 3
    # two products a layer, in the layer's input (but for the first's) and in its weight
    assert 2 * 8 * 64 * 64 * (8 + 7) <= two - one <= 1.2 * 2 * 8 * 64 * 64 * (8 + 7)


def test_a_jacobian_by_rows_goes_in_chunks_where_all_at_once_is_too_much():
    asked = {"inputs": 4, "loss": "mse", "flips": False}
    net = build(4, 200, 30)
    whole = plan(net, 10, memory="1GB", **asked).ways["jacobian-reverse"]
    assert (whole.directions, whole.runs, whole.rows) == (30, 1, None)
    chunked = plan(net, 10, memory=whole.nbytes // 2, **asked).ways["jacobian-reverse"]
    assert chunked.fits
    assert chunked.nbytes <= whole.nbytes // 2
    assert chunked.runs == -(-30 // chunked.rows) > 1
    assert whole.flops["adjoint"] <= chunked.flops["adjoint"] <= 1.1 * whole.flops["adjoint"]


def test_a_jacobian_that_is_too_large_itself_says_so():
    planned = plan(build(50, 4, 40), 100, inputs=50, loss="mse", memory="600KB", flips=False)
    assert planned.advices["Jacobian"].way is None
    assert "the Jacobian alone takes 781 KiB" in planned.advices["Jacobian"].why


def test_what_is_far_too_dear_is_planned_by_bounds_and_thoroughly_if_asked(monkeypatch):
    monkeypatch.setattr(fitting, "FAR", 4)
    net = build(12, 10, 8, 4)
    whole = plan(net, 16, inputs=12, memory="1GB", flips=False).ways["forward-parameters"]
    bound, exact = (
        plan(net, 16, inputs=12, memory=whole.nbytes // 2, flips=False, thorough=thorough).ways["forward-parameters"]
        for thorough in (False, True)
    )
    assert (bound.bound, exact.bound) == (True, False)
    assert bound.operations == whole.operations < exact.operations
    assert bound.nbytes <= exact.nbytes <= whole.nbytes // 2
    assert "planned by bounds only" in bound.reason


def test_a_network_that_is_no_chain_has_no_checkpoints():
    def net(nn):
        class Doubled(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 3)

            def forward(self, x):
                return self.layer(x) + x

        return Doubled()

    way = plan(net, 4, inputs=3, loss="mse", memory="1GB", flips=False).ways["reverse-checkpoint"]
    assert way.fits or "sequence" in way.reason


def test_inputs_of_tokens_have_no_jacobian():
    planned = plan("rnn-language", 2, memory="1GB", flips=False)
    assert planned.advices["Jacobian"].way is None
    assert "int" in planned.ways["jacobian-reverse"].reason
    assert planned.best.name == "reverse"


def test_the_four_nestings_cost_alike_where_directions_are_few():
    ways = [way for way in plan("softmax", 16, memory="1GB", flips=False).ways.values() if way.computes == "product"]
    assert len(ways) == 4
    assert max(way.operations for way in ways) < 1.1 * min(way.operations for way in ways)
