"""Contestants compute the same, and one that does not is refused. A peer that is missing is said to be."""

from dataclasses import replace

import numpy as np
import pytest

from compare.bench import engines, peers, plain_jax
from compare.bench.contest import Absent, Contestant, check
from compare.bench.groups import forward, jacobian
from compare.bench.subjects import FOUR_LAYERS, LARGE, LENET, MEDIUM, SMALL
from compare.errors import DisagreementError


def test_on_numpy_they_agree(mlp):
    pytest.importorskip("torch", reason="torch is a peer here")
    pytest.importorskip("autograd", reason="HIPS autograd is a peer here")
    contestants = [engines.hand(mlp), engines.reverse(mlp), engines.forward(mlp), peers.hips(mlp), peers.torch_eager(mlp)]
    assert list(check(contestants)) == [engines.HAND, engines.REVERSE, engines.FORWARD, peers.HIPS, peers.TORCH]


def test_on_jax_they_agree(mlp):
    check(
        [
            engines.reverse(mlp),
            engines.reverse_under_jit(mlp),
            Contestant("plain", plain_jax.value_and_grad(mlp), "jax"),
            Contestant("jacfwd", plain_jax.jacfwd(mlp), "jax"),
            Contestant("chunk", plain_jax.chunk(mlp, 37), "jax", covers=37),
        ]
    )


def test_with_convolutions_they_agree(lenet):
    pytest.importorskip("torch", reason="torch is a peer here")
    plain = Contestant("plain", plain_jax.value_and_grad(lenet), "jax")
    check([engines.reverse(lenet), engines.reverse_under_jit(lenet), plain, peers.torch_eager(lenet)])


@pytest.mark.parametrize("function", jacobian.FUNCTIONS, ids=lambda function: function.formula)
def test_of_jacobians_they_agree(function):
    first, *_, rows = jacobian.contestants(function, 30)
    check([first, *_, rows])
    assert rows.share == jacobian.SAMPLED / 30


def test_chunks_of_directions_say_which_part_they_are(mlp, monkeypatch):
    monkeypatch.setattr(forward, "CHUNKS", (4, 8))
    chunked = forward._chunked(mlp)
    whole = 7 * 5 + 5 + 5 * 5 + 5 + 5 * 3 + 3
    assert chunked.covers in (4, 8)
    assert chunked.share == chunked.covers / whole
    assert chunked.note == f"{chunked.covers} of {whole} directions, scaled"
    check([engines.reverse(mlp), chunked])


def test_the_subjects_are_those_of_the_targets():
    subjects = (SMALL, FOUR_LAYERS, MEDIUM, LARGE, LENET)
    assert {subject.title: sum(array.size for array in subject.parameters.values()) for subject in subjects} == {
        "MLP 64-32-10, batch 64": 2_410,
        "MLP 64-64-64-64-10, batch 64": 13_130,
        "MLP 784-256-256-10, batch 64": 269_322,
        "MLP 784-1024-1024-10, batch 256": 1_863_690,
        "LeNet 28x28, batch 64": 61_706,
    }


WRONG = [
    (lambda value, found: (value, {name: array * 1.001 for name, array in found.items()}), "by wrong differ from those by revdiff by"),
    (lambda value, found: (value * 1.01, found), "the value by wrong is"),
    (lambda value, found: (value, dict(list(found.items())[1:])), "derivatives where revdiff computes"),
    (lambda value, found: (value, {name: array * np.nan for name, array in found.items()}), "differ from those by revdiff by nan"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_one_that_computes_something_else_is_refused(mlp, change, message):
    right = engines.reverse(mlp)
    with pytest.raises(DisagreementError, match=message) as caught:
        check([right, replace(right, name="wrong", work=lambda: change(*right.work()))])
    assert caught.value.exit_code == 3


def test_a_missing_peer_is_said_to_be(mlp, monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda package: False)
    assert peers.torch_eager(mlp) == Absent(peers.TORCH, "not installed")
    assert peers.hips(mlp) == Absent(peers.HIPS, "not installed")


def test_a_package_is_looked_for_without_being_imported():
    assert peers.installed("numpy")
    assert not peers.installed("no_such_package_as_this")
