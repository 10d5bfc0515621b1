"""What a graph holds, and for how long."""

import gc
import weakref
from types import ModuleType
from typing import Any

import numpy as np

import dualdiff
import revdiff
from tests.imperative.variables import variable


def array_of(tensor: Any) -> weakref.ref:
    return weakref.ref(tensor.detach().array)


def test_backward_frees_what_the_graph_held() -> None:
    gc.disable()
    try:
        x = variable(revdiff, np.ones(1000))
        h = x.tanh()
        y = (h * h).sum()
        inner = array_of(h)
        del h
        assert inner() is not None  # a residual of the product
        y.backward()
        assert inner() is None
    finally:
        gc.enable()


def test_branches_that_lead_nowhere_die_at_once(engine: ModuleType) -> None:
    gc.disable()
    try:
        x = variable(engine, np.ones(1000))
        dead = (x.tanh() * x).exp()
        inner = array_of(dead)
        alive = x * 2
        del dead
        assert inner() is None
        alive.sum().backward()
    finally:
        gc.enable()


def test_forward_mode_keeps_no_history() -> None:
    gc.disable()
    try:
        x = variable(dualdiff, np.ones(10))
        h = x.tanh()
        inner = array_of(h)
        y = (h * h).sum()
        del h
        assert inner() is None
        assert y.requires_grad
    finally:
        gc.enable()


def test_training_does_not_grow(engine: ModuleType) -> None:
    steps = 20
    net = engine.nn.Sequential(engine.nn.Linear(4, 3), engine.nn.Tanh(), engine.nn.Linear(3, 1))
    x = engine.tensor(np.ones((5, 4), np.float32))

    def step() -> None:
        net.zero_grad()
        net(x).mean().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(steps):
            step()
        assert len(gc.get_objects()) - before < steps  # nothing per step is left behind, not even a cycle
    finally:
        gc.enable()
