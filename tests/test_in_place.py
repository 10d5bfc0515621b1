"""Changes in place: values are shared as numpy shares them, derivatives stay right, and what would be wrong is an error."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore.errors import DTypeError, GradientError, ShapeError
from diffcore.testing import expect_close

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])


def halves(y: Any) -> Any:
    y[0].mul_(0.5)
    return y


def view_then_base(y: Any) -> Any:
    row = y[1]
    y.mul_(3.0)
    return row * row


def two_views(y: Any) -> Any:
    flat, column = y.reshape(3, 2), y[:, 1]
    flat.mul_(3.0)
    return (column * column).sum() + (flat**3).sum() + y.sum()


def view_of_view(y: Any) -> Any:
    y.reshape(3, 2).t()[0].exp_()
    return y * y


def by_transpose(y: Any) -> Any:
    y.t().add_(y.t() * 3.0)
    return y.tanh()


def augmented(y: Any) -> Any:
    y += 1.0
    y *= 1.5
    y -= 0.25
    y /= 2.0
    y **= 2
    return y


def overwritten(y: Any) -> Any:
    z = y * 2.0
    z.copy_(y * y)
    z[0].zero_()
    return z + y


def constant_buffer(y: Any) -> Any:
    buffer = y.detach() * 0.0
    part = buffer[1]
    part.add_(y[0])
    buffer.add_(y)
    return buffer**3 + part.sum()


def element(y: Any) -> Any:
    y[0, 1].mul_(5.0)
    return y * y


def forgets(y: Any) -> Any:
    z = y * y
    z.fill_(2.0)
    return z * y


def assigned_row(y: Any) -> Any:
    y[0] = y[1] * 2.0
    return y * y


def assigned_number(y: Any) -> Any:
    y[:, 1:] = 4.0
    return y * y


def assigned_columns(y: Any) -> Any:
    z = y.detach() * 0.0
    for j in range(3):
        z[:, j] = y[:, j].sum() * (j + 1.0)
    return z * y


def assigned_mask(y: Any) -> Any:
    y[y.detach() > 0.4] = 0.0
    return y.exp()


def clamped(y: Any) -> Any:
    return y.clamp_(-0.75, 1.5) * y


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    f.__name__: f
    for f in (
        halves,
        view_then_base,
        two_views,
        view_of_view,
        by_transpose,
        augmented,
        overwritten,
        constant_buffer,
        element,
        forgets,
        assigned_row,
        assigned_number,
        assigned_columns,
        assigned_mask,
        clamped,
    )
}


def slopes(program: Callable[[Any], Any], library: Any, **options: Any) -> tuple[float, np.ndarray]:
    x = library.tensor(X, requires_grad=True, **options)
    loss = program(x * 1.0).sum()
    loss.backward()
    return float(loss.detach()), x.grad.numpy()


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_of_programs(engine: ModuleType, name: str) -> None:
    program = PROGRAMS[name]

    def value(x: np.ndarray) -> float:
        return float(program(engine.tensor(x)).sum())

    steps = [1e-6 * np.eye(X.size)[i].reshape(X.shape) for i in range(X.size)]
    expected = np.array([(value(X + h) - value(X - h)) / 2e-6 for h in steps]).reshape(X.shape)
    if name == "forgets":  # a buffer that is filled depends on nothing
        expected = np.full(X.shape, 2.0)
    loss, gradient = slopes(program, engine)
    expect_close("value", loss, value(X), 0)
    expect_close("gradient", gradient, expected, 1e-8)


@pytest.mark.parametrize("name", PROGRAMS)
def test_torch_agrees(engine: ModuleType, name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch, an outside oracle, is not installed")
    expect_close("value and gradient", slopes(PROGRAMS[name], engine), slopes(PROGRAMS[name], torch), 1e-14)


@pytest.mark.parametrize("name", PROGRAMS)
def test_inside_transforms(engine: ModuleType, name: str) -> None:
    program = PROGRAMS[name]
    expect_close("gradient", engine.grad(lambda x: program(x * 1.0).sum())(X), slopes(program, engine)[1], 1e-14)


@pytest.mark.parametrize("name", ["halves", "two_views", "assigned_columns", "constant_buffer"])
def test_second_derivatives(engine: ModuleType, name: str) -> None:
    program = PROGRAMS[name]
    f = lambda x: program(x * x).sum()
    expect_close("hessian", engine.hessian(f)(X), revdiff.jacobian(revdiff.grad(f))(X), 1e-12)


def test_memory_is_shared_as_numpy_shares_it(engine: ModuleType) -> None:
    x = engine.tensor(X)
    for view in (x[0], x[:, 1:], x[0, 0], x.reshape(-1), x.t(), x.T[1], x.detach(), x.data):
        before = float(x[0, 0])
        assert np.shares_memory(view.numpy(), x.numpy())
        view.add_(1.0)
        assert float(x[0, 0]) == before + 1 or 0 not in np.flatnonzero(x.numpy() == view.numpy().flat[0])
    y = x
    y += 1.0
    assert y is x
    z = x.add_(0.0)
    assert z is x
    before = x.numpy().copy()
    y = x + 1.0
    y.zero_()
    np.testing.assert_array_equal(x.numpy(), before)


def test_results_of_methods_in_place(engine: ModuleType) -> None:
    ordinary = {**dict.fromkeys("add_ sub_ mul_ div_ pow_".split(), (2.0,)), **dict.fromkeys("neg_ abs_ exp_ tanh_".split(), ())}
    for name, args in ordinary.items():
        x = engine.tensor(X)
        memory = x.numpy()
        assert getattr(x, name)(*args) is x
        np.testing.assert_array_equal(memory, getattr(engine.tensor(X), name[:-1])(*args).numpy())
    x = engine.tensor(X)
    engine.manual_seed(0)
    assert 0 <= float(x.uniform_(2.0, 3.0).mean()) - 2 <= 1
    x.normal_(10.0, 0.0)
    np.testing.assert_array_equal(x.numpy(), np.full(X.shape, 10.0))


def test_a_leaf_refuses(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    for change in (lambda: x.add_(1.0), lambda: x.__iadd__(1.0), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0), lambda: x[0].mul_(2.0)):
        with pytest.raises(GradientError, match="leaf Variable that requires grad is being used in an in-place operation"):
            change()
        np.testing.assert_array_equal(x.detach().numpy(), X)
    with engine.no_grad():
        x -= 1.0
        x[0].zero_()
    assert x.requires_grad
    assert x.is_leaf
    np.testing.assert_array_equal(x.detach().numpy(), np.array([[0.0, 0, 0], X[1] - 1]))
    x.data.add_(1.0)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.detach().numpy())


def test_tensors_without_elements_are_written_to(engine: ModuleType) -> None:
    for shape in ((0, 3), (2, 0), (0,)):
        x = engine.tensor(np.zeros(shape), requires_grad=True)
        y = x * 2
        y.mul_(3.0)
        y += x
        assert y.shape == shape
        y.sum().backward()
        assert x.grad.shape == shape


def test_what_does_not_fit_changes_nothing(engine: ModuleType) -> None:
    x = engine.tensor(X)
    whole = engine.tensor([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ShapeError, match=r"add_: output with shape \[2, 3\] doesn't match the broadcast shape \[4, 2, 3\]"):
        x.add_(np.ones((4, 2, 3)))
    with pytest.raises(ShapeError, match="do not broadcast"):
        x.mul_(np.ones(2))
    with pytest.raises(DTypeError, match=r"result type float\d+ can't be cast to the desired output type int64"):
        whole.mul_(0.5)
    with pytest.raises(GradientError, match="more than one element of the written-to tensor refers to a single memory location"):
        x[0].expand(4, 3).add_(1.0)
    np.testing.assert_array_equal(x.numpy(), X)
    assert x._version == 0


def test_versions_count_changes_of_the_buffer(engine: ModuleType) -> None:
    x = engine.tensor(X)
    view = x[0]
    assert x._version == 0
    view.add_(1.0)
    x.mul_(2.0)
    assert x._version == view._version == x.detach()._version == 2
    assert (x + 0)._version == 0


@pytest.mark.parametrize(
    ("program", "saved"),
    [
        (lambda y, x: (y.exp(), lambda z: z.mul_(5.0)), "exp saved its result"),
        (lambda y, x: (y * x, lambda z: y.add_(1.0)), "mul saved its operand `x`"),
        (lambda y, x: (y.log(), lambda z: y[0].fill_(1.0)), "log saved its operand `x`"),
        (lambda y, x: (y.tanh().tanh(), lambda z: z.data.zero_()), "tanh saved its result"),
    ],
)
def test_a_saved_tensor_changed_in_place_is_an_error(program: Any, saved: str) -> None:
    x = revdiff.tensor(np.abs(X), requires_grad=True)
    y = x * 2.0
    z, change = program(y, x)
    change(z)
    with pytest.raises(GradientError, match=f"by an inplace operation: {saved}.* of shape .* whose memory was changed afterwards by"):
        z.sum().backward()


def test_the_error_names_the_operations_and_both_tensors() -> None:
    x = revdiff.tensor(np.abs(X), requires_grad=True)
    y = x * 2.0
    z = y.log()
    y[0].mul_(3.0)
    with pytest.raises(GradientError, match=r"log saved its operand `x`, .* shape \(2, 3\), .* by `mul_` on a tensor of shape \(3,\)"):
        z.sum().backward()


def test_forward_mode_guards_what_its_sites_read() -> None:
    import dualdiff

    x, w = dualdiff.tensor(X), dualdiff.tensor(np.ones((4, 3)), requires_grad=True)
    y = (dualdiff.nn.functional.linear(x, w) ** 2).sum(1)
    x.mul_(2.0)
    with pytest.raises(GradientError, match="linear_unbiased saved its operand `x`"):
        y.sum().backward()


def test_a_change_that_nothing_saved_is_no_error(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    y = x + 1.0
    z = y + y
    y.mul_(100.0)
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full(X.shape, 2.0))


def test_an_optimizer_step_between_forward_and_backward_is_an_error() -> None:
    net = revdiff.nn.Sequential(revdiff.nn.Linear(3, 2), revdiff.nn.Tanh(), revdiff.nn.Linear(2, 1))
    loss = net(revdiff.tensor(X.astype(np.float32))).sum()
    loss.backward(retain_graph=True)
    revdiff.optim.SGD(net.parameters(), lr=0.1).step()
    with pytest.raises(GradientError, match=r"linear saved its operand `weight`.*SGD"):
        loss.backward()


def test_a_view_made_without_gradients_refuses_with_them(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True) * 1.0
    with engine.no_grad():
        view = x[0]
    with pytest.raises(GradientError, match="created in no_grad mode"):
        view.mul_(2.0)
    with engine.no_grad():
        view.mul_(2.0)
    np.testing.assert_array_equal(x.detach().numpy()[0], 2 * X[0])


def test_jax_tensors_are_given_a_new_array(engine: ModuleType) -> None:
    x = engine.tensor(X.astype(np.float32), device="jax")
    view = x[0]
    array = x.array
    x.add_(1.0)
    x[1] = 0.0
    np.testing.assert_array_equal(np.asarray(array), X.astype(np.float32))
    np.testing.assert_array_equal(np.asarray(view.array), X[0].astype(np.float32))
    np.testing.assert_array_equal(x.numpy(), np.array([X[0] + 1, [0, 0, 0]], np.float32))


@pytest.mark.parametrize("name", ["augmented", "assigned_number", "assigned_columns", "forgets"])
def test_under_jit(engine: ModuleType, name: str, x64: None) -> None:
    import jax

    program = PROGRAMS[name]
    expect_close("gradient", jax.jit(engine.grad(lambda x: program(x * 1.0).sum()))(X), slopes(program, engine)[1], 1e-12)


def test_forgotten_buffers_and_tensors_leave_nothing_behind(engine: ModuleType) -> None:
    from diffcore import aliasing
    from diffcore.watch import watch

    before, count = len(aliasing.changes._of), watch.count
    for _ in range(3):
        x = engine.tensor(X, requires_grad=True)
        two_views(x * 1.0).sum().backward()
        del x
    assert len(aliasing.changes._of) == before
    assert watch.count == count


def test_out_receives_the_result(engine: ModuleType) -> None:
    x, out = engine.tensor(X), engine.tensor(np.zeros((2, 3)))
    memory = out.numpy()
    assert engine.exp(x, out=out) is out
    np.testing.assert_array_equal(memory, np.exp(X))
    assert engine.mul(x, x, out=x) is x
    np.testing.assert_array_equal(x.numpy(), X * X)
    assert engine.exp(X, out=memory) is memory
    with pytest.raises(ShapeError, match=r"exp: output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"):
        engine.exp(x, out=out[0])
    with pytest.raises(TypeError, match="argument 'out' must be a Tensor"):
        engine.exp(x, out=memory)
    for args in ((engine.tensor(X, requires_grad=True), out), (x, engine.tensor(X, requires_grad=True))):
        with pytest.raises(GradientError, match=r"exp\(\): functions with out=... arguments don't support automatic differentiation"):
            engine.exp(args[0], out=args[1])
