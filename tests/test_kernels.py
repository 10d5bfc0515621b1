"""Every kernel on every row of the scenario table: its rules, both engines, both backends, first and second order, outside oracles."""

import itertools
from collections import defaultdict

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays import is_float
from diffcore.kernels import registered
from diffcore.testing import active, calls_of, check_finite_differences, check_jacobian, check_rules, expect_close, unchanged, weighted
from diffcore.testing.scenarios import SCENARIOS

SEEDINGS = ("parameters", "activations", "auto")
JACOBIANS = {
    "revdiff": revdiff.jacobian,
    "revdiff in chunks": lambda f, argnums: revdiff.jacobian(f, argnums, chunk_size=2),
    **{f"dualdiff seeding {s}": lambda f, argnums, s=s: dualdiff.jacobian(f, argnums, seeding=s) for s in SEEDINGS},
}
GRADIENTS = {
    "revdiff": revdiff.grad,
    **{f"dualdiff seeding {s}": lambda f, argnums, s=s: dualdiff.grad(f, argnums, seeding=s) for s in SEEDINGS},
}
NESTINGS = {
    "forward over reverse": lambda f, argnums: dualdiff.jacobian(revdiff.grad(f, argnums), argnums),
    "reverse over forward": lambda f, argnums: revdiff.jacobian(dualdiff.grad(f, argnums), argnums),
    "reverse over reverse": revdiff.hessian,
    "forward over forward": dualdiff.hessian,
    "forward, by activations, over forward, by parameters": lambda f, argnums: dualdiff.jacobian(
        dualdiff.grad(f, argnums, seeding="parameters"), argnums, seeding="activations"
    ),
    "reverse over forward by activations": lambda f, argnums: revdiff.jacobian(dualdiff.grad(f, argnums, seeding="activations"), argnums),
}


def has_derivative(scenario):
    return scenario.variables and is_float(scenario.function(*scenario.operands()).dtype)


with np.errstate(all="ignore"):
    DIFFERENTIABLE = [row for row in SCENARIOS if has_derivative(row)]
SMOOTH = [row for row in DIFFERENTIABLE if row.smooth]
KINKS = [row for row in DIFFERENTIABLE if not row.smooth]
BY_KERNEL = defaultdict(list)
for row in SCENARIOS:
    BY_KERNEL[row.kernel].append(row)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def rows(scenarios):
    return pytest.mark.parametrize("row", scenarios, ids=lambda row: row.id)


def differentiable_calls(row):
    return [call for call in calls_of(row) if call.kernel.differentiable and active(call) and is_float(call.out.dtype)]


def precision(row):
    """How much coarser than float64 the coarsest dtype in the program is: engines may round there at different points."""
    kinds = [np.float64, *(call.out.dtype for call in calls_of(row) if is_float(call.out.dtype))]
    return max(np.finfo(kind).eps for kind in kinds) / np.finfo(np.float64).eps


def scalar_of(row, *, squared=True):
    return weighted(row.function, row.rng, row.function(*row.operands()).shape, squared=squared)


def directions(row):
    rng = row.rng
    operands = row.operands()
    return tuple(np.asarray(rng.standard_normal(operands[i].shape)) for i in row.variables)


def test_every_kernel_has_rows():
    assert set(registered()) == set(BY_KERNEL)


def test_rows_have_names_of_their_own():
    assert len({row.id for row in SCENARIOS}) == len(SCENARIOS)


@rows(SCENARIOS)
def test_a_row_runs_its_kernel(row):
    assert row.kernel in [call.kernel.name for call in calls_of(row)]


# the rules by themselves


@rows(SCENARIOS)
def test_rules_are_adjoint(row):
    for call in differentiable_calls(row):
        if np.isfinite(call.out).all() and row.id != "sqrt-at 0":
            check_rules(call, row.rng)


@rows(SMOOTH)
def test_pushforward_is_the_derivative(row):
    for call in differentiable_calls(row):
        check_finite_differences(call, row.rng)


# both engines on numpy


@rows(SMOOTH)
def test_jacobians_agree(row):
    operands = row.operands()
    expected = revdiff.jacobian(row.function, row.variables)(*operands)
    for name, jacobian in JACOBIANS.items():
        check_jacobian(name, jacobian, row, operands, expected)


@rows(SMOOTH)
def test_jvp_and_vjp_are_products_with_the_jacobian(row):
    operands, along = row.operands(), directions(row)
    blocks = revdiff.jacobian(row.function, row.variables)(*operands)

    def function(*values):
        full = list(operands)
        for i, value in zip(row.variables, values, strict=True):
            full[i] = value
        return row.function(*full)

    primals = tuple(operands[i] for i in row.variables)
    value = row.function(*operands)
    cotangent = np.asarray(row.rng.standard_normal(value.shape))
    with unchanged(row.id, [*operands, *along, cotangent]):
        out, tangent = dualdiff.jvp(function, primals, along)
        also, pullback = revdiff.vjp(function, *primals)
        pulled = pullback(cotangent)
    expect_close("value of jvp", out, value, 0)
    expect_close("value of vjp", also, value, 0)
    expect_close("jvp", tangent, sum(np.tensordot(b, v, v.ndim) for b, v in zip(blocks, along, strict=True)), 1e-12)
    expect_close("vjp", pulled, tuple(np.tensordot(cotangent, b, cotangent.ndim) for b in blocks), 1e-12)


@rows(DIFFERENTIABLE)
def test_gradients_agree(row):
    operands, scalar = row.operands(), scalar_of(row, squared=row.smooth)
    expected = revdiff.grad(scalar, row.variables)(*operands)
    for name, grad in GRADIENTS.items():
        with unchanged(f"{row.id} {name}", list(operands)):
            expect_close(f"{row.id} {name}", grad(scalar, row.variables)(*operands), expected, 1e-12 * precision(row))


@rows(DIFFERENTIABLE)
def test_float32_stays_float32(row):
    operands = row.operands(np.float32)
    value = row.function(*operands)
    if row.kernel == "astype":
        pytest.skip("a cast decides for itself")
    assert value.dtype == np.float32
    unit = 1e-5 * max(1, *(float(np.abs(x).max(initial=0, where=np.isfinite(x))) for x in operands))
    scalar = weighted(row.function, row.rng, value.shape, squared=row.smooth)
    expected = revdiff.grad(scalar_of(row, squared=row.smooth), row.variables)(*row.operands())
    for name, grad in GRADIENTS.items():
        found = grad(scalar, row.variables)(*operands)
        assert [g.dtype for g in found] == [np.float32] * len(found), name
        expect_close(f"{row.id} {name}", found, expected, unit)
    for name, jacobian in JACOBIANS.items():
        found = jacobian(row.function, row.variables)(*operands)
        assert [g.dtype for g in found] == [np.float32] * len(found), name


# second order


@rows(SMOOTH)
def test_second_derivatives_agree(row):
    operands, scalar = row.operands(), scalar_of(row)
    expected = revdiff.hessian(scalar, row.variables)(*operands)
    for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(row.variables), 2):
        turned = np.moveaxis(expected[j][i], range(operands[b].ndim), range(-operands[b].ndim, 0)) if operands[b].ndim else expected[j][i]
        expect_close(f"symmetry in {a}, {b}", turned, expected[i][j], 1e-10)
    for name, hessian in NESTINGS.items():
        with unchanged(f"{row.id} {name}", list(operands)):
            expect_close(f"{row.id} {name}", hessian(scalar, row.variables)(*operands), expected, 1e-10)


@rows(SMOOTH)
def test_hessian_vector_products_agree(row):
    operands, scalar, along = row.operands(), scalar_of(row), directions(row)
    primals = tuple(operands[i] for i in row.variables)

    def function(*values):
        full = list(operands)
        for i, value in zip(row.variables, values, strict=True):
            full[i] = value
        return scalar(*full)

    blocks = revdiff.hessian(scalar, row.variables)(*operands)
    expected = tuple(sum(np.tensordot(b, v, v.ndim) for b, v in zip(line, along, strict=True)) for line in blocks)
    argnums = tuple(range(len(primals)))
    products = {
        "revdiff.hvp": revdiff.hvp(function, primals, along),
        "dualdiff.hvp": dualdiff.hvp(function, primals, along),
        "forward over reverse": dualdiff.jvp(revdiff.grad(function, argnums), primals, along)[1],
        "reverse over forward": revdiff.vjp(dualdiff.grad(function, argnums), *primals)[1](along),
    }
    if registered()[row.kernel].differentiable:
        products["create_graph"] = _double_backward(function, primals, along)
    for name, found in products.items():
        expect_close(f"{row.id} {name}", found, expected, 1e-10)


def _double_backward(function, primals, along):
    xs = [revdiff.tensor(x, requires_grad=True) for x in primals]
    gradients = revdiff.autograd.grad(function(*xs), xs, create_graph=True)
    slope = sum(ops.sum(ops.mul(g, v)) for g, v in zip(gradients, along, strict=True))
    slope.backward()
    return tuple(np.zeros_like(p) if x.grad is None else x.grad.numpy() for x, p in zip(xs, primals, strict=True))


# jax: the other backend, and an oracle. The rows of a kernel share one compilation, which is what takes the time


def _compiled(function, operands):
    import jax

    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})(operands)


def _by_jax(row, operands, second):
    """Value, Jacobian, gradient and (where `second`) Hessian, as jax differentiates our ops on its own arrays, or the reference."""
    import jax

    scalar = scalar_of(row)
    return {
        "value": row.function(*operands) if row.reference is None else row.reference(jax, *operands),
        "jacobian": jax.jacrev(row.function, row.variables)(*operands),
        "gradient": jax.grad(scalar, row.variables)(*operands),
        "hessian": jax.hessian(scalar, row.variables)(*operands) if second else None,
    }


def _by_engines(row, operands):
    """The same by both engines, traced."""
    scalar = scalar_of(row)
    return {
        "value": {"ops": row.function(*operands)},
        "jacobian": {name: JACOBIANS[name](row.function, row.variables)(*operands) for name in ("revdiff", "dualdiff seeding auto")},
        "gradient": {name: GRADIENTS[name](scalar, row.variables)(*operands) for name in ("revdiff", "dualdiff seeding activations")},
    }


@pytest.mark.parametrize("kernel", sorted({row.kernel for row in SMOOTH}))
def test_jax_agrees(kernel, x64):
    smooth = [row for row in BY_KERNEL[kernel] if row in SMOOTH and not row.strided]

    def everything(operands):
        return [
            (_by_jax(row, xs, i % 4 == 0), _by_engines(row, xs) if i % 3 == 0 else {})
            for i, (row, xs) in enumerate(zip(smooth, operands, strict=True))
        ]

    for row, (expected, traced) in zip(smooth, _compiled(everything, [row.operands() for row in smooth]), strict=True):
        operands = row.operands()
        expect_close(f"{row.id}: value on numpy", row.function(*operands), expected["value"], 1e-14)
        expect_close(f"{row.id}: jacobian on numpy", revdiff.jacobian(row.function, row.variables)(*operands), expected["jacobian"], 1e-12)
        expect_close(f"{row.id}: gradient on numpy", revdiff.grad(scalar_of(row), row.variables)(*operands), expected["gradient"], 1e-12)
        if expected["hessian"] is not None:
            hessian = revdiff.hessian(scalar_of(row), row.variables)(*operands)
            expect_close(f"{row.id}: hessian on numpy", hessian, expected["hessian"], 1e-10)
        for quantity, found in traced.items():
            for name, value in found.items():
                expect_close(f"{row.id}: {quantity} under jit by {name}", value, expected[quantity], 1e-12)


EAGER = (
    "mul-rows and columns",
    "relu-matrix",
    "pow-repeated operand",
    "getitem-arrays apart",
    "gather-first axis",
    "max-last",
    "logsumexp-last",
    "log_softmax-last",
    "matmul-stack times matrix",
    "linear-two layers",
    "cross_entropy-batch mean",
    "conv-groups",
    "max_pool-plane",
    "window_sum-mean of a plane",
    "normalise-batch, lines",
)


@rows([row for row in SMOOTH if row.id in EAGER])
def test_eager_jax_agrees_with_numpy(row, x64):
    import jax

    operands = row.operands()
    arrays = tuple(jax.numpy.asarray(x) for x in operands)
    for name in ("revdiff", "dualdiff seeding auto"):
        found = JACOBIANS[name](row.function, row.variables)(*arrays)
        assert all(isinstance(block, jax.Array) for block in found)
        expect_close(f"{row.id} {name}", found, JACOBIANS[name](row.function, row.variables)(*operands), 1e-12)


def test_constants_on_jax(x64):
    constant = [row for row in SCENARIOS if row not in DIFFERENTIABLE]
    found = _compiled(lambda xs: [row.function(*x) for row, x in zip(constant, xs, strict=True)], [row.operands() for row in constant])
    for row, value in zip(constant, found, strict=True):
        expect_close(row.id, row.function(*row.operands()), value, 0)


def test_kinks_on_jax(x64):
    scalars = [scalar_of(row, squared=False) for row in KINKS]

    def gradients(operands):
        return [
            {name: GRADIENTS[name](f, row.variables)(*xs) for name in ("revdiff", "dualdiff seeding auto")}
            for f, row, xs in zip(scalars, KINKS, operands, strict=True)
        ]

    for row, scalar, found in zip(KINKS, scalars, _compiled(gradients, [row.operands() for row in KINKS]), strict=True):
        expected = revdiff.grad(scalar, row.variables)(*row.operands())
        for name, value in found.items():
            expect_close(f"{row.id} {name}", value, expected, 1e-14 * precision(row))


@rows([row for row in SCENARIOS if row.reference and row not in SMOOTH])
def test_value_of_kinks_and_constants(row):
    import jax

    expect_close(row.id, row.function(*row.operands()), row.reference(jax, *row.operands()), 1e-6)


# torch: a second oracle, ambiguous points included


@rows([row for row in SCENARIOS if row.torch])
def test_torch_agrees(row):
    torch = pytest.importorskip("torch", reason="torch, an outside oracle, is not installed")
    operands = row.operands()
    tensors = [torch.tensor(np.array(x), requires_grad=i in row.variables) for i, x in enumerate(operands)]
    value = row.function(*operands)
    out = row.torch(torch, *tensors)
    expect_close(f"{row.id}: value", value, out.detach().numpy(), 1e-14)
    if row not in DIFFERENTIABLE:
        return
    weights = torch.tensor(np.asarray(row.rng.uniform(0.5, 1.5, value.shape)))
    gradients = torch.autograd.grad((out * weights).sum(), [tensors[i] for i in row.variables])
    found = revdiff.grad(scalar_of(row, squared=False), row.variables)(*operands)
    expect_close(f"{row.id}: gradient", found, tuple(g.numpy() for g in gradients), 1e-12)
    if not row.smooth or any(np.size(x) == 0 for x in operands):
        return

    def scalar(*values):
        full = list(tensors)
        for i, v in zip(row.variables, values, strict=True):
            full[i] = v
        return (row.torch(torch, *full) ** 2 * weights).sum()

    hessian = torch.autograd.functional.hessian(scalar, tuple(tensors[i].detach() for i in row.variables))
    found = revdiff.hessian(scalar_of(row), row.variables)(*operands)
    expect_close(f"{row.id}: hessian", found, tuple(tuple(h.numpy() for h in line) for line in hessian), 1e-10)
