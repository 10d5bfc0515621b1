"""Three seedings, one gradient: programs drawn at random."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import revdiff
from diffcore import ops
from tests.seedings import agree, leaves, size_of


class Builder:
    """Interprets a list of numbers as a program over a pool of values; the same numbers give the same program on any arrays.

    Every step keeps values of moderate size, so that rounding errors compare.
    """

    def __init__(self, choices: list[int], batch: int, width: int) -> None:
        self.choices, self.batch, self.width = choices, batch, width

    def parameters(self, rng: np.random.Generator) -> list[np.ndarray]:
        d = self.width
        shapes = [(d, d), (d,), (d, d), (1, d), (d,), ()]
        return [rng.normal(size=shape) / max(1.0, np.sqrt(d)) for shape in shapes]

    def run(self, f: Any, x: Any, parameters: list[Any]) -> Any:
        """`f` names the operations, for tensors or for jax."""
        pool = [x]
        w, b, v, r, s, c = parameters
        pick = itertools.cycle(self.choices)

        def value(offset: int = 0) -> Any:
            return pool[(next(pick) + offset) % len(pool)]

        steps: list[Callable[[], Any]] = [
            lambda: f.linear(value(), w, b),
            lambda: f.linear(value(), v, s),
            lambda: value() @ w + b,
            lambda: value() @ f.transpose(v),
            lambda: f.tanh(value()),
            lambda: f.sigmoid(value()) * value(),
            lambda: f.relu(value()),
            lambda: value() + value(1),
            lambda: value() - 0.5 * value(1),
            lambda: f.tanh(value() * value(1)),
            lambda: value() / (1.5 + value() ** 2),
            lambda: value() * r + s,
            lambda: value() * c,
            lambda: f.log_softmax(value()),
            lambda: value() - f.mean(value(), 0),
            lambda: value() - f.mean(value(), 1),
            lambda: f.tanh(f.sum(value(), 0)) * value(),
            lambda: f.tanh(f.sum(value(), 1)) * value(),
            lambda: f.largest(value(), 0) * 0.5 + value(),
            lambda: f.tanh(value() @ f.transpose(value(1))) @ value(),
            lambda: f.reshape(f.reshape(value(), (-1,)), (self.batch, self.width)),
            lambda: f.reshape(f.transpose(value()), (self.batch, self.width)),
            lambda: f.where(value() > 0, value(), 0.1 * value(1)),
            lambda: f.maximum(value(), s),
            lambda: f.flip(value()),
            lambda: f.spread(f.logsumexp(value()), (self.batch, self.width)) * 0.3,
            lambda: f.tanh(w)[:1] * value(),
            lambda: value() @ (w @ v),
            lambda: f.tanh(value()[:, [0] * self.width]) + value(),
        ]
        for choice in self.choices[1:]:
            pool.append(f.squash(steps[choice % len(steps)]()))
        penalty = (w * w).sum() * 0.1 if self.choices[0] % 3 == 0 else 0.0
        last = pool[-1] + 0.1 * pool[-2] if len(pool) > 1 else pool[-1]
        ending = self.choices[0] % 4
        if ending == 0:
            return f.cross_entropy(last, np.arange(self.batch) % self.width) + penalty
        if ending == 1:
            return (last * last).mean() + penalty
        if ending == 2:
            return f.tanh(f.sum(last, 0)).sum() ** 2 + penalty
        return f.sum(f.logsumexp(last), 0).sum() * (1 + penalty)


class Ours:
    """Operations on tensors of either engine."""

    linear, tanh, sigmoid, relu, where, maximum = ops.linear, ops.tanh, ops.sigmoid, ops.relu, ops.where, ops.maximum
    log_softmax, reshape, cross_entropy = ops.log_softmax, ops.reshape, ops.cross_entropy
    spread = ops.broadcast_to
    transpose = staticmethod(lambda x: x.T)
    mean = staticmethod(lambda x, axis: x.mean(axis, keepdim=True))
    sum = staticmethod(lambda x, axis: x.sum(axis, keepdim=True))
    largest = staticmethod(lambda x, axis: x.amax(axis, keepdim=True))
    logsumexp = staticmethod(lambda x: x.logsumexp(1, keepdim=True))
    squash = staticmethod(lambda x: x / (1 + 0.05 * x * x))
    flip = staticmethod(lambda x: x[::-1])


def by_torch() -> Any:
    """The same operations by torch."""
    torch = pytest.importorskip("torch", reason="torch is the oracle here")

    class Torch:
        tanh, sigmoid, relu, where, maximum = torch.tanh, torch.sigmoid, torch.relu, torch.where, torch.maximum
        linear, reshape, spread = torch.nn.functional.linear, torch.reshape, torch.broadcast_to
        log_softmax = staticmethod(lambda x: torch.log_softmax(x, -1))
        transpose = staticmethod(lambda x: x.T)
        flip = staticmethod(lambda x: x.flip(0))
        mean = staticmethod(lambda x, axis: x.mean(axis, keepdim=True))
        sum = staticmethod(lambda x, axis: x.sum(axis, keepdim=True))
        largest = staticmethod(lambda x, axis: x.amax(axis, keepdim=True))
        logsumexp = staticmethod(lambda x: x.logsumexp(1, keepdim=True))
        squash = staticmethod(lambda x: x / (1 + 0.05 * x * x))
        cross_entropy = staticmethod(lambda x, y: torch.nn.functional.cross_entropy(x, torch.tensor(y)))

    return Torch


def by_jax() -> Any:
    """The same operations by jax."""
    import jax

    jnp = jax.numpy

    class Jax:
        tanh, sigmoid, relu, where, maximum = jnp.tanh, jax.nn.sigmoid, jax.nn.relu, jnp.where, jnp.maximum
        linear = staticmethod(lambda x, w, b: x @ w.T + b)
        log_softmax, reshape, spread = jax.nn.log_softmax, jnp.reshape, jnp.broadcast_to
        transpose = staticmethod(lambda x: x.T)
        flip = staticmethod(lambda x: x[::-1])
        mean = staticmethod(lambda x, axis: x.mean(axis, keepdims=True))
        sum = staticmethod(lambda x, axis: x.sum(axis, keepdims=True))
        largest = staticmethod(lambda x, axis: x.max(axis, keepdims=True))
        logsumexp = staticmethod(lambda x: jax.nn.logsumexp(x, 1, keepdims=True))
        squash = staticmethod(lambda x: x / (1 + 0.05 * x * x))
        cross_entropy = staticmethod(lambda x, y: -jax.nn.log_softmax(x)[np.arange(len(y)), y].mean())

    return Jax

PROGRAMS = st.builds(
    Builder,
    st.lists(st.integers(0, 10_000), min_size=2, max_size=9),
    batch=st.integers(1, 5),
    width=st.integers(2, 4),
)

STEADY = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def drawn(program: Builder, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(program.batch, program.width)), program.parameters(rng)


@settings(STEADY, max_examples=300)
@given(program=PROGRAMS, seed=st.integers(0, 1000))
def test_random_programs_agree(program: Builder, seed: int) -> None:
    x, parameters = drawn(program, seed)
    expected = agree(lambda x, p: program.run(Ours, x, p), x, parameters)
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    variables = [torch.tensor(a, requires_grad=True) for a in (x, *parameters)]
    program.run(by_torch(), variables[0], variables[1:]).backward()
    wanted = [np.zeros(v.shape) if v.grad is None else v.grad.numpy() for v in variables]
    for found, leaf in zip(leaves(expected), wanted, strict=True):
        np.testing.assert_allclose(found, leaf, rtol=0, atol=1e-12 * size_of(wanted))


@settings(STEADY, max_examples=5)
@given(program=PROGRAMS, seed=st.integers(0, 1000))
def test_random_programs_agree_with_jax(program: Builder, seed: int) -> None:
    import jax

    x, parameters = drawn(program, seed)
    found = revdiff.grad(lambda x, p: program.run(Ours, x, p), (0, 1))(x, parameters)
    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable(True):
        expected = jax.jit(jax.grad(lambda x, p: program.run(by_jax(), x, p), (0, 1)))(x, parameters)
        wanted = [np.asarray(leaf) for leaf in leaves(expected)]
    for a, b in zip(leaves(found), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * size_of(wanted))
