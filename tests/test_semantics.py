"""The semantics of tensors and differentiation that users rely on: one test a line of the list, named after the line, in both engines."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore.errors import GradientError, ShapeError
from diffcore.testing import expect_close

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])
V = np.array([1.5, -0.5, 0.75])


# Tensors


def test_create_from_nested_data_arrays_generators_and_sizes(engine: ModuleType) -> None:
    nested = [[1.0, 2.0], [3.0, 4.0]]
    x = engine.tensor(nested)
    nested[0][0] = 9.0
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    array = X.copy()
    copied, shared = engine.tensor(array), engine.from_numpy(array)
    array[0, 0] = 7.0
    assert float(copied[0, 0]) == 0.5
    assert float(shared[0, 0]) == 7.0
    drawn = engine.normal(engine.tensor([[0.0], [100.0]]), engine.tensor([1.0, 0.0, 1e-3]))
    assert drawn.shape == (2, 3)
    assert float(drawn[1, 1]) == 100.0
    assert engine.normal(2.0, 3.0, (4,)).shape == (4,)
    for maker in (engine.randn, engine.rand, engine.zeros, engine.ones, engine.empty):
        assert maker(2, 3).shape == maker((2, 3)).shape == (2, 3)
    for like in (engine.randn_like, engine.rand_like, engine.zeros_like, engine.ones_like, engine.empty_like):
        assert like(copied).shape == (2, 3)
        assert like(copied).dtype == np.float64
    assert engine.full((2,), 7.0).tolist() == engine.full_like(engine.zeros(2), 7.0).tolist() == [7.0, 7.0]
    assert engine.arange(3).tolist() == [0, 1, 2]
    assert engine.linspace(0, 1, 3).tolist() == [0.0, 0.5, 1.0]
    assert engine.eye(2).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    out = engine.empty(3)
    assert engine.zeros(3, out=out) is out
    assert out.tolist() == [0.0, 0.0, 0.0]
    made = engine.ones(2, dtype=np.float64, device="cpu", requires_grad=True)
    assert (made.dtype, str(made.device), made.requires_grad) == (np.float64, "cpu", True)


def test_seeded_generators_same_seed_same_numbers_in_both_engines() -> None:
    import dualdiff

    def numbers(engine: ModuleType) -> list[Any]:
        engine.manual_seed(3)
        return [t.tolist() for t in (engine.rand(3), engine.randn(2, 2), engine.normal(0.0, 2.0, (3,)), engine.zeros(4).normal_())]

    assert numbers(revdiff) == numbers(dualdiff)
    assert numbers(revdiff) == numbers(revdiff)


def test_attributes(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    y = x * 2.0
    assert (x.shape, x.dtype, x.ndim, x.numel(), len(x), str(x.device)) == ((2, 3), np.float64, 2, 6, 2, "cpu")
    assert (x.is_leaf, x.requires_grad, x.grad, x.grad_fn) == (True, True, None, None)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    assert (y.grad_fn is not None) == (engine is revdiff)
    assert x.T.shape == (3, 2)
    assert x[0, 0].item() == 0.5
    assert np.shares_memory(x.data.numpy(), x.detach().numpy())


def test_sharing_memory_indexing_view_out_and_methods_in_place(engine: ModuleType) -> None:
    x, y = engine.tensor(X), engine.tensor(X)
    memory = y.numpy()
    for shared in (x[0], x[:, 1], x.view(3, -1), x.view(-1)):
        assert np.shares_memory(shared.numpy(), x.numpy())
    assert engine.add(x, y, out=y) is y
    np.testing.assert_array_equal(memory, 2 * X)
    y += x
    y.add_(x)
    np.testing.assert_array_equal(memory, 4 * X)
    z = engine.zeros_like(x)
    before = z.numpy()
    z[:] = x + y
    np.testing.assert_array_equal(before, 5 * X)


def test_not_sharing_clone_and_sums(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    copy = x.clone()
    assert not np.shares_memory(copy.detach().numpy(), x.detach().numpy())
    (copy * copy).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)
    y = engine.tensor(X)
    memory = y.numpy()
    y = x.detach() + y
    assert not np.shares_memory(y.numpy(), memory)
    np.testing.assert_array_equal(memory, X)


def test_an_integer_index_drops_its_axis(engine: ModuleType) -> None:
    x = engine.tensor(X)
    assert x[0].shape == x[-1].shape == (3,)
    assert x[:, 0].shape == (2,)
    assert x[0, 1].shape == ()
    assert x[0:1].shape == (1, 3)


def test_broadcasting_right_to_left_and_a_mismatch_names_both_shapes(engine: ModuleType) -> None:
    x = engine.tensor(X)
    assert (x + engine.tensor(V)).shape == (2, 3)
    assert (x.reshape(2, 1, 3) * engine.ones(4, 1)).shape == (2, 4, 3)
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2,\)"):
        x + engine.ones(2)


def test_a_leaf_that_requires_grad_refuses_changes_in_place(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    for change in (lambda: x.add_(1.0), lambda: x.zero_(), lambda: x.__setitem__(0, 0.0), lambda: x.view(-1).mul_(2.0)):
        with pytest.raises(GradientError, match="leaf Variable that requires grad"):
            change()
    np.testing.assert_array_equal(x.detach().numpy(), X)


def test_data_changes_values_unrecorded(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    x.data[0] = 1.0
    x.data *= 2.0
    assert x.is_leaf
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[4.0, 4.0, 4.0], [12.0, 1.0, -2.0]])


OPERATIONS = """
    add sub mul div pow eq ne lt le gt ge dot mv mm bmm matmul transpose norm sum mean var std max min argmax cumsum prod cat stack split
    chunk reshape permute squeeze unsqueeze expand repeat gather where clamp exp log sqrt abs pow sign sin cos einsum
""".split()


def test_the_operations_are_there(engine: ModuleType) -> None:
    missing = [name for name in OPERATIONS if not (hasattr(engine, name) or hasattr(engine.Tensor, name))]
    assert missing == []


def test_elementwise_arithmetic_and_comparison_hadamard_product(engine: ModuleType) -> None:
    x, y = engine.tensor(X), engine.tensor(np.abs(X) + 0.5)
    for found, expected in (
        (x + y, X + np.abs(X) + 0.5),
        (x * y, X * (np.abs(X) + 0.5)),
        (x / y, X / (np.abs(X) + 0.5)),
        (y**x, (np.abs(X) + 0.5) ** X),
        (x == y, np.abs(X) + 0.5 == X),
        (x < y, np.abs(X) + 0.5 > X),
        (x >= 0, X >= 0),
    ):
        np.testing.assert_array_equal(found.numpy(), expected)


def test_products_norms_and_reductions_with_dim_axis_keepdim(engine: ModuleType) -> None:
    x, v = engine.tensor(X), engine.tensor(V)
    np.testing.assert_allclose(engine.dot(v, v).item(), V @ V)
    np.testing.assert_allclose(engine.mv(x, v).numpy(), X @ V)
    np.testing.assert_allclose(engine.mm(x, x.T).numpy(), X @ X.T)
    np.testing.assert_allclose(engine.bmm(x.reshape(1, 2, 3), x.T.reshape(1, 3, 2)).numpy()[0], X @ X.T)
    np.testing.assert_allclose(engine.norm(v).item(), np.linalg.norm(V))
    np.testing.assert_allclose(engine.norm(v, 1).item(), np.abs(V).sum())
    np.testing.assert_allclose(engine.einsum("ij,j->i", x, v).numpy(), X @ V)
    for name in ("sum", "mean", "prod", "cumsum"):
        for keys in ({"dim": 1}, {"axis": 1}):
            np.testing.assert_allclose(getattr(x, name)(**keys).numpy(), getattr(np, name)(X, axis=1), rtol=1e-14)
    for keys in ({"keepdim": True}, {"keepdims": True}):
        assert x.sum(0, **keys).shape == x.mean(dim=0, **keys).shape == (1, 3)
    np.testing.assert_allclose(x.var(1).numpy(), X.var(1, ddof=1))
    np.testing.assert_allclose(x.std(dim=0).numpy(), X.std(0, ddof=1))
    assert x.max(dim=1).indices.tolist() == x.argmax(1).tolist() == X.argmax(1).tolist()
    assert x.min().item() == X.min()


def test_joining_splitting_reshaping_and_picking(engine: ModuleType) -> None:
    x = engine.tensor(X)
    assert engine.cat((x, x)).shape == (4, 3)
    assert engine.cat((x, x), dim=1).shape == (2, 6)
    assert engine.stack([x, x], 1).shape == (2, 2, 3)
    assert [p.shape for p in x.split(2, 1)] == [p.shape for p in x.chunk(2, 1)] == [(2, 2), (2, 1)]
    assert x.unsqueeze(0).squeeze(0).permute(1, 0).reshape(6).shape == (6,)
    assert x[:1].expand(4, 3).shape == (4, 3)
    assert x.repeat(2, 1).shape == (4, 3)
    np.testing.assert_array_equal(x.gather(1, engine.tensor([[0], [2]])).numpy(), [[0.5], [-0.5]])
    np.testing.assert_array_equal(engine.where(x > 0, x, 0.0).numpy(), np.where(X > 0, X, 0))
    np.testing.assert_array_equal(x.clamp(-0.5, 1.0).numpy(), X.clip(-0.5, 1))
    np.testing.assert_allclose((x.sin() ** 2 + x.cos() ** 2).numpy(), np.ones((2, 3)), rtol=1e-14)


def test_layout_of_images_is_batch_channel_height_width_and_of_series_batch_channel_time(engine: ModuleType) -> None:
    F = engine.nn.functional
    image, series = engine.zeros(2, 3, 8, 6), engine.zeros(2, 3, 8)
    assert F.conv2d(image, engine.zeros(5, 3, 3, 1)).shape == (2, 5, 6, 6)
    assert F.max_pool2d(image, (4, 3)).shape == (2, 3, 2, 2)
    assert F.conv1d(series, engine.zeros(5, 3, 3)).shape == (2, 5, 6)


# Differentiation


def test_scalar_backward_a_nonscalar_needs_a_cotangent_and_gradients_accumulate_until_zeroed(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)
    with pytest.raises(GradientError, match="can be implicitly created only for scalar outputs"):
        (x * x).backward()
    with pytest.raises(GradientError, match="Mismatch in shape"):
        (x * x).backward(engine.ones(3))
    (x * x).backward(engine.tensor(X))
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X + 2 * X * X)
    x.grad.zero_()
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)


def test_autograd_backward_and_grad(engine: ModuleType) -> None:
    x, y = engine.tensor(X, requires_grad=True), engine.tensor(V, requires_grad=True)
    engine.autograd.backward([(x * y).sum(), x * x], [None, engine.tensor(X)])
    np.testing.assert_allclose(x.grad.numpy(), V + 2 * X * X)
    np.testing.assert_allclose(y.grad.numpy(), X.sum(0))
    z = x * y
    found = engine.autograd.grad(z, (x, y), grad_outputs=engine.tensor(X))
    expect_close("grad", [g.numpy() for g in found], [X * V, (X * X).sum(0)], 1e-15)
    np.testing.assert_allclose(y.grad.numpy(), X.sum(0))
    assert engine.autograd.grad((x * 1.0).sum(), (x, y), allow_unused=True)[1] is None
    with pytest.raises(GradientError, match="appears to not have been used"):
        engine.autograd.grad((x * 1.0).sum(), (x, y))


def test_the_graph_is_freed_after_a_backward_pass_unless_kept_and_a_second_pass_says_so() -> None:
    x = revdiff.tensor(X, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 4 * X)
    with pytest.raises(GradientError, match="backward through the graph a second time"):
        y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 4 * X)


def test_higher_orders_by_create_graph_and_in_forward_mode_by_transforms(engine: ModuleType) -> None:
    x = engine.tensor(V, requires_grad=True)
    if engine is revdiff:
        (first,) = engine.autograd.grad((x**3).sum(), x, create_graph=True)
        (second,) = engine.autograd.grad(first.sum(), x, create_graph=True)
        (third,) = engine.autograd.grad(second.sum(), x)
        expect_close("orders", [t.detach().numpy() for t in (first, second, third)], [3 * V**2, 6 * V, np.full(3, 6.0)], 1e-14)
    else:
        with pytest.raises(GradientError, match=r"create_graph=True has no meaning in forward mode.*dualdiff\.hvp"):
            engine.autograd.grad((x**3).sum(), x, create_graph=True)
    expect_close("hessian", engine.hessian(lambda x: (x**3).sum())(V), np.diag(6 * V), 1e-14)


def test_scalar_by_vector_vector_by_scalar_and_vector_by_vector(engine: ModuleType) -> None:
    assert engine.jacobian(lambda v: (v * v).sum())(V).shape == (3,)
    column = engine.jacobian(lambda s: s * V)(np.array([2.0]))
    expect_close("a column", column, V.reshape(3, 1), 0)
    expect_close("vector by vector", engine.jacobian(lambda v: engine.matmul(engine.tensor(X), v))(V), X, 1e-15)


def test_no_grad_enable_grad_and_detach(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    with engine.no_grad():
        assert not (x * 2).requires_grad
        with engine.enable_grad():
            assert (x * 2).requires_grad
    assert not (x * 2).detach().requires_grad
    ((x * 2).detach() * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)


def test_variables_are_edges_and_operators_nodes_of_a_graph_that_can_be_shown(engine: ModuleType) -> None:
    shown = engine.graph(lambda x: (x * x).sum(), X)
    assert [op.name for op in shown] == ["mul", "sum"]
    assert "%1: float64[] = sum(%0" in str(shown)
    assert "op0 -> op1" in shown.dot()
