"""Under `jax.jit`: the same gradients, and XLA recomputes what it is told to, which its memory analysis shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import revdiff
from diffcore.arrays import random
from revdiff import checkpoint, nn

from .networks import loss_of

LAYERS, ROWS, WIDTH = 8, 256, 16
WEIGHTS = [jnp.asarray(np.random.default_rng(i).normal(size=(WIDTH, WIDTH)).astype(np.float32) / 4) for i in range(LAYERS)]
X = jnp.asarray(np.random.default_rng(99).normal(size=(ROWS, WIDTH)).astype(np.float32))


def layer(w):
    return lambda x: revdiff.tanh(x @ w)


def plain(weights, x):
    for w in weights:
        x = layer(w)(x)
    return (x * x).sum()


def in_segments(weights, x):
    for i in range(0, LAYERS, 4):
        part = weights[i : i + 4]
        x = checkpoint(lambda x, *part: revdiff.tanh(layer(part[2])(layer(part[1])(layer(part[0])(x))) @ part[3]), x, *part)
    return (x * x).sum()


def binomial(weights, x):
    return (checkpoint([layer(w) for w in weights], x, schedule="revolve", snapshots=3) ** 2).sum()


def compiled(loss):
    step = jax.jit(revdiff.value_and_grad(loss)).lower(WEIGHTS, X).compile()
    values = step.memory_analysis().temp_size_in_bytes / X.nbytes
    return step, values, step.cost_analysis()["transcendentals"] / X.size


def test_xla_recomputes_and_keeps_less():
    (step, most, once), (cut, less, twice), (thrifty, least, often) = map(compiled, (plain, in_segments, binomial))
    expected = step(WEIGHTS, X)
    for other in (cut, thrifty):
        for a, b in zip(jax.tree.leaves(other(WEIGHTS, X)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert once == LAYERS
    assert most >= LAYERS
    assert twice == 2 * LAYERS  # each once more: two segments of four layers
    assert less <= most - 2
    assert often > 2 * LAYERS
    assert least < less


def trained(call):
    """A step of a network under jit, batch statistics and a key for its masks handed through: value, gradients, key, buffers."""
    revdiff.manual_seed(0)
    net = nn.Sequential(nn.Linear(WIDTH, 4, device="jax"), nn.BatchNorm1d(4, device="jax"), nn.Dropout(0.5), nn.Linear(4, 2, device="jax"))
    tensors = [*net.parameters(), *net.buffers()]

    def step(key, arrays, x):
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.data = array
        with random.keyed(key) as stream:
            value, gradients = revdiff.value_and_grad(lambda net, x: loss_of(call(net, x)))(net, x)
        return value, list(gradients.values()), jax.random.key_data(stream.key), [buffer.array for buffer in net.buffers()]

    return jax.tree.leaves(jax.jit(step)(jax.random.key(3), [t.array for t in tensors], X[:8]))


@pytest.fixture(scope="module")
def expected():
    return trained(lambda net, x: net(x))


@pytest.mark.parametrize("wishes", [{}, {"snapshots": 1}], ids=str)
def test_a_network_trains_as_without(expected, wishes):
    for a, b in zip(trained(lambda net, x: checkpoint(net, x, **wishes)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_second_derivatives_under_jit():
    f = lambda x: checkpoint(lambda x: (x.sin() * x).exp(), x).sum()
    x, v = X[:3], X[3:6]
    plainly = revdiff.hvp(lambda x: (x.sin() * x).exp().sum(), x, v)
    np.testing.assert_allclose(jax.jit(lambda x: revdiff.hvp(f, x, v))(x), plainly, rtol=1e-4, atol=1e-5)


def test_without_jit_arrays_of_jax_go_through_as_they_are():
    steps = [revdiff.sin, revdiff.sin, revdiff.sin]
    found = revdiff.grad(lambda x: checkpoint(steps, x, snapshots=1).sum())(X)
    np.testing.assert_allclose(found, np.cos(X) * np.cos(np.sin(X)) * np.cos(np.sin(np.sin(X))), rtol=1e-5)
