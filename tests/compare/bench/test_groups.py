"""The table holds what it should, and what is counted is counted right."""

import pytest

from compare.bench import peers
from compare.bench.groups import jvp, memory, residuals
from compare.bench.records import AT_LEAST
from compare.bench.wanted import GROUPS, Limits, Wanted
from compare.errors import InputError
from compare.networks import NETWORKS
from compare.settings import Settings
from revdiff import nn

LIMITS = Limits(1, 1, 0.0)
MLPS = {"64-32-10, batch 64": 1.25, "784-256-256-10, batch 64": 1.1, "784-256-256-10, batch 256": 1.1, "784-1024-1024-10, batch 256": 1.05}
LENET = "LeNet 28x28, batch 64"


@pytest.fixture(scope="module")
def table():
    """Bound and side by group, subject, work and against."""
    return {
        (contest.group, contest.subject, target.work, target.against): (target.bound, target.sense)
        for contest in Wanted().contests()
        for target in contest.targets
    }


def test_times_have_the_bounds_that_they_should(table):
    for subject, bound in MLPS.items():
        assert table["reverse-numpy", f"MLP {subject}", "revdiff", "hand-written numpy"] == (bound, "at most")
        assert table["reverse-jax", f"MLP {subject}", "revdiff under jit", "jax.jit(jax.value_and_grad)"] == (1.02, "at most")
    for subject in list(MLPS)[:3]:
        assert table["reverse-numpy", f"MLP {subject}", "revdiff", "torch eager"] == (1.0, "at most")
    assert table["reverse-numpy", LENET, "revdiff", "torch eager"] == (2.0, "at most")
    assert table["reverse-jax", LENET, "revdiff under jit", "jax.jit(jax.value_and_grad)"] == (0.9, "at most")
    forward = {"MLP 64-32-10, batch 64": 3, "MLP 64-64-64-64-10, batch 64": 8, "MLP 784-256-256-10, batch 64": 26, LENET: 40}
    for subject, bound in forward.items():
        assert table["forward", subject, "dualdiff, activations", "revdiff"] == (bound, "at most")
    assert table["forward", "MLP 64-32-10, batch 64", "jax.jit(jax.jacfwd)", "dualdiff, activations"] == (200, AT_LEAST)
    assert table["forward", LENET, "jax vmap(jvp) in chunks", "dualdiff, activations"] == (150, AT_LEAST)
    for formula in ("tanh(A x + b)", "A tanh(B x)"):
        title = f"{formula}, R^10 to R^100,000"
        assert table["jacobian", title, "dualdiff.jacobian", "jax.jit(jax.jacfwd)"] == (1, "at most")
        assert table["jacobian", title, "revdiff, row by row", "dualdiff.jacobian"] == (1000, AT_LEAST)


def test_counts_have_the_bounds_that_they_should(table):
    assert table["jvp", "weight of Linear(256, 256), batch 64", "dualdiff.jvp", "primal"] == (2.05, "at most")
    for sizes in ("64-64-64-64-10", "256-256-256-256-256"):
        subject = f"all weights of MLP {sizes}, batch 64"
        assert table["jvp", subject, "dualdiff.jvp", "primal"] == (2.8, "at most")
        assert table["jvp", subject, "dualdiff.jvp", "revdiff.value_and_grad"] == (1, "at most")
    bounds = {subject.split(",")[0]: bound for (group, subject, *_), (bound, _) in table.items() if group == "residuals"}
    assert set(bounds) == set(NETWORKS), "every network"
    assert {bounds[name] for name in ("mlp", "lenet", "lstm", "small-resnet")} == {1.0}
    assert {bounds[name] for name in ("small-vit", "vit_b16")} == {0.9}
    assert {bounds[name] for name in ("small-vgg", "small-nin", "googlenet", "resnet50")} == {0.6}
    allowed = [bound for (group, *_), (bound, _) in table.items() if group == "memory"]
    assert allowed == [1.0] * 8


@pytest.fixture(scope="module")
def one():
    """What was counted for one layer, by name."""
    return {entrant.name: entrant for entrant in jvp._one_layer()}


def test_a_directional_derivative_takes_what_its_products_take(mlp, one):
    product, bias = 2 * 64 * 256 * 256, 64 * 256
    assert one["primal"].values == [product + bias]
    assert one["dualdiff.jvp"].values == [2 * product + bias]
    all_weights = {entrant.name: entrant.values[0] for entrant in jvp._measured(mlp)(LIMITS, lambda part: None)}
    assert 1 < all_weights["dualdiff.jvp"] / all_weights["primal"] < 3
    assert all_weights["revdiff.value_and_grad"] > all_weights["primal"]


def test_torch_counts_three_products_for_one_layer(one):
    pytest.importorskip("torch", reason="torch is a peer here")
    assert one["torch.func.jvp"].values == [3 * one["torch primal"].values[0]]


@pytest.mark.parametrize("name", ["mlp", "small-alexnet", "rnn"])
def test_bytes_kept_are_the_same_from_shapes(name):
    settings = Settings(network=name, batch=3)
    assert residuals.by_revdiff(settings, device="meta") == residuals.by_revdiff(settings, device="cpu")


def test_bytes_kept_of_a_perceptron_beside_torch():
    pytest.importorskip("torch", reason="torch is a peer here")
    ours, theirs = residuals.measured(Settings(network="mlp", batch=8))
    assert ours.values == [8 * (32 + 10) * 4], "hidden values and softmax"
    assert theirs.values == [8 * (32 + 10) * 4 + 4], "and the weight of the mean"


def test_without_torch_its_rows_say_so(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda package: False)
    _, theirs = residuals.measured(Settings(network="linear", batch=2))
    assert (theirs.values, theirs.absent) == ([], "not installed")
    assert [entrant.absent for entrant in jvp._one_layer()] == ["", "", "not installed", "not installed"]


def test_layers_decide_on_the_bound():
    assert residuals.bound(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0))) == 1.0
    assert residuals.bound(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))) == 0.9
    assert residuals.bound(nn.Sequential(nn.MaxPool2d(2), nn.Dropout(0.5))) == 0.6


def test_memory_is_held_against_the_budget_and_the_primal(mlp):
    weighed = memory.Weighed(mlp)
    ours, allowed = weighed.measuring(None)(LIMITS, lambda part: None)
    assert allowed.values == [weighed.least + weighed.primal]
    assert 0 < weighed.least <= weighed.whole
    assert weighed.primal > 6 * 5 * 4
    assert ours.values[0] > weighed.primal
    assert f"memory={weighed.least:,} bytes" in ours.note


def test_wishes():
    assert Wanted().groups == list(GROUPS)
    some = Wanted(only=("memory", "jvp", "jvp"), quick=True)
    assert some.groups == ["jvp", "memory"]
    assert some.command == "python -m compare bench --only memory --only jvp --only jvp --quick"
    assert Wanted(rounds=7).limits == Limits(7, 7, 0.0)
    assert {contest.group for contest in some.contests()} == {"jvp", "memory"}
    quick = [contest.subject.split(",")[0] for contest in Wanted(only=("residuals",), quick=True).contests()]
    assert not [name for name in quick if NETWORKS[name].family]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"only": ("jvps",)}, "unknown group 'jvps': it must be reverse-numpy, .* Perhaps you meant 'jvp'?"),
        ({"rounds": 0}, "`--rounds` \\(=0\\) must be from 1 to 10000"),
        ({"rounds": 10**9}, "`--rounds` \\(=1000000000\\) must be"),
    ],
)
def test_impossible_wishes_are_refused(wish, message):
    with pytest.raises(InputError, match=message):
        Wanted(**wish)
