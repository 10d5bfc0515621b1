"""Stacks of layers that chains are made of, and what one does with them."""

from __future__ import annotations

import numpy as np

import revdiff

ACTIVATIONS = ("ReLU", "Tanh", "Sigmoid", "SiLU", "Mish", "Softsign", "LogSigmoid")


def linear(inner, outer, dtype=np.float64, bias=True, engine=revdiff):
    return engine.nn.Linear(inner, outer, bias=bias, dtype=dtype)


def stack(*names, engine=revdiff, bias=True, dtype=np.float64):
    """Linear layers with the activations `names` between them."""
    engine.manual_seed(3)
    layers = []
    for name in names:
        layers += [linear(4, 4, dtype, bias, engine), getattr(engine.nn, name)()]
    return engine.nn.Sequential(*layers, linear(4, 3, dtype, bias, engine))


def one_by_one(net):
    def run(x):
        for layer in net:
            x = layer(x)
        return x

    return run


def numbers(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape or (5, 4)).astype(dtype)


def gradients(net, call, x, *, needed=True, **options):
    """The result, and the gradients at the input and the parameters."""
    x = x if isinstance(x, revdiff.Tensor) else revdiff.tensor(x)
    x = x.detach().requires_grad_(needed)
    net.zero_grad()
    y = call(x)
    (y**2).sum().backward(**options)
    return [None if a is None else a.detach().numpy().copy() for a in (y, x.grad, *(p.grad for p in net.parameters()))]
