"""Systems of equations, inverses, determinants and factors."""

import numpy as np

from diffcore import linalg, ops
from diffcore.errors import DTypeError, LinAlgError, ShapeError
from diffcore.kernels import linalg as k
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import apart, away, classes, exactly, joined, normal


def regular(*shapes):
    """Matrices whose singular values are well away from 0."""
    return lambda rng: tuple(2 * np.eye(s[-1]) + rng.uniform(-0.5, 0.5, s) for s in shapes)


def definite(*shapes):
    """Symmetric matrices with eigenvalues well above 0."""

    def draw(shape, rng):
        x = rng.uniform(-1, 1, shape)
        return x @ x.mT + 2 * np.eye(shape[-1])

    return lambda rng: tuple(draw(s, rng) for s in shapes)


STACKS = {
    "matrix": (3, 3),
    "two by two": (2, 2),
    "one element": (1, 1),
    "stack": (2, 2, 2),
    "stack of one": (1, 2, 2),
    "two stacks": (2, 1, 2, 2),
    "no matrix": (0, 2, 2),
    "strided": (3, 3),
    "strided stack": (2, 2, 2),
}


def of_matrices(kernel, function, name, torch, draw=regular, prefix=""):
    for case, shape in STACKS.items():
        yield Scenario(
            kernel,
            prefix + case,
            function,
            draw(shape),
            strided="strided" in case,
            reference=None if name is None else lambda jax, a: name(jax.numpy.linalg, a),
            torch=None if torch is None else lambda t, a: torch(t.linalg, a),
        )


def of_systems(kernel, function, torch, prefix=""):
    for case, a, b in (
        ("matrix", (3, 3), (3, 2)),
        ("column", (2, 2), (2, 1)),
        ("one element", (1, 1), (1, 1)),
        ("stacks", (2, 2, 2), (2, 2, 3)),
        ("stack of systems", (2, 2, 2), (2, 2)),
        ("stack of right-hand sides", (2, 2), (2, 2, 1)),
        ("stacks that broadcast", (2, 1, 2, 2), (3, 2, 1)),
        ("stack of one", (1, 2, 2), (2, 2, 1)),
        ("more stacks on the right", (2, 2, 2), (3, 1, 2, 1)),
        ("no right-hand side", (2, 2), (2, 0)),
        ("no system", (0, 2, 2), (0, 2, 1)),
        ("strided", (3, 3), (3, 2)),
    ):
        yield Scenario(
            kernel,
            prefix + case,
            function,
            joined(regular(a), normal(b)),
            strided=case == "strided",
            torch=None if case == "stack of systems" else torch,
        )


def cofactors(jax, a):
    return jax.numpy.linalg.det(a)[..., None, None] * jax.numpy.linalg.inv(a).mT


def from_below(a):
    """The Cholesky factor of `a @ a.mT + 1`."""
    return ops.add(ops.matmul(a, a.mT), np.eye(a.shape[-1], dtype=a.dtype))


ROWS = [
    *of_systems("solve", linalg.solve, lambda torch, a, b: torch.linalg.solve(a, b)),
    *(
        Scenario("solve", case, linalg.solve, joined(regular(a), normal(b)), torch=lambda torch, a, b: torch.linalg.solve(a, b))
        for case, a, b in (("vector", (3, 3), (3,)), ("vector for each matrix", (2, 3, 3), (2, 3)))
    ),
    *(
        Scenario(
            "solve",
            f"from the right {case}",
            lambda a, b: linalg.solve(a, b, left=False),
            joined(regular(a), normal(b)),
            torch=lambda torch, a, b: torch.linalg.solve(a, b, left=False),
        )
        for case, a, b in (("matrix", (2, 2), (3, 2)), ("stack", (2, 2, 2), (2, 1, 2)))
    ),
    Scenario("solve", "repeated operand", lambda a: linalg.solve(a, ops.mul(a, a)), regular((2, 2))),
    Scenario("solve", "aliased operands", lambda a: linalg.solve(a, a.mT), regular((3, 3))),
    *(
        row
        for upper in (False, True)
        for unit in (False, True)
        for row in of_systems(
            "solve_triangular",
            lambda a, b, u=upper, o=unit: linalg.solve_triangular(a, b, upper=u, unitriangular=o),
            lambda torch, a, b, u=upper, o=unit: torch.linalg.solve_triangular(a, b, upper=u, unitriangular=o),
            f"{'upper' if upper else 'lower'}{' unit' if unit else ''} ",
        )
        if not unit or "stack" in row.case or row.case.endswith("matrix")
    ),
    Scenario(
        "solve_triangular",
        "from the right",
        lambda a, b: linalg.solve_triangular(a, b, upper=True, left=False),
        joined(regular((2, 2)), normal((3, 2))),
        torch=lambda torch, a, b: torch.linalg.solve_triangular(a, b, upper=True, left=False),
    ),
    Scenario("solve_triangular", "repeated operand", lambda a: linalg.solve_triangular(a, a, upper=False), regular((3, 3))),
    Scenario(
        "solve_triangular",
        "cholesky_solve",
        lambda b, a: ops.cholesky_solve(b, ops.cholesky(a)),
        joined(normal((2, 2)), definite((2, 2))),
        torch=lambda torch, b, a: torch.cholesky_solve(b, torch.linalg.cholesky(a)),
    ),
    *of_matrices("inv", linalg.inv, lambda la, a: la.inv(a), lambda la, a: la.inv(a)),
    Scenario("inv", "diagonal", linalg.inv, exactly([[3.0, 0.0], [0.0, -2.0]]), torch=lambda t, a: t.linalg.inv(a)),
    Scenario("inv", "repeated operand", lambda a: ops.mul(ops.inverse(a), a), regular((2, 2)), torch=lambda t, a: t.inverse(a) * a),
    Scenario(
        "inv", "negative power", lambda a: linalg.matrix_power(a, -2), regular((2, 2)), torch=lambda t, a: t.linalg.matrix_power(a, -2)
    ),
    *of_matrices("det", linalg.det, lambda la, a: la.det(a), lambda la, a: la.det(a)),
    Scenario("det", "negative", linalg.det, exactly([[1.0, 2.0], [3.0, 1.0]]), torch=lambda t, a: t.linalg.det(a)),
    Scenario("det", "repeated operand", lambda a: ops.mul(linalg.det(a), a), regular((2, 2)), torch=lambda t, a: t.linalg.det(a) * a),
    Scenario("det", "rank one less", linalg.det, exactly([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]), smooth=False),
    Scenario("det", "diagonal rank one less", linalg.det, exactly([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]), smooth=False),
    Scenario("det", "rank two less", linalg.det, exactly(np.outer([1.0, 2.0, 3.0], [1.0, 0.5, 2.0])), smooth=False),
    *of_matrices("cofactor", k.cofactor, None, None),
    *(
        Scenario("cofactor", case, k.cofactor, draw, reference=cofactors)
        for case, draw in (
            ("by the inverse", regular((3, 3))),
            ("of a stack by the inverse", regular((2, 2, 2))),
            ("negative", exactly([[1.0, 2.0], [3.0, 1.0]])),
            ("permuted", exactly([[0.0, 2.0, 0.5], [1.5, 0.0, 0.0], [0.0, 0.0, 1.0]])),
        )
    ),
    *of_matrices("slogdet", lambda a: linalg.slogdet(a).logabsdet, lambda la, a: la.slogdet(a)[1], lambda la, a: la.slogdet(a)[1]),
    *of_matrices("slogdet", ops.logdet, None, lambda la, a: la.slogdet(a)[1], prefix="logdet "),
    Scenario(
        "slogdet",
        "sign",
        lambda a: linalg.slogdet(a).sign,
        normal((3, 2, 2)),
        smooth=False,
        reference=lambda jax, a: jax.numpy.linalg.slogdet(a)[0],
    ),
    Scenario("slogdet", "repeated operand", lambda a: ops.mul(ops.logdet(a), a), regular((2, 2)), torch=lambda t, a: t.logdet(a) * a),
    Scenario("slogdet", "tiny", lambda a: linalg.slogdet(a)[1], exactly([[1e-30, 0.0], [0.0, 1e-30]]), smooth=False),
    *of_matrices("cholesky", linalg.cholesky, lambda la, a: la.cholesky(a), lambda la, a: la.cholesky(a), definite),
    *of_matrices("cholesky", lambda a: linalg.cholesky(from_below(a)), None, None, away, "product "),
    Scenario("cholesky", "upper", lambda a: ops.cholesky(a, True), definite((3, 3)), torch=lambda t, a: t.linalg.cholesky(a, upper=True)),
    Scenario("cholesky", "repeated operand", lambda a: ops.matmul(linalg.cholesky(a), a), definite((2, 2))),
    Scenario("matmul", "cube", lambda a: linalg.matrix_power(a, 3), normal((2, 2)), torch=lambda t, a: t.linalg.matrix_power(a, 3)),
    Scenario("matmul", "fourth power of a stack", lambda a: linalg.matrix_power(a, 4), normal((2, 2, 2))),
    Scenario("mul", "power 0", lambda a: ops.mul(linalg.matrix_power(a, 0), a), normal((2, 2, 2))),
    *(
        Scenario(
            kernel,
            f"matrix norm {order}",
            lambda a, o=order: linalg.matrix_norm(a, o),
            apart((2, 2, 3)),
            torch=lambda torch, a, o=order: torch.linalg.matrix_norm(a, o),
        )
        for kernel, order in (("norm", "fro"), ("max", 1), ("min", -1), ("max", np.inf), ("min", -np.inf))
    ),
    Scenario("norm", "linalg.norm", linalg.norm, away((2, 3)), torch=lambda torch, a: torch.linalg.norm(a)),
    Scenario("max", "linalg.norm of a matrix", lambda a: linalg.norm(a, 1), apart((2, 3)), torch=lambda torch, a: torch.linalg.norm(a, 1)),
    Scenario(
        "norm", "linalg.norm of rows", lambda a: linalg.norm(a, 3, 1), away((2, 3)), torch=lambda torch, a: torch.linalg.norm(a, 3, 1)
    ),
    Scenario("sum", "vecdot", linalg.vecdot, normal((2, 3), (3,)), torch=lambda torch, x, y: torch.linalg.vecdot(x, y)),
    Scenario("einsum", "linalg.cross", linalg.cross, normal((2, 3), (2, 3)), torch=lambda torch, x, y: torch.linalg.cross(x, y)),
]


def of_square(kernel, function, name):
    yield Misuse(kernel, "number", function, normal(()), ShapeError, rf"linalg.{name}: .*at least 2 dimensions, got shape \(\)")
    yield Misuse(kernel, "vector", function, normal((3,)), ShapeError, rf"linalg.{name}: .*at least 2 dimensions, got shape \(3,\)")
    yield Misuse(
        kernel, "rectangle", function, normal((2, 3)), ShapeError, rf"linalg.{name}: .*square matrices, but they are 2 by 3 matrices"
    )
    yield Misuse(
        kernel, "stack of rectangles", function, normal((4, 2, 3)), ShapeError, rf"linalg.{name}: `A` \(4, 2, 3\) must be .*square"
    )
    yield Misuse(kernel, "integers", function, classes((2, 2), 5), DTypeError, rf"linalg.{name}: expected a floating-point tensor .*int64")


def of_equation(kernel, function, name):
    yield from of_square(kernel, lambda a: function(a, a), name)
    for case, a, b, match in (
        ("rows", (2, 2), (3, 2), r"Incompatible shapes of `A` \(2, 2\) and `B` \(3, 2\) for the equation AX = B"),
        ("stacks", (2, 2, 2), (3, 2, 1), r"batch axes of `A` \(2, 2, 2\) and `B` \(3, 2, 1\) do not broadcast"),
        ("scalar", (2, 2), (), r"Incompatible shapes of `A` \(2, 2\) and `B` \(\)"),
    ):
        yield Misuse(kernel, case, function, joined(regular(a), normal(b)), ShapeError, match)
    yield Misuse(
        kernel, "singular", function, exactly([[0.0, 0.0], [0.0, 0.0]], [[1.0], [2.0]]), LinAlgError, rf"linalg.{name}: .*is singular"
    )
    yield Misuse(
        kernel,
        "one of a stack singular",
        function,
        exactly([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]], [[1.0], [2.0]]),
        LinAlgError,
        rf"linalg.{name}: .*is singular",
    )


MISUSES = [
    *of_equation("solve", linalg.solve, "solve"),
    *of_equation("solve_triangular", lambda a, b: linalg.solve_triangular(a, b, upper=False), "solve_triangular"),
    Misuse(
        "solve", "length of a vector", linalg.solve, joined(regular((2, 2)), normal((3,))), ShapeError, r"Incompatible shapes of .* \(3,\)"
    ),
    Misuse(
        "solve",
        "from the right",
        lambda a, b: linalg.solve(a, b, left=False),
        joined(regular((2, 2)), normal((2, 3))),
        ShapeError,
        "for the equation XA = B",
    ),
    *of_square("inv", linalg.inv, "inv"),
    *of_square("det", linalg.det, "det"),
    *of_square("slogdet", linalg.slogdet, "slogdet"),
    *of_square("cholesky", linalg.cholesky, "cholesky"),
    *(
        Misuse("cofactor", case, k.cofactor, normal(shape), ShapeError, r"cofactor: .*\(" + ", ".join(map(str, shape)))
        for case, shape in (("rectangle", (2, 3)), ("tall", (3, 2)), ("stack", (2, 3, 2)), ("vector", (3,)), ("number", ()))
    ),
    Misuse(
        "inv", "singular", linalg.inv, exactly([[1.0, 2.0], [2.0, 4.0]]), LinAlgError, "linalg.inv: the inversion could not be completed"
    ),
    Misuse("inv", "zeros", linalg.inv, exactly([[0.0, 0.0], [0.0, 0.0]]), LinAlgError, "linalg.inv: .*the input matrix is singular"),
    Misuse(
        "cholesky",
        "indefinite",
        linalg.cholesky,
        exactly([[1.0, 2.0], [2.0, 1.0]]),
        LinAlgError,
        "linalg.cholesky: .*not positive-definite",
    ),
    Misuse("norm", "matrix norm of a vector", linalg.matrix_norm, normal((3,)), ShapeError, "matrix_norm: .*at least 2 dimensions"),
    Misuse(
        "norm",
        "matrix norm of order 3",
        lambda a: linalg.matrix_norm(a, 3),
        normal((2, 2)),
        ShapeError,
        "matrix_norm: Order 3 not supported",
    ),
    Misuse(
        "norm", "order of a stack", lambda a: linalg.norm(a, 2), normal((2, 2, 2)), ShapeError, "linalg.norm: .*the input must be 1D or 2D"
    ),
]
