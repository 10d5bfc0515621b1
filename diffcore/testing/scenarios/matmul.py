"""Products."""

from diffcore import ops
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import normal

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
]
