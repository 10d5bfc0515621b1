"""The functional transforms of both engines: what they return, for which arguments, and how often they call the function."""

import gc
from collections import namedtuple
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError, GradientError

Array = Callable[[Any], Any]
RNG = np.random.default_rng(5)
X, Y, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3,)), RNG.normal(size=(2, 3))


def close(found: Any, expected: Any, rtol: float = 1e-13) -> None:
    """Arrays (not tensors) of one dtype and shape, equal to rounding."""
    assert not isinstance(found, revdiff.Tensor | dualdiff.Tensor), "arrays go in, arrays come out"
    assert tuple(found.shape) == tuple(np.shape(expected))
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=1e-14, strict=False)


def loss(x: Any, y: Any) -> Any:
    return ((x * y).tanh() + x / (1 + y * y)).sum()


def vector(x: Any, y: Any) -> Any:
    return (x * y).exp().sum(1) * y[0]


def numerically(function: Callable[..., Any], args: list[np.ndarray], number: int, step: float = 1e-6) -> np.ndarray:
    """The Jacobian by central differences."""
    point = args[number]
    columns = []
    for i in range(point.size):
        shift = np.zeros(point.size)
        shift[i] = step
        at = [[a if n != number else a + sign * shift.reshape(a.shape) for n, a in enumerate(args)] for sign in (1, -1)]
        columns.append((np.asarray(function(*at[0])) - np.asarray(function(*at[1]))) / (2 * step))
    return np.stack(columns, axis=-1).reshape((*columns[0].shape, *point.shape))


# ------------------------------------------------------------------------------------------------ value_and_grad, grad


def test_value_and_grad_equals_differences(engine: ModuleType, array: Array) -> None:
    x, y = array(X), array(Y)
    value, gradient = engine.value_and_grad(loss)(x, y)
    numpy_loss = lambda x, y: (np.tanh(x * y) + x / (1 + y * y)).sum()
    assert type(value) is type(x.sum())
    assert type(gradient) is type(x)
    close(value, numpy_loss(X, Y))
    close(gradient, numerically(numpy_loss, [X, Y], 0), rtol=1e-8)
    close(engine.grad(loss)(x, y), gradient, rtol=0)
    first, second = engine.grad(loss, (0, 1))(x, y)
    close(first, gradient, rtol=1e-14)
    close(second, numerically(numpy_loss, [X, Y], 1), rtol=1e-8)


def test_argnums_of_every_kind(engine: ModuleType) -> None:
    both = engine.grad(loss, (0, 1))(X, Y)
    for argnums in (1, -1):
        close(engine.grad(loss, argnums)(X, Y), both[1], rtol=1e-14)
    for argnums in ((1,), [1], (-1,)):
        (only,) = engine.grad(loss, argnums)(X, Y)
        close(only, both[1], rtol=1e-14)
    second, first = engine.grad(loss, (1, 0))(X, Y)
    close(first, both[0], rtol=1e-14)
    close(second, both[1], rtol=1e-14)


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_out_of_range_are_named(engine: ModuleType, argnums: Any) -> None:
    with pytest.raises(ValueError, match=r"argnums (2|-3|5) is out of range for a call with 2 positional arguments"):
        engine.grad(loss, argnums)(X, Y)


@pytest.mark.parametrize("argnums", [(0, 0), (1, -1)])
def test_argnums_that_repeat_are_refused(engine: ModuleType, argnums: Any) -> None:
    with pytest.raises(ValueError, match="more than once"):
        engine.grad(loss, argnums)(X, Y)


def test_structures_come_back_as_they_went_in(engine: ModuleType, array: Array) -> None:
    Pair = namedtuple("Pair", "left right")
    tree = {"w": [array(W), (array(Y), None)], "p": Pair(array(X), array(2.0))}

    def f(tree: Any, scale: float) -> Any:
        w, (y, nothing) = tree["w"]
        assert nothing is None
        return ((tree["p"].left @ w.T) * y[0]).sum() * tree["p"].right * scale + (y * y).sum()

    value, gradient = engine.value_and_grad(f)(tree, 0.5)
    close(value, (X @ W.T).sum() * Y[0] + (Y * Y).sum())
    assert list(gradient) == ["w", "p"]
    assert isinstance(gradient["w"], list)
    assert gradient["w"][1][1] is None
    assert type(gradient["p"]) is Pair
    close(gradient["w"][0], np.broadcast_to(X.sum(0) * Y[0], W.shape))
    close(gradient["w"][1][0], 2 * Y + np.array([(X @ W.T).sum(), 0, 0]))
    close(gradient["p"].left, np.broadcast_to(W.sum(0) * Y[0], X.shape))
    close(gradient["p"].right, (X @ W.T).sum() * Y[0] * 0.5)


def test_an_empty_structure_has_an_empty_gradient(engine: ModuleType) -> None:
    value, gradient = engine.value_and_grad(lambda nothing, x: (x * x).sum())({}, Y)
    close(value, (Y * Y).sum())
    assert gradient == {}


def test_aux_comes_out_as_arrays(engine: ModuleType, array: Array) -> None:
    def f(x: Any) -> Any:
        h = x.tanh()
        return h.sum(), {"h": h, "n": 3, "label": "text", "constant": array(Y)}

    (value, aux), gradient = engine.value_and_grad(f, has_aux=True)(array(Y))
    close(value, np.tanh(Y).sum())
    close(aux["h"], np.tanh(Y))
    close(aux["constant"], Y)
    assert aux["n"] == 3
    assert aux["label"] == "text"
    close(gradient, 1 - np.tanh(Y) ** 2)


def test_has_aux_asks_for_a_pair(engine: ModuleType) -> None:
    for result in (lambda x: x.sum(), lambda x: (x.sum(), 1, 2), lambda x: None):
        with pytest.raises(TypeError, match="has_aux"):
            engine.value_and_grad(result, has_aux=True)(Y)


def test_numbers_and_numpy_scalars_are_points_too(engine: ModuleType) -> None:
    for point in (2.0, np.float64(2.0), np.array(2.0)):
        value, gradient = engine.value_and_grad(lambda x: x * x * x)(point)
        assert (float(value), float(gradient)) == (8, 12)
        assert gradient.shape == ()
    assert engine.grad(lambda x: x * x)(np.float32(3)).dtype == np.float32


def test_float32_stays_float32(engine: ModuleType) -> None:
    value, gradient = engine.value_and_grad(loss)(X.astype(np.float32), Y.astype(np.float32))
    assert value.dtype == gradient.dtype == np.float32


def test_the_gradient_has_the_dtype_of_its_variable(engine: ModuleType) -> None:
    for f in (lambda x, y: (x * y).sum(), lambda x, y: (x.astype(np.float64) * y).sum(), lambda x, y: (x * y.float()).sum()):
        first, second = engine.grad(f, (0, 1))(Y.astype(np.float32), Y)
        assert (first.dtype, second.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(second, Y, rtol=1e-6)


def test_tensors_go_in_as_constants(engine: ModuleType) -> None:
    value, gradient = engine.value_and_grad(loss)(engine.tensor(X), engine.tensor(Y))
    expected = engine.value_and_grad(loss)(X, Y)
    close(value, expected[0])
    close(gradient, expected[1])


def test_a_variable_can_be_differentiated_at(engine: ModuleType) -> None:
    """A level-0 variable in: the result is a tensor that depends on it."""
    x = engine.tensor(Y, requires_grad=True)
    gradient = engine.grad(lambda x: (x * x * x).sum())(x)
    gradient.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * Y, rtol=1e-14)


def test_closed_over_values(engine: ModuleType, array: Array) -> None:
    raw, constant = array(Y), engine.tensor(array(Y))
    close(engine.grad(lambda x: (x * raw + x * constant).sum())(array(Y)), 2 * Y)
    variable = engine.tensor(Y, requires_grad=True)
    inner = engine.grad(lambda x: (x * x * variable).sum())(Y)
    np.testing.assert_allclose(inner.detach().numpy(), 2 * Y * Y, rtol=1e-14)
    inner.sum().backward()
    np.testing.assert_allclose(variable.grad.numpy(), 2 * Y, rtol=1e-14)


def test_an_input_that_is_not_used_has_a_zero_gradient(engine: ModuleType, array: Array) -> None:
    for f in (lambda x, y: (y * y).sum(), lambda x, y: 3.0, lambda x, y: array(3.0), lambda x, y: y.detach().sum()):
        gradient = engine.grad(f)(array(X), array(Y))
        close(gradient, np.zeros((4, 3)), rtol=0)
        assert gradient.dtype == np.float64
    first, second = engine.jacobian(lambda x, y: y * 2.0, (0, 1))(array(X), array(Y))
    close(first, np.zeros((3, 4, 3)), rtol=0)
    close(second, 2 * np.eye(3))


def test_no_grad_cuts_and_does_not_leak_into_transforms(engine: ModuleType) -> None:
    def f(x: Any) -> Any:
        with engine.no_grad():
            cut = x * x
        return (cut * x).sum()

    close(engine.grad(f)(Y), Y * Y)
    with engine.no_grad():
        close(engine.grad(f)(Y), Y * Y)
        close(engine.hvp(lambda x: (x * x * x).sum(), Y, Y), 6 * Y * Y)
        assert not engine.is_grad_enabled()


@pytest.mark.parametrize("bad", [np.array([1, 2]), 3, True, np.array([True]), np.array([1j])])
def test_points_must_be_floating(engine: ModuleType, bad: Any) -> None:
    wanted = r"only differentiate with respect to floating point inputs, got (int64|bool|complex128) of shape"
    f = lambda x: (x * 1.0).sum()
    for transform in (engine.value_and_grad, engine.grad, engine.jacobian, engine.hessian):
        with pytest.raises(GradientError, match=wanted):
            transform(f)(bad)
        with pytest.raises(GradientError, match=wanted):
            transform(lambda tree: f(tree["a"]))({"a": bad})


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x, r"scalar-output functions, got an output of shape \(3,\): use `jacobian`"),
        (lambda x: x.sum(0, keepdim=True).reshape(1, 1) * np.ones((1, 2)), r"shape \(1, 2\)"),
        (lambda x: None, "returns one scalar, got NoneType"),
        (lambda x: [x.sum()], "returns one scalar, got list"),
        (lambda x: "loss", "returns one scalar, got str"),
        (lambda x: (x > 0).sum(), "floating point"),
        (lambda x: x.argmax(), "floating point"),
        (lambda x: 1, "floating point"),
    ],
)
def test_results_must_be_one_floating_scalar(engine: ModuleType, result: Any, message: str) -> None:
    transforms = [engine.value_and_grad(result), engine.grad(result)]
    if engine is dualdiff:
        transforms.append(engine.forward_gradient(result))
    for transform in transforms:
        with pytest.raises(GradientError, match=message):
            transform(Y)


def test_the_function_is_called_once(engine: ModuleType) -> None:
    calls: list[int] = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return loss(x, y)

    transforms: list[Callable[[], Any]] = [
        lambda: engine.value_and_grad(f, (0, 1))(X, Y),
        lambda: engine.grad(f)(X, Y),
        lambda: engine.jacobian(f, (0, 1))(X, Y),
        lambda: engine.hvp(f, (X, Y), (X, Y)),
        lambda: engine.hessian(f, (0, 1))(X, Y),
    ]
    if engine is revdiff:
        transforms.append(lambda: engine.vjp(f, X, Y)[1](np.array(1.0)))
    else:
        transforms += [lambda: engine.jvp(f, (X, Y), (X, Y)), lambda: engine.forward_gradient(f, directions=5, rng=0)(X, Y)]
    for transform in transforms:
        calls.clear()
        transform()
        assert len(calls) == 1


def test_inputs_are_left_as_they_were(engine: ModuleType) -> None:
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    engine.value_and_grad(loss, (0, 1))(x, y)
    engine.jacobian(vector, (0, 1))(x, y)
    engine.hvp(loss, (x, y), (x, y))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


# ------------------------------------------------------------------------------------------------ jacobian


def test_jacobian_equals_differences(engine: ModuleType, array: Array) -> None:
    numpy_vector = lambda x, y: np.exp(x * y).sum(1) * y[0]
    jx, jy = engine.jacobian(vector, (0, 1))(array(X), array(Y))
    close(jx, numerically(numpy_vector, [X, Y], 0), rtol=1e-8)
    close(jy, numerically(numpy_vector, [X, Y], 1), rtol=1e-8)


def test_jacobian_of_matrices_and_structures(engine: ModuleType, array: Array) -> None:
    def f(tree: Any) -> Any:
        return {"outer": tree["a"].reshape(2, 1) * tree["b"], "same": (tree["a"],)}

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    found = engine.jacobian(f)({"a": array(a), "b": array(b)})
    close(found["outer"]["a"], np.einsum("ij,k->ikj", np.eye(2), b))
    close(found["outer"]["b"], np.einsum("i,jk->ijk", a, np.eye(3)))
    close(found["same"][0]["a"], np.eye(2))
    close(found["same"][0]["b"], np.zeros((2, 3)), rtol=0)


@pytest.mark.parametrize("shape", [(), (1,), (2, 2), (0,), (0, 3)])
def test_jacobian_of_results_of_any_shape(engine: ModuleType, shape: tuple[int, ...]) -> None:
    point = np.arange(np.prod(shape), dtype=float).reshape(shape) + 1
    found = engine.jacobian(lambda x: x * x)(point)
    assert found.shape == (*shape, *shape)
    close(found, np.diag(2 * point.reshape(-1)).reshape((*shape, *shape)))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_rows_of_a_reverse_jacobian_come_in_chunks(size: int) -> None:
    whole = revdiff.jacobian(vector, (0, 1))(X, Y)
    chunked = revdiff.jacobian(vector, (0, 1), chunk_size=size)(X, Y)
    for a, b in zip(whole, chunked, strict=True):
        close(a, b, rtol=1e-15)


@pytest.mark.parametrize("size", [0, -1, 1.5, "2"])
def test_a_chunk_size_must_be_a_positive_integer(size: Any) -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        revdiff.jacobian(vector, chunk_size=size)(X, Y)


@pytest.mark.parametrize("seeding", ["auto", "parameters", "activations"])
def test_forward_jacobians_by_every_seeding(seeding: str) -> None:
    f = lambda w, b: (X @ w.T + b).tanh() @ w
    b = np.array([0.1, -0.2])
    for found, expected in zip(dualdiff.jacobian(f, (0, 1), seeding=seeding)(W, b), revdiff.jacobian(f, (0, 1))(W, b), strict=True):
        close(found, expected, rtol=1e-12)


# ------------------------------------------------------------------------------------------------ vjp, jvp


def test_vjp_is_the_transposed_jacobian(array: Array) -> None:
    g = array([1.0, -2.0, 0.5, 3.0])
    value, pullback = revdiff.vjp(vector, array(X), array(Y))
    jx, jy = revdiff.jacobian(vector, (0, 1))(X, Y)
    close(value, np.exp(X * Y).sum(1) * Y[0])
    for _ in range(2):  # it can be called many times
        gx, gy = pullback(g)
        close(gx, np.tensordot(np.asarray(g), jx, 1))
        close(gy, np.tensordot(np.asarray(g), jy, 1))


def test_vjp_of_structures_takes_cotangents_by_key() -> None:
    value, pullback = revdiff.vjp(lambda t: {"p": t["x"] * 2.0, "q": t["x"] * t["y"]}, {"x": Y, "y": Y + 1})
    one, two = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert list(value) == ["p", "q"]
    for cotangent in ({"p": one, "q": two}, {"q": two, "p": one}):
        (gradient,) = pullback(cotangent)
        close(gradient["x"], 2 * one + two * (Y + 1))
        close(gradient["y"], two * Y)


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((4, 1)), 1.0, [np.ones(4), np.ones(4)], {"p": np.ones(4)}, None])
def test_vjp_refuses_cotangents_that_do_not_match(wrong: Any) -> None:
    _, pullback = revdiff.vjp(vector, X, Y)
    with pytest.raises(GradientError, match="cotangent"):
        pullback(wrong)
    close(pullback(np.zeros(4))[0], np.zeros((4, 3)), rtol=0)


def test_jvp_is_the_jacobian_times_a_direction(array: Array) -> None:
    tx, ty = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    value, tangent = dualdiff.jvp(vector, (array(X), array(Y)), (array(tx), array(ty)))
    jx, jy = revdiff.jacobian(vector, (0, 1))(X, Y)
    close(value, np.exp(X * Y).sum(1) * Y[0])
    close(tangent, np.tensordot(jx, tx, 2) + jy @ ty)


def test_jvp_takes_tangents_by_key_and_zeros_what_does_not_depend() -> None:
    f = lambda t: {"p": t["x"] * t["y"], "c": engine_constant}
    engine_constant = dualdiff.tensor(Y)
    dx, dy = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    for tangents in ({"x": dx, "y": dy}, {"y": dy, "x": dx}):
        value, tangent = dualdiff.jvp(f, ({"x": Y, "y": Y + 1},), (tangents,))
        close(tangent["p"], dx * (Y + 1) + dy * Y)
        close(tangent["c"], np.zeros(3), rtol=0)
        close(value["c"], Y)


@pytest.mark.parametrize(
    ("primals", "tangents", "error", "message"),
    [
        (Y, (Y,), TypeError, "must be tuples or lists; found ndarray and tuple"),
        ((Y,), Y, TypeError, "must be tuples or lists; found tuple and ndarray"),
        ((Y,), (Y[:2],), GradientError, r"shapes must be equal.*\(3,\).*\(2,\)"),
        ((Y, Y), (Y,), GradientError, "jvp"),
        (({"x": Y},), ({"z": Y},), GradientError, "jvp"),
        (({"x": Y, "y": Y},), ([Y, Y],), GradientError, "jvp"),
        ((Y,), (np.array([1, 2, 3]),), GradientError, "floating point"),
        ((np.array([1, 2, 3]),), (Y,), GradientError, "floating point"),
    ],
)
def test_jvp_refuses_tangents_that_do_not_match(primals: Any, tangents: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dualdiff.jvp(lambda x, y=None: x if not isinstance(x, dict) else x["x"], primals, tangents)


def test_jvp_refuses_tangents_of_another_dtype() -> None:
    with pytest.raises(GradientError, match=r"float32.*float64"):
        dualdiff.jvp(lambda x: x * 2, (Y.astype(np.float32),), (Y,))


def test_rows_and_columns_belong_to_one_matrix(array: Array) -> None:
    """`<u, J v> = <J^T u, v>`."""
    u, v = RNG.normal(size=4), RNG.normal(size=(4, 3))
    f = lambda x: vector(x, array(Y))
    left = u @ np.asarray(dualdiff.jvp(f, (array(X),), (array(v),))[1])
    right = (np.asarray(revdiff.vjp(f, array(X))[1](array(u))[0]) * v).sum()
    np.testing.assert_allclose(left, right, rtol=1e-14)


# ------------------------------------------------------------------------------------------------ second order


def quartic(x: Any, y: Any) -> Any:
    return (x @ y).tanh().sum() * (y * y).sum() + ((x * x) @ y).sum()


def test_hessian_and_hvp(engine: ModuleType, array: Array) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    (xx, xy), (yx, yy) = (
        [block.numpy() for block in row]
        for row in torch.autograd.functional.hessian(
            lambda x, y: (x @ y).tanh().sum() * (y * y).sum() + ((x * x) @ y).sum(), (torch.tensor(X), torch.tensor(Y))
        )
    )
    found = engine.hessian(quartic, (0, 1))(array(X), array(Y))
    for row, expected in zip(found, [[xx, xy], [yx, yy]], strict=True):
        for block, wanted in zip(row, expected, strict=True):
            close(block, wanted, rtol=1e-12)
    v = RNG.normal(size=3)
    of_y = lambda y: quartic(array(X), y)
    close(engine.hessian(of_y)(array(Y)), yy, rtol=1e-12)
    close(engine.hvp(of_y, array(Y), array(v)), yy @ v, rtol=1e-12)
    hx, hy = engine.hvp(quartic, (array(X), array(Y)), (array(X), array(v)))
    close(hx, np.tensordot(xx, X, 2) + xy @ v, rtol=1e-12)
    close(hy, np.tensordot(yx, X, 2) + yy @ v, rtol=1e-12)


def test_hvp_takes_structures(engine: ModuleType) -> None:
    f = lambda t: (t["a"] * t["a"] * t["b"]).sum()
    point, along = {"a": Y, "b": Y + 1}, {"b": np.ones(3), "a": np.zeros(3)}
    found = engine.hvp(f, point, along)
    close(found["a"], 2 * Y)
    close(found["b"], np.zeros(3), rtol=0)


def test_hvp_refuses_directions_that_do_not_match(engine: ModuleType) -> None:
    with pytest.raises(DiffError):
        engine.hvp(lambda x: (x * x).sum(), Y, Y[:2])
    with pytest.raises(DiffError):
        engine.hvp(lambda x, y: (x * y).sum(), (Y, Y), (Y,))


# ------------------------------------------------------------------------------------------------ modules


def net_of(engine: ModuleType) -> Any:
    engine.manual_seed(3)
    layers = engine.nn
    return layers.Sequential(layers.Linear(3, 4, dtype=np.float64), layers.Tanh(), layers.Linear(4, 2, dtype=np.float64))


LABELS = np.array([0, 1, 1, 0])


def cross_entropy(net: Any, x: Any, y: Any) -> Any:
    return revdiff.nn.functional.cross_entropy(net(x), y)


def test_a_module_is_differentiated_by_its_parameters(engine: ModuleType) -> None:
    net = net_of(engine)
    value, gradients = engine.value_and_grad(cross_entropy)(net, engine.tensor(X), engine.tensor(LABELS))
    assert list(gradients) == [name for name, _ in net.named_parameters()]
    net.zero_grad()
    imperative = cross_entropy(net, engine.tensor(X), engine.tensor(LABELS))
    imperative.backward()
    close(value, imperative.item(), rtol=1e-15)
    for name, parameter in net.named_parameters():
        assert isinstance(gradients[name], np.ndarray)
        close(gradients[name], parameter.grad.numpy(), rtol=1e-13)


def test_a_module_is_an_argument_of_its_own(engine: ModuleType) -> None:
    with pytest.raises(GradientError, match=r"a Module \(Sequential\) must be an argument of its own"):
        engine.grad(lambda pair: pair[0](pair[1]).sum())((net_of(engine), X))


def test_a_module_and_an_input_together(engine: ModuleType) -> None:
    net = net_of(engine)
    by_name, by_x = engine.grad(cross_entropy, (0, 1))(net, X, LABELS)
    close(by_name["0.bias"], engine.grad(cross_entropy)(net, X, LABELS)["0.bias"])
    numpy_loss = lambda x: engine.value_and_grad(cross_entropy)(net, x, LABELS)[0]
    close(by_x, numerically(numpy_loss, [X], 0), rtol=1e-7)


def test_modules_have_jacobians_and_hessians(engine: ModuleType) -> None:
    net = net_of(engine)
    rows = engine.jacobian(lambda net, x: net(x).sum(0))(net, X)
    assert rows["0.weight"].shape == (2, 4, 3)
    values = {name: p.detach().numpy() for name, p in net.named_parameters()}

    def written_out(values: Any) -> Any:
        return (X @ values["0.weight"].T + values["0.bias"]).tanh() @ values["2.weight"].T + values["2.bias"]

    expected = engine.jacobian(lambda values: written_out(values).sum(0))(values)
    for name in values:
        close(rows[name], expected[name], rtol=1e-12)
    hessian = engine.hessian(lambda net, x: (net(x) * net(x)).sum())(net, X)
    expected = engine.hessian(lambda values: (written_out(values) * written_out(values)).sum())(values)
    for a in values:
        for b in values:
            close(hessian[a][b], expected[a][b], rtol=1e-11)


def test_tied_parameters_have_one_gradient_the_sum(engine: ModuleType) -> None:
    layers = engine.nn
    shared = layers.Linear(3, 3, dtype=np.float64)
    net = layers.Sequential(shared, layers.Tanh(), shared)
    gradients = engine.grad(lambda net, x: net(x).sum())(net, X)
    assert list(gradients) == ["0.weight", "0.bias"]
    w, b = (p.detach().numpy() for p in shared.parameters())
    first, second = engine.grad(lambda u, v: ((X @ u[0].T + u[1]).tanh() @ v[0].T + v[1]).sum(), (0, 1))((w, b), (w, b))
    close(gradients["0.weight"], first[0] + second[0])
    close(gradients["0.bias"], first[1] + second[1])


def test_one_parameter_in_two_modules(engine: ModuleType) -> None:
    layers = engine.nn
    one, two = layers.Linear(3, 3, dtype=np.float64), layers.Linear(3, 3, dtype=np.float64)
    two.weight = one.weight
    net = layers.Sequential(one, two)
    gradients = engine.grad(lambda net, x: (net(x) * net(x)).sum())(net, X)
    assert list(gradients) == ["0.weight", "0.bias", "1.bias"]
    w, b, c = (p.detach().numpy() for p in net.parameters())
    numpy_loss = lambda w: (((X @ w.T + b) @ w.T + c) ** 2).sum()
    close(gradients["0.weight"], numerically(numpy_loss, [w], 0), rtol=1e-7)
    assert two.weight is one.weight


def test_frozen_parameters_are_left_out(engine: ModuleType) -> None:
    net = net_of(engine)
    whole = engine.grad(cross_entropy)(net, X, LABELS)
    net[0].requires_grad_(False)
    gradients = engine.grad(cross_entropy)(net, X, LABELS)
    assert list(gradients) == ["2.weight", "2.bias"]
    for name in gradients:
        close(gradients[name], whole[name], rtol=1e-13)
    net.requires_grad_(False)
    value, gradients = engine.value_and_grad(cross_entropy)(net, X, LABELS)
    assert gradients == {}
    assert np.isfinite(value)
    net.requires_grad_()
    assert list(engine.grad(cross_entropy)(net, X, LABELS)) == list(whole)


def test_a_net_is_whole_after_an_exception(engine: ModuleType) -> None:
    net = net_of(engine)
    before = dict(net.named_parameters())

    def broken(net: Any, x: Any) -> Any:
        net(x)
        assert net[0].weight.level > 0
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        engine.value_and_grad(broken)(net, X)
    with pytest.raises(KeyError):
        engine.nn.functional.functional_call(Broken(net), {"net.0.bias": np.zeros(4)}, X)
    assert all(p is before[name] and p.level == 0 and p.is_leaf for name, p in net.named_parameters())
    with pytest.raises(DiffError):
        engine.grad(lambda net, x: net(x).sum())(net, X[:, :2])
    assert all(p is before[name] for name, p in net.named_parameters())


class Broken(revdiff.nn.Module):
    """Raises when called."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        raise KeyError("in the middle")


def test_functional_call_swaps_and_puts_back(engine: ModuleType, array: Array) -> None:
    net = net_of(engine)
    before = dict(net.named_parameters())
    values = {name: array(p.detach().numpy() + 1) for name, p in before.items()}
    f = lambda values: engine.nn.functional.functional_call(net, values, engine.tensor(array(X))).tanh().sum()
    value, gradients = engine.value_and_grad(f)(values)
    assert all(p is before[name] for name, p in net.named_parameters())
    other = net_of(engine)
    other.load_state_dict({name: np.asarray(v) for name, v in values.items()})
    expected_value, expected = engine.value_and_grad(lambda net: net(engine.tensor(X)).tanh().sum())(other)
    close(value, expected_value, rtol=1e-12)
    for name in expected:
        close(gradients[name], expected[name], rtol=1e-11)
    with pytest.raises(DiffError, match=r"has no parameter named 'nope', '2\.gain'"):
        engine.nn.functional.functional_call(net, {"nope": 1.0, "0.bias": np.zeros(4), "2.gain": 2.0}, X)
    assert all(p is before[name] for name, p in net.named_parameters())


def test_a_net_can_be_used_by_the_other_engine_only_with_an_error() -> None:
    net = net_of(revdiff)
    with pytest.raises(GradientError, match="tensor cannot meet in one operation"):
        net(dualdiff.tensor(X, requires_grad=True))


# ------------------------------------------------------------------------------------------------ forward_gradient


def test_forward_gradients_are_unbiased_and_know_their_variance() -> None:
    point = np.array([0.3, -0.7, 1.1])
    f = lambda x: (x * x * x).sum() + x[0] * x[1]
    gradient = revdiff.grad(f)(point)
    size, squared = gradient.size, (gradient**2).sum()
    k, draws = 4, 2000
    rng = np.random.default_rng(11)
    found = [dualdiff.forward_gradient(f, directions=k, rng=rng)(point) for _ in range(draws)]
    estimates = np.array([r.gradient for r in found])
    # Each entry has variance (|g|^2 + g_i^2) / k: the mean of the draws lies within five standard errors.
    standard_error = np.sqrt((squared + gradient**2) / k / draws)
    assert (np.abs(estimates.mean(0) - gradient) < 5 * standard_error).all()
    total = (size + 1) * squared / k
    observed = ((estimates - gradient) ** 2).sum(1)
    assert abs(observed.mean() - total) < 5 * observed.std() / np.sqrt(draws)
    stated = np.array([r.variance for r in found])
    assert abs(stated.mean() - total) < 5 * stated.std() / np.sqrt(draws)
    assert all(r.value == found[0].value for r in found)


def test_forward_gradients_repeat_by_seed(array: Array) -> None:
    f = lambda t: (t["a"] * t["a"]).sum() * t["b"]
    tree = {"a": array(Y), "b": array(2.0)}
    estimate = dualdiff.forward_gradient(f, directions=3, rng=7)
    first, second = estimate(tree), estimate(tree)
    close(first.gradient["a"], second.gradient["a"], rtol=0)
    close(first.gradient["b"], second.gradient["b"], rtol=0)
    assert type(first.gradient["a"]) is type(array(Y))
    other = dualdiff.forward_gradient(f, directions=3, rng=8)(tree)
    assert not np.allclose(other.gradient["a"], first.gradient["a"])
    dualdiff.manual_seed(1)
    a = dualdiff.forward_gradient(f)(tree).gradient["a"]
    assert not np.allclose(a, dualdiff.forward_gradient(f)(tree).gradient["a"])
    dualdiff.manual_seed(1)
    close(dualdiff.forward_gradient(f)(tree).gradient["a"], a, rtol=0)


def test_forward_gradients_of_modules_and_of_constants() -> None:
    net = net_of(dualdiff)
    found = dualdiff.forward_gradient(cross_entropy, directions=2, rng=0)(net, X, LABELS)
    assert {name: g.shape for name, g in found.gradient.items()} == {name: p.shape for name, p in net.named_parameters()}
    constant = dualdiff.forward_gradient(lambda x: 2.0, rng=0)(Y)
    close(constant.gradient, np.zeros(3), rtol=0)
    assert float(constant.variance) == 0


@pytest.mark.parametrize("directions", [0, -1, 1.5, True, "3"])
def test_directions_must_be_a_positive_integer(directions: Any) -> None:
    with pytest.raises(ValueError, match=r"`directions` \(="):
        dualdiff.forward_gradient(loss, directions=directions)


@pytest.mark.parametrize("seeding", ["Activations", "", None, 3])
def test_a_seeding_that_is_none_is_named(seeding: Any) -> None:
    for transform in (dualdiff.value_and_grad, dualdiff.grad, dualdiff.jacobian):
        with pytest.raises(ValueError, match=r"seeding \(=.*\) must be one of 'auto', 'activations', 'parameters'"):
            transform(loss, seeding=seeding)(X, Y)


def test_gradients_are_the_callers_own(engine: ModuleType) -> None:
    c = np.full(3, 2.0)
    first, second = engine.grad(lambda a, b: ((a + b) * c).sum(), argnums=(0, 1))(np.ones(3), np.ones(3))
    first *= 0.5
    assert np.array_equal(second, c)
    whole = engine.grad(lambda a: a.sum())(np.ones(3))
    whole += 1
    assert np.array_equal(whole, np.full(3, 2.0))


def test_vjp_of_the_identity_does_not_hand_back_the_cotangent() -> None:
    cotangent = np.ones(3)
    _, pullback = revdiff.vjp(lambda a: a, np.ones(3))
    (g,) = pullback(cotangent)
    g *= 3
    assert np.array_equal(cotangent, np.ones(3))


@pytest.mark.parametrize("options", [{}, {"seeding": "parameters"}, {"memory": "1MB"}])
def test_a_call_leaves_nothing_for_the_garbage_collector(engine: ModuleType, options: dict[str, Any]) -> None:
    if options and engine is revdiff:
        options = {}
    net = net_of(engine)
    transform = engine.value_and_grad(cross_entropy, **options)
    transform(net, X, LABELS)
    gc.collect()
    gc.disable()
    try:
        transform(net, X, LABELS)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_parameter_handed_back_as_it_is_has_the_identity_for_derivative(engine: ModuleType) -> None:
    class Scalar(engine.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.w = engine.nn.Parameter(np.array(3.0))

    value, gradients = engine.value_and_grad(lambda net: net.w)(Scalar())
    assert (float(value), float(gradients["w"])) == (3.0, 1.0)
    net = engine.nn.Linear(2, 2, bias=False)
    rows = engine.jacobian(lambda net: {"w": net.weight})(net)["w"]["weight"]
    assert np.array_equal(rows.reshape(4, 4), np.eye(4))
    assert net.weight.level == 0
