"""Products."""

from diffcore import linalg, ops
from diffcore.errors import ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import away, normal

OPTIONS = {"reference": lambda jax, *xs: jax.numpy.matmul(*xs), "torch": lambda torch, *xs: torch.matmul(*xs)}


def product(case, a, b, **options):
    return Scenario("matmul", case, ops.matmul, normal(a, b), **OPTIONS, **options)


def layer(case, x, out, **options):
    features = x[-1]
    yield Scenario(
        "linear",
        case,
        ops.linear,
        normal(x, (out, features), (out,)),
        reference=lambda jax, x, w, b: jax.numpy.einsum("...i,oi->...o", x, w) + b,
        torch=lambda torch, x, w, b: torch.nn.functional.linear(x, w, b),
        **options,
    )
    yield Scenario(
        "linear_unbiased",
        case,
        ops.linear,
        normal(x, (out, features)),
        reference=lambda jax, x, w: jax.numpy.einsum("...i,oi->...o", x, w),
        torch=lambda torch, x, w: torch.nn.functional.linear(x, w),
        **options,
    )


ROWS = [
    product("matrices", (3, 2), (2, 4)),
    product("square", (3, 3), (3, 3)),
    product("ones", (1, 1), (1, 1)),
    product("row times column", (1, 3), (3, 1)),
    product("outer", (3, 1), (1, 2)),
    product("vectors", (3,), (3,)),
    product("vector left", (3,), (3, 2)),
    product("vector right", (2, 3), (3,)),
    product("stack times matrix", (2, 3, 2), (2, 2)),
    product("matrix times stack", (3, 2), (2, 2, 3)),
    product("stacks", (2, 3, 2), (2, 2, 1)),
    product("stack of one times stack", (1, 2, 3), (2, 3, 2)),
    product("stacks that broadcast", (2, 1, 3, 2), (3, 2, 1)),
    product("stack of one times matrix", (1, 2, 3), (3, 2)),
    product("vector times stack", (3,), (2, 3, 2)),
    product("stack times vector", (2, 2, 3), (3,)),
    product("no rows", (0, 3), (3, 2)),
    product("nothing summed", (2, 0), (0, 3)),
    product("no stack", (0, 2, 3), (3, 2)),
    product("strided", (3, 2), (2, 3), strided=True),
    product("strided stacks", (2, 2, 3), (3, 2), strided=True),
    Scenario("matmul", "repeated operand", lambda x: ops.matmul(x, x), normal((3, 3)), reference=lambda jax, x: x @ x),
    Scenario("matmul", "repeated stack", lambda x: ops.matmul(x, x), normal((2, 2, 2)), reference=lambda jax, x: x @ x),
    *layer("batch", (4, 3), 2),
    *layer("batch of one", (1, 3), 2),
    *layer("sizes one", (1, 1), 1),
    *layer("wide", (2, 2), 5),
    *layer("sequence", (2, 3, 2), 3),
    *layer("four axes", (2, 1, 3, 2), 2),
    *layer("vector", (3,), 2),
    *layer("no examples", (0, 3), 2),
    *layer("strided", (3, 2), 3, strided=True),
    Scenario("linear", "repeated operand", lambda x, b: ops.linear(x, x, b), normal((3, 3), (3,)), reference=lambda jax, x, b: x @ x.T + b),
    Scenario(
        "linear",
        "two layers",
        lambda x, v, a, w, b: ops.linear(ops.tanh(ops.linear(x, v, a)), w, b),
        normal((3, 2), (4, 2), (4,), (2, 4), (2,)),
        reference=lambda jax, x, v, a, w, b: jax.numpy.tanh(x @ v.T + a) @ w.T + b,
    ),
    Scenario(
        "linear",
        "shared weight",
        lambda x, w, b: ops.linear(ops.tanh(ops.linear(x, w, b)), w, b),
        normal((2, 3), (3, 3), (3,)),
        reference=lambda jax, x, w, b: jax.numpy.tanh(x @ w.T + b) @ w.T + b,
    ),
    *(
        Scenario("matmul", name, getattr(ops, name), normal(*shapes), torch=lambda torch, *xs, n=name: getattr(torch, n)(*xs))
        for name, *shapes in (
            ("dot", (3,), (3,)),
            ("vdot", (3,), (3,)),
            ("mv", (2, 3), (3,)),
            ("mm", (2, 3), (3, 2)),
            ("bmm", (2, 2, 3), (2, 3, 2)),
            ("addmm", (2,), (3, 2), (2, 2)),
            ("addmv", (), (3, 2), (2,)),
            ("baddbmm", (2, 1, 2), (2, 2, 3), (2, 3, 2)),
            ("cov", (2, 4)),
            ("corrcoef", (2, 4)),
        )
    ),
    *(
        Scenario("mul", name, getattr(ops, name), normal(*shapes), torch=lambda torch, *xs, n=name: getattr(torch, n)(*xs))
        for name, *shapes in (
            ("outer", (3,), (2,)),
            ("ger", (3,), (2,)),
            ("addr", (3, 2), (3,), (2,)),
            ("kron", (2, 2), (1, 3)),
            ("inner", (), (3,)),
        )
    ),
    Scenario("mul", "kron of a stack", ops.kron, normal((2,), (2, 1, 2)), torch=lambda torch, x, y: torch.kron(x, y)),
    Scenario(
        "matmul",
        "addmm scaled",
        lambda x, a, b: ops.addmm(x, a, b, beta=0.5, alpha=2),
        normal((3, 2), (3, 2), (2, 2)),
        torch=lambda torch, x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=2),
    ),
    Scenario("matmul", "chain_matmul", ops.chain_matmul, normal((2, 3), (3, 1), (1, 2)), reference=lambda jax, x, y, z: x @ y @ z),
    Scenario("matmul", "cov of one", lambda x: ops.cov(x, correction=0), normal((4,)), torch=lambda t, x: t.cov(x, correction=0)),
    Scenario(
        "matmul",
        "multi_dot",
        lambda *xs: linalg.multi_dot(xs),
        away((3,), (3, 2), (2, 1), (1,)),
        torch=lambda t, *xs: t.linalg.multi_dot(xs),
    ),
    Scenario("linear_unbiased", "repeated operand", lambda x: ops.linear(x, x), normal((3, 3)), reference=lambda jax, x: x @ x.T),
    Scenario(
        "linear_unbiased",
        "two layers",
        lambda x, v, w: ops.linear(ops.tanh(ops.linear(x, v)), w),
        normal((3, 2), (4, 2), (2, 4)),
        reference=lambda jax, x, v, w: jax.numpy.tanh(x @ v.T) @ w.T,
    ),
    Scenario(
        "linear_unbiased",
        "shared weight",
        lambda x, w: ops.linear(ops.tanh(ops.linear(x, w)), w),
        normal((2, 3), (3, 3)),
        reference=lambda jax, x, w: jax.numpy.tanh(x @ w.T) @ w.T,
    ),
]


def misused(name, match, *shapes, kernel="matmul"):
    case = f"{name} {' '.join(map(str, shapes))}"
    return Misuse(kernel, case, lambda *xs: getattr(ops, name)(*xs), normal(*shapes), ShapeError, match)


MISUSES = [
    misused("matmul", r"matmul: `x` \(2, 3\) and `y` \(2, 3\) disagree: 3 != 2. Did you mean `x @ y.T`", (2, 3), (2, 3)),
    misused("matmul", r"at least one axis, got \(2, 3\) and \(\)", (2, 3), ()),
    misused("matmul", r"batch axes of `x` \(2, 1, 3\) and `y` \(3, 3, 2\) do not broadcast", (2, 1, 3), (3, 3, 2)),
    misused("matmul", r"disagree: 3 != 2", (3,), (2, 3)),
    misused("dot", r"dot: `x` \(2,\) and `y` \(3,\) disagree: 2 != 3", (2,), (3,)),
    misused("dot", r"dot: `x` must be a vector \(1 axes\), got shape \(2, 2\)", (2, 2), (2,)),
    misused("vdot", r"vdot: `x` \(2,\) and `y` \(3,\) disagree", (2,), (3,)),
    misused("mv", r"mv: `x` \(2, 2\) and `y` \(3,\) disagree: 2 != 3", (2, 2), (3,)),
    misused("mm", r"mm: `y` must be a matrix \(2 axes\), got shape \(2,\)", (2, 2), (2,)),
    misused("mm", r"mm: `x` \(2, 2\) and `y` \(3, 2\) disagree: 2 != 3", (2, 2), (3, 2)),
    misused("bmm", r"bmm: `x` must be a stack of matrices \(3 axes\), got shape \(2, 2\)", (2, 2), (2, 2, 2)),
    misused("bmm", r"bmm: .* disagree: 2 != 3", (2, 2, 2), (3, 2, 2)),
    misused("outer", r"outer: `x` must be a vector", (2, 2), (3,), kernel="mul"),
    misused("addmm", r"`input` \(3,\) does not broadcast to the shape of the product \(2, 2\)", (3,), (2, 2), (2, 2)),
    misused("cov", r"two or fewer dimensions but got an input of shape \(2, 2, 2\)", (2, 2, 2)),
    Misuse("matmul", "multi_dot of one", lambda x: linalg.multi_dot([x]), normal((2, 2)), ShapeError, "at least 2 tensors but got 1"),
    *(
        Misuse(kernel, case, ops.linear, normal(*shapes, *bias), ShapeError, match)
        for kernel, bias in (("linear", [(2,)]), ("linear_unbiased", []))
        for case, shapes, match in (
            (
                "features",
                ((4, 3), (2, 2)),
                r"`input` \(4, 3\) and `weight` \(2, 2\) disagree: the last axis of `input` must have 2 features",
            ),
            ("features of a vector", ((3,), (2, 2)), r"must have 2 features, not 3"),
            ("features of a sequence", ((2, 4, 3), (2, 2)), r"`input` \(2, 4, 3\) and `weight` \(2, 2\) disagree"),
            ("scalar", ((), (2, 2)), r"`input` needs at least one axis, got \(\)"),
        )
    ),
    Misuse("linear", "bias", ops.linear, normal((4, 3), (2, 3), (3,)), ShapeError, r"`bias` \(3,\) and `weight` \(2, 3\) disagree"),
]
