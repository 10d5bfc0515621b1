"""Functions with derivatives written by the user, in both engines, at every level."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError, ShapeError
from diffcore.testing import expect_close

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])
Y = np.array([1.5, -0.5, 0.75])


def cube(engine: ModuleType) -> Any:
    class Cube(engine.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 3 * x * x * t

    return Cube


def product_and_sum(engine: ModuleType) -> Any:
    class ProductAndSum(engine.autograd.Function):  # type: ignore[name-defined]
        """Two results of different shapes, a number between the tensors, and a result without a derivative."""

        @staticmethod
        def forward(x: Any, power: int, y: Any) -> Any:
            return x**power * y, (x + y).sum(), x > 0

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            x, power, y = inputs
            ctx.power = power
            ctx.save_for_backward(x, y)
            ctx.mark_non_differentiable(output[2])

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any, _: Any) -> Any:
            x, y = ctx.saved_tensors
            gx = ctx.power * x ** (ctx.power - 1) * y * g + h
            gy = (x**ctx.power * g).sum(0) + h * x.shape[0] * (y * 0 + 1) if ctx.needs_input_grad[2] else None
            return gx, None, gy

        @staticmethod
        def jvp(ctx: Any, t: Any, _: None, u: Any) -> Any:
            x, y = ctx.saved_tensors
            return ctx.power * x ** (ctx.power - 1) * y * t + x**ctx.power * u, (t + u).sum(), None

    return ProductAndSum


def test_one_result(engine: ModuleType) -> None:
    f = cube(engine).apply
    x = engine.tensor(X, requires_grad=True)
    y = f(x)
    np.testing.assert_array_equal(y.detach().numpy(), X**3)
    (y * y).sum().backward()
    expect_close("gradient", x.grad.numpy(), 6 * X**5, 1e-14)
    expect_close("jacobian", engine.jacobian(f)(Y), np.diag(3 * Y**2), 1e-14)
    expect_close("hessian", engine.hessian(lambda x: (f(x) ** 2).sum())(Y), np.diag(30 * Y**4), 1e-13)


def test_several_results_and_arguments(engine: ModuleType) -> None:
    f = product_and_sum(engine).apply

    def scalar(x: Any, y: Any) -> Any:
        product, total, positive = f(x, 2, y)
        assert positive.dtype == bool
        assert not positive.requires_grad
        return (product * product).sum() + total**2 + (product * positive).sum()

    def plain(x: Any, y: Any) -> Any:
        product = x**2 * y
        return (product * product).sum() + (x + y).sum() ** 2 + (product * (x.detach() > 0)).sum()

    x, y = engine.tensor(X, requires_grad=True), engine.tensor(Y, requires_grad=True)
    scalar(x, y).backward()
    expected = engine.grad(plain, (0, 1))(X, Y)
    expect_close("backward", (x.grad.numpy(), y.grad.numpy()), expected, 1e-13)
    expect_close("grad", engine.grad(scalar, (0, 1))(X, Y), expected, 1e-13)
    expect_close("hessian", engine.hessian(scalar, (0, 1))(X, Y), engine.hessian(plain, (0, 1))(X, Y), 1e-12)
    expect_close("one argument", engine.grad(lambda y: scalar(X, y))(Y), expected[1], 1e-13)


@pytest.mark.parametrize("make", [cube, product_and_sum])
def test_engines_nest(make: Any) -> None:
    """A function of either engine's, differentiated by the other: its rules see whatever tensors there are."""
    scale = 1.0 if make is cube else Y
    expected = revdiff.hessian(lambda x: ((x**3 * scale) ** 2).sum())(X)
    for kind in (make(revdiff), make(dualdiff)):

        def f(x: Any, kind: Any = kind) -> Any:
            return (kind.apply(x) ** 2).sum() if make is cube else (kind.apply(x, 3, Y)[0] ** 2).sum()

        expect_close("forward over reverse", dualdiff.jacobian(revdiff.grad(f))(X), expected, 1e-12)
        expect_close("reverse over forward", revdiff.jacobian(dualdiff.grad(f))(X), expected, 1e-12)


def test_create_graph() -> None:
    x = revdiff.tensor(Y, requires_grad=True)
    (g,) = revdiff.autograd.grad((cube(revdiff).apply(x) ** 2).sum(), x, create_graph=True)
    g.sum().backward()
    expect_close("second derivative", x.grad.numpy(), 30 * Y**4, 1e-13)


def test_on_jax_under_jit(engine: ModuleType, x64: None) -> None:
    import jax

    f = cube(engine).apply
    expect_close("gradient", jax.jit(engine.grad(lambda x: (f(x) ** 2).sum()))(X), 6 * X**5, 1e-13)


def test_a_derivative_of_the_users_own_counts(engine: ModuleType) -> None:
    """A straight-through estimator: the derivative is what the user says, not what the arithmetic is."""

    class Round(engine.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return engine.tensor(np.round(x.numpy()))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return t

    expect_close("gradient", engine.grad(lambda x: (Round.apply(x) * 2).sum())(X), np.full(X.shape, 2.0), 0)


class Half(revdiff.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 0.5

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g[:1]


def test_errors_say_what_is_missing(engine: ModuleType) -> None:
    class Nothing(engine.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 0.5

    rule = {"revdiff": "backward", "dualdiff": "jvp"}[engine.__name__]
    with pytest.raises(GradientError, match=f"Nothing has no `{rule}`, which (forward|reverse) mode needs: add a static method `{rule}"):
        Nothing.apply(engine.tensor(X, requires_grad=True)).sum().backward()
    np.testing.assert_array_equal(Nothing.apply(engine.tensor(X)).numpy(), X / 2)


def test_wrong_rules_are_refused() -> None:
    x = revdiff.tensor(Y, requires_grad=True)
    with pytest.raises(ShapeError, match=r"HalfBackward returned an invalid gradient at index 0 - got \[1\] but expected .*\[3\]"):
        Half.apply(x).sum().backward()

    class TwoGradients(Half):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, g

    with pytest.raises(GradientError, match=r"TwoGradientsBackward returned an incorrect number of gradients \(expected 1, got 2\)"):
        TwoGradients.apply(x).sum().backward()

    class NoTensor(Half):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 1.0

    with pytest.raises(TypeError, match=r"NoTensor.forward must return a tensor or a tuple with tensors, got float"):
        NoTensor.apply(x)
    assert x.grad is None


def test_the_users_own_errors_arrive_as_they_are(engine: ModuleType) -> None:
    class Fails(engine.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        Fails.apply(engine.tensor(X, requires_grad=True))
    assert engine.is_grad_enabled()


def test_once_differentiable() -> None:
    class Once(revdiff.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @revdiff.autograd.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * g

    expect_close("gradient", revdiff.grad(lambda x: Once.apply(x).sum())(X), 2 * X, 0)
    with pytest.raises(GradientError, match="once_differentiable"):
        revdiff.hessian(lambda x: Once.apply(x).sum())(X)
