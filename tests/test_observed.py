"""Observed arrays are numpy's, booked as they come and go; and what the rules for abstract arrays say of layouts and costs is so."""

import gc

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays import is_mutable, values_of
from diffcore.arrays.abstract import FUNCTIONS, AbstractArray
from diffcore.arrays.observed import Observed, alike, observe, observe_tensors
from diffcore.errors import UnknownCostError
from diffcore.ledger import Ledger, label, nominally
from diffcore.ops.gathering import in_bounds

F4 = np.dtype(np.float32)


def real(*shape, dtype=F4):
    return observe(np.random.default_rng(sum(shape)).random(shape).astype(dtype))


# bytes


def test_buffers_count_while_they_live():
    with Ledger() as ledger:
        x = real(10)
        y = x * 2 + 1
        assert sum(ledger.live.values()) == 80
        assert ledger.peak == 120  # the product was there beside its sum
        del x
        assert sum(ledger.live.values()) == 40
        del y
    assert sum(ledger.live.values()) == 0


def test_views_are_what_numpy_says():
    with Ledger() as ledger:
        x = real(4, 6)
        views = [x.T, x[1:], x.reshape(-1), np.broadcast_to(x, (5, 4, 6)), x.reshape(6, 4)[::2].T, x.view(np.int32), x[...], np.squeeze(x)]
        assert all(view.storage is x.storage for view in views)
        assert sum(ledger.live.values()) == 96
        del x
        while views:
            assert sum(ledger.live.values()) == 96
            views.pop()
        assert sum(ledger.live.values()) == 0


def test_memory_is_alive_as_long_as_a_plain_view_of_it():
    with Ledger() as ledger:
        x = real(10)
        plain = x.view(np.ndarray)[2:]
        del x
        assert sum(ledger.live.values()) == 40
        del plain
        assert sum(ledger.live.values()) == 0


def test_a_copy_is_another_buffer():
    with Ledger() as ledger:
        x = real(4, 6)
        copies = [x.copy(), x.T.reshape(-1), x[np.array([0, 2])], x.astype(np.float64), np.concatenate((x, x)), np.where(x > 0, x, 0)]
        assert sum(ledger.live.values()) == 96 + 96 + 96 + 48 + 192 + 192 + 96
        assert all(copy.storage is not x.storage for copy in copies)


def test_a_scalar_of_numpys_counts_as_the_array_that_holds_it():
    with Ledger() as ledger:
        x = real(3)
        total, element = x.sum(), x[1]
        assert (type(total), total.shape, float(total)) == (Observed, (), float(values_of(x).sum()))
        assert float(element) == values_of(x)[1]
        assert sum(ledger.live.values()) == 12 + 4 + 4


def test_memory_from_outside_is_not_booked():
    with Ledger() as ledger:
        outside = np.ones((3, 4), F4)
        x, y = alike(outside, real(4))
        assert (type(x), x.storage, sum(ledger.live.values())) == (Observed, None, 16)
        assert np.shares_memory(values_of(x), outside)
        z = x + y
        assert sum(ledger.live.values()) == 16 + 48
        del z


def test_roles_follow_labels():
    with Ledger() as ledger:
        with ledger.role("parameter"):
            w = real(5, 3)
        x = real(2, 3)
        label(x.T, "input")
        y = ops.linear(x, w)
    assert {role: n for role, n in ledger.live.items() if n} == {"parameter": 60, "input": 24, "activation": 40}
    assert y.shape == (2, 5)


def test_nothing_is_booked_outside_a_ledger():
    x = real(3)
    assert float((x + x).sum()) == pytest.approx(2 * float(x.sum()))
    assert x.storage.ledger is None


# operations


def test_operations_are_those_of_the_plan():
    with Ledger() as ledger:
        x = real(3, 4)
        np.tanh(x @ x.T).sum(axis=0)
        assert (ledger.flops["primal"], ledger.transcendentals["primal"]) == (2 * 3 * 3 * 4 + 9, 9)
        x += 1
        assert ledger.flops["primal"] == 2 * 3 * 3 * 4 + 9 + 12
    assert ledger.products["primal", ""] == 2 * 3 * 3 * 4


def test_a_kernel_may_say_what_it_comes_to():
    with Ledger() as ledger:
        x = real(3, 4)
        with nominally(x, 100):
            x = x * x + x
    assert dict(ledger.flops) == {"primal": 100}
    assert not ledger._nominal


def test_a_function_without_a_rule_is_an_error():
    with pytest.raises(UnknownCostError, match=r"numpy\.partition"):
        np.partition(real(4), 1)


def test_a_look_at_values_is_not_booked():
    with Ledger() as ledger:
        target = real(5, dtype=np.int64)
        before = dict(ledger.flops)
        in_bounds("gather", target, 9, 0)
        assert values_of(AbstractArray((3,), F4)) is None
        assert type(values_of(target)) is np.ndarray
        assert is_mutable(target)
    assert dict(ledger.flops) == before


# layouts: what is a view, and in which order the axes of a result lie in memory, against numpy itself


def cube(kind):
    array = np.random.default_rng(0).random((2, 3, 4, 5)).astype(F4)
    kinds = {"rows": array, "turned": array.transpose(3, 1, 0, 2), "part": array[:, 1:, ::-1].swapaxes(0, 2)}
    return (kinds | {"wide": array[:, :1] * array[:1]})[kind]


I, J = np.array([1, 0, 1]), np.array([[0], [1]])
LAYOUTS = {
    "add": lambda x: x + 1,
    "add of another order": lambda x: x + x.swapaxes(0, 0).copy(),
    "in row-major order": lambda x: np.add(x, x, order="C"),
    "compare": lambda x: x > 0,
    "square": lambda x: x**2,
    "cast": lambda x: x.astype(np.float64),
    "copy": lambda x: x.copy(),
    "sum": lambda x: x.sum(axis=1),
    "sum of two axes": lambda x: x.sum(axis=(0, 2)),
    "sum with its axis": lambda x: x.sum(axis=1, keepdims=True),
    "largest": lambda x: x.max(axis=2),
    "argmax": lambda x: x.argmax(axis=1),
    "cumulative": lambda x: np.add.accumulate(x, axis=1),
    "matmul": lambda x: np.matmul(x, x.swapaxes(-1, -2)),
    "matmul with a matrix": lambda x: np.matmul(x, np.ones((x.shape[-1], 2), F4)),
    "empty_like": np.empty_like,
    "empty_like of another shape": lambda x: np.empty_like(x, shape=(3, 2, 2, 4)),
    "empty_like of other axes": lambda x: np.empty_like(x, shape=(3, 2)),
    "zeros_like by rows": lambda x: np.zeros_like(x, order="C"),
    "full_like": lambda x: np.full_like(x, 2),
    "where": lambda x: np.where(x > 0, x, 0),
    "clip": lambda x: np.clip(x, 0, 1),
    "roll": lambda x: np.roll(x, 1, 0),
    "argsort": lambda x: np.argsort(x, axis=1),
    "concatenate": lambda x: np.concatenate((x, x), axis=1),
    "concatenate of two orders": lambda x: np.concatenate((x, x.copy()), axis=0),
    "concatenate with a repeated one": lambda x: np.concatenate((np.broadcast_to(x[:1], x.shape), x), axis=2),
    "stack": lambda x: np.stack((x, x)),
    "reshape": lambda x: x.reshape(-1, x.shape[-1]),
    "take": lambda x: np.take(x, I, axis=1),
    "take of all": lambda x: np.take(x, J),
    "gather": lambda x: x[I],
    "gather along another axis": lambda x: x[:, :, I],
    "gather two axes": lambda x: x[:, I, J],
    "gather apart": lambda x: x[I, :, J],
    "gather by a new axis": lambda x: x[:, None, I],
    "gather by a slice": lambda x: x[..., I, 1:],
    "gather by a mask": lambda x: x[:, np.arange(x.shape[1]) != 0],
    "one element": lambda x: x[0, 0, 0, 0],
}


def described(array, x):
    """Shape, dtype, steps along axes of more than one element, whether it is the array its memory was made for, whether a view of `x`."""
    strides = array.strides
    if strides is None:
        strides = tuple(int(np.prod(array.shape[i + 1 :])) * array.dtype.itemsize for i in range(array.ndim))
    steps = tuple(step for step, n in zip(strides, array.shape, strict=True) if n > 1)
    shares = array.storage is x.storage if isinstance(x, AbstractArray) else np.may_share_memory(array, x)
    return tuple(array.shape), array.dtype, steps, array.base is None, shares


@pytest.mark.parametrize("kind", ["rows", "turned", "part", "wide"])
@pytest.mark.parametrize("function", LAYOUTS.values(), ids=LAYOUTS)
def test_results_are_laid_out_as_numpys(function, kind):
    x = cube(kind)
    shadow = AbstractArray(x.shape, x.dtype, strides=x.strides)
    found = described(function(shadow), shadow)
    assert found == described(np.asarray(function(x)), x)
    seen = observe(x)
    assert found[:3] == described(function(seen), seen)[:3]


def test_observed_arrays_keep_their_layout():
    for kind in ("rows", "turned", "wide"):
        x = cube(kind)
        seen = observe(x)
        assert seen.base is None
        assert seen.strides == x.copy("K").strides
        np.testing.assert_array_equal(seen, x)


def test_every_rule_is_of_a_function_that_numpy_has():
    for name in FUNCTIONS:
        assert hasattr(np, name) or hasattr(np.linalg, name) or name == "sliding_window_view"


# transforms


def net(parameters, x, target):
    kernel, bias, weight = parameters
    x = ops.max_pool2d(ops.relu(ops.conv2d(x, kernel, bias, padding=1)), 2)
    x = ops.softmax(ops.reshape(x, (x.shape[0], -1)), 1)
    return ops.cross_entropy(ops.linear(ops.dropout(x, 0.3), weight), target)


SHAPES = [(3, 2, 3, 3), (3,), (4, 27)], (5, 2, 6, 6), (5,)


def given(make):
    parameters, x, target = SHAPES
    return [make(shape, np.float64) for shape in parameters], make(x, np.float64), make(target, np.int64)


def scalar(parameters):
    _, x, target = given(lambda shape, dtype: real(*shape, dtype=dtype) if type(parameters[0]) is Observed else AbstractArray(shape, dtype))
    return lambda parameters: net(parameters, x, target)


def hvp(outer, inner):
    def product(parameters, vector):
        gradient = inner.grad(scalar(parameters))
        if outer is dualdiff:
            return dualdiff.jvp(gradient, (parameters,), (vector,))[1]
        return revdiff.vjp(gradient, parameters)[1](vector)

    return product


def on_row(function):
    return lambda parameters, vector: function(lambda w: ops.tanh(ops.linear(w, parameters[2])))(vector[2])


PROGRAMS = {
    "value_and_grad, reverse": lambda p, v: revdiff.value_and_grad(scalar(p))(p),
    "value_and_grad, forward": lambda p, v: dualdiff.value_and_grad(scalar(p))(p),
    "forward gradient": lambda p, v: dualdiff.forward_gradient(scalar(p), directions=3, rng=0)(p),
    "jvp": lambda p, v: dualdiff.jvp(scalar(p), (p,), (v,)),
    "vjp": lambda p, v: revdiff.vjp(scalar(p), p)[1](ops.sum(v[0])),
    "hvp, forward over reverse": hvp(dualdiff, revdiff),
    "hvp, reverse over reverse": hvp(revdiff, revdiff),
    "hvp, reverse over forward": hvp(revdiff, dualdiff),
    "hvp, forward over forward": hvp(dualdiff, dualdiff),
    "Jacobian by rows": on_row(revdiff.jacobian),
    "Jacobian by columns": on_row(dualdiff.jacobian),
    "Jacobian of examples by rows": on_row(lambda f: revdiff.jacobian(f, per_example=True)),
    "Jacobian of examples by columns": on_row(lambda f: dualdiff.jacobian(f, per_example=True)),
    "Hessian": lambda p, v: revdiff.hessian(lambda b: scalar(p)([p[0], b, p[2]]))(p[1]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_transforms_are_planned_to_the_byte(name):
    """Every moment: what is made, by which kernel in which phase, under which role, and what is alive then; and every operation."""
    found = []
    for make in (AbstractArray, lambda shape, dtype: real(*shape, dtype=dtype)):
        dualdiff.manual_seed(0)
        parameters, _, _ = given(make)
        vector, _, _ = given(make)
        gc.collect()
        with Ledger() as ledger:
            out = PROGRAMS[name](parameters, vector)
            del out
        found.append((ledger.timeline, ledger.flops, ledger.transcendentals, ledger.peak, ledger.peak_roles, ledger.by_kernel))
    assert found[0][3] > 0
    assert found[0] == found[1]


@pytest.mark.parametrize("engine", [revdiff, dualdiff], ids=["revdiff", "dualdiff"])
def test_values_are_numpys(engine):
    parameters, x, target = given(lambda shape, dtype: np.random.default_rng(1).random(shape).astype(dtype))
    value, gradient = engine.value_and_grad(net)(parameters, x, target)
    engine.manual_seed(0)
    value, gradient = engine.value_and_grad(net)(parameters, x, target)
    engine.manual_seed(0)
    with Ledger():
        seen, slopes = engine.value_and_grad(net)([observe(p) for p in parameters], observe(x), observe(target))
    assert float(seen) == float(value)
    for expected, actual in zip(gradient, slopes, strict=True):
        assert type(actual) is Observed
        np.testing.assert_allclose(actual.view(np.ndarray), expected, rtol=1e-14, atol=1e-16)


def test_a_network_can_be_observed(engine):
    layer = engine.nn.Linear(3, 2)
    before = [p.detach().numpy().copy() for p in layer.parameters()]
    observe_tensors(layer.parameters())
    for parameter, array in zip(layer.parameters(), before, strict=True):
        assert type(parameter.primal) is Observed
        assert parameter.device == "cpu"
        np.testing.assert_array_equal(parameter.detach().numpy(), array)
