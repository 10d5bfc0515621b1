"""With Python's own objects, plans are what `tracemalloc` measures for deep networks of small arrays too."""

import sys

import numpy as np
import pytest

import dualdiff
import revdiff
from compare import measure
from compare.measure import traced
from compare.objects import beside, objects_of, size_of
from compare.settings import Settings
from compare.strategies import STRATEGIES
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger
from tests.compare.test_observed import growth, measured

MIB = 1 << 20

DEEP = (
    ("reverse", "mlp", {"width": 64, "depth": 64, "batch": 32}),
    ("reverse", "mlp", {"width": 64, "depth": 128, "batch": 16}),
    ("reverse", "small-densenet", {"width": 8, "batch": 64}),
    ("reverse-checkpoint", "mlp", {"width": 64, "depth": 128, "batch": 64}),
    ("forward-activations", "mlp", {"width": 8, "depth": 64, "batch": 16}),
)


@pytest.mark.parametrize(("strategy", "name", "options"), DEEP, ids=lambda value: value if isinstance(value, str) else "")
def test_plans_of_deep_networks_are_what_numpy_and_python_take(strategy, name, options):
    settings = Settings(network=name, **options)
    arrays = growth(measure._counted(settings, STRATEGIES[strategy], "float32", None))
    planned = arrays + objects_of(settings, STRATEGIES[strategy], "float32")
    taken = measured(settings, STRATEGIES[strategy], None)
    assert taken > MIB
    assert planned == pytest.approx(taken, rel=0.03)


def lstm(engine, length):
    """A layer over a sequence, in one kernel."""
    net = engine.nn.LSTM(8, 16)
    return net, (length, 64, 8) if engine is revdiff else (length, 2, 8), lambda net, x: (net(x)[0] ** 2).mean()


def cells(engine, length):
    """The same cell by cell, which is a record or more for every token."""
    net = engine.nn.LSTMCell(8, 32)

    def loss(net, x):
        state = None
        for i in range(length):
            state = net(x[i], state)
        return (state[0] ** 2).mean()

    return net, (length, 64, 8), loss


PROGRAMS = ((revdiff, lstm, 64), (revdiff, cells, 32), (dualdiff, lstm, 8))


@pytest.mark.parametrize(("engine", "make", "length"), PROGRAMS, ids=lambda value: getattr(value, "__name__", value))
def test_plans_of_long_sequences_are_what_numpy_and_python_take(engine, make, length):
    net, shape, loss = make(engine, length)
    step = engine.value_and_grad(loss)
    x = np.random.default_rng(0).random(shape, np.float32)
    taken = traced(lambda: step(net, x))
    for parameter in net.parameters():
        parameter.data = AbstractArray(tuple(parameter.shape), parameter.dtype)
    x = AbstractArray(shape, np.float32)
    with Ledger() as ledger:
        step(net, x)
        before = sum(ledger.live.values())
        ledger.peak = 0
        step(net, x)
        arrays = ledger.peak - before
    planned = arrays + beside(lambda: step(net, x))
    assert taken > MIB
    assert planned == pytest.approx(taken, rel=0.03)


def test_objects_are_counted_once_and_abstract_arrays_as_headers():
    array = AbstractArray((3, 4), np.float32)
    header = np.empty((3, 4), np.float32).__sizeof__() - 48
    shared = (1.5, 1000)
    parts = sum(x.__sizeof__() for x in (1.5, 1000))
    assert size_of([]) == 0
    assert size_of([array, array.shape, array.storage]) == header
    found = size_of([array, (array, shared), (shared,)])
    assert found == header + sys.getsizeof((array, shared)) + sys.getsizeof((shared,)) + sys.getsizeof(shared) + parts
    shapes = [array.shape, array.shape]
    assert size_of([array, shapes]) == header + sys.getsizeof(shapes) + 2 * sys.getsizeof(array.shape)


def test_what_is_there_before_is_not_counted():
    """Three arrays and the list that holds them, not the one that was there."""
    before = AbstractArray((5, 5), np.float32)
    header = np.empty((5, 5), np.float32).__sizeof__() - 100

    def work():
        return [before + 1, before + 2, before + 3]

    assert 3 * header <= beside(work) <= 3 * header + 1000
