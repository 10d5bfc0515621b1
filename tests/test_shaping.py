"""What the tables of rows cannot say of shapes and indices: memory, dtypes, tracing, and what depends on values."""

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import ShapeError
from diffcore.kernels.joining import concatenate
from diffcore.ledger import Ledger

A = np.arange(6.0).reshape(2, 3)

VIEWS = {
    "view": lambda x: ops.view(x, 3, 2),
    "squeeze": lambda x: ops.squeeze(ops.unsqueeze(x, 1)),
    "unflatten": lambda x: ops.unflatten(x, 1, (3, 1)),
    "movedim": lambda x: ops.movedim(x, 0, 1),
    "narrow": lambda x: ops.narrow(x, 1, 0, 2),
    "select": lambda x: ops.select(x, 0, 1),
    "split": lambda x: ops.split(x, 2, 1)[1],
    "unbind": lambda x: ops.unbind(x)[0],
    "diagonal": ops.diagonal,
    "unfold": lambda x: ops.unfold(x, 1, 2, 1),
    "meshgrid": lambda x: ops.meshgrid(x[0], x[1])[0],
    "expand_as": lambda x: ops.expand_as(x[:1], x),
    "contiguous": ops.contiguous,
    "cropping": lambda x: ops.pad(x, (-1, -1)),
}
COPIES = {
    "clone": ops.clone,
    "contiguous": lambda x: ops.contiguous(x.T),
    "cat of one": lambda x: ops.cat([x]),
    "flip": lambda x: ops.flip(x, 0),
    "flip of nothing": lambda x: ops.flip(x, ()),
    "rot90": ops.rot90,
    "rot90 not at all": lambda x: ops.rot90(x, 0),
    "repeat": lambda x: ops.repeat(x, 1, 1),
    "repeat of one": lambda x: ops.repeat(x[0, :1], 3),
    "repeat_interleave": lambda x: ops.repeat_interleave(x[:, :1], 2, 1),
    "roll": lambda x: ops.roll(x, 0, 0),
    "setitem": lambda x: ops.setitem(x, 0, 1.0),
    "setitem of nothing": lambda x: ops.setitem(x, slice(0, 0), 1.0),
}


@pytest.mark.parametrize("take", VIEWS.values(), ids=VIEWS)
def test_views_share_memory(take):
    assert np.shares_memory(take(A), A)


@pytest.mark.parametrize("take", COPIES.values(), ids=COPIES)
def test_copies_do_not(take):
    assert not np.shares_memory(take(A), A)


def test_view_is_refused_where_numpy_would_copy(engine):
    x = engine.tensor(A, requires_grad=True)
    with pytest.raises(ShapeError, match=r"Use `\.reshape"):
        ops.view(x.T, 6)
    with pytest.raises(ShapeError, match=r"Use `\.reshape"):
        ops.view(AbstractArray((2, 3), np.float64).T, (6,))
    assert ops.view(x.T, 3, 1, 2).shape == (3, 1, 2)


def test_views_can_be_written_through():
    x = A.copy()
    ops.diagonal(x)[...] = 7
    np.testing.assert_array_equal(x, [[7, 1, 2], [3, 7, 5]])
    ops.unfold(x, 1, 2, 2)[0] = 8
    np.testing.assert_array_equal(x, [[8, 8, 2], [3, 7, 5]])


def test_view_on_jax_is_reshape():
    import jax.numpy as jnp

    assert ops.view(jnp.ones((2, 3)).T, 6).shape == (6,)


def test_contiguous_returns_what_lies_in_order(engine):
    x = engine.tensor(A)
    assert ops.contiguous(x) is x
    turned = ops.contiguous(x.T)
    assert turned.array.flags.c_contiguous
    shadow = AbstractArray((2, 3), np.float64)
    assert ops.contiguous(shadow) is shadow
    assert ops.contiguous(shadow.T).storage is not shadow.storage


INTEGERS = {
    "cat": lambda x: ops.cat((x, x)),
    "stack": lambda x: ops.stack((x, x)),
    "pad": lambda x: ops.pad(x, (1, 1)),
    "reflected": lambda x: ops.pad(x, (1, 1), "reflect"),
    "flip": lambda x: ops.flip(x, 0),
    "roll": lambda x: ops.roll(x, 1),
    "diag": lambda x: ops.diag(x[0]),
    "tril": ops.tril,
    "triu": ops.triu,
    "unfold": lambda x: ops.unfold(x, 1, 2, 1),
    "repeat": lambda x: ops.repeat(x, 2, 2),
    "setitem": lambda x: ops.setitem(x, 0, x[1]),
    "setitem by a mask": lambda x: ops.setitem(x, x > 2, 0),
    "masked_fill": lambda x: ops.masked_fill(x, x > 2, 1),
    "index_add": lambda x: ops.index_add(x, 0, [0, 0], x),
    "scatter": lambda x: ops.scatter(x, 0, [[0, 0, 0]], x),
    "gather": lambda x: ops.gather(x, 0, [[0, 0, 0]]),
    "embedding": lambda x: ops.embedding([1, 0], x),
}


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_, np.float16])
@pytest.mark.parametrize("name", INTEGERS)
def test_other_dtypes_stay_what_they_are(name, dtype, x64):
    import jax.numpy as jnp

    x = A.astype(dtype)
    out = INTEGERS[name](x)
    assert out.dtype == dtype
    if dtype != np.bool_ or name != "index_add":
        np.testing.assert_array_equal(np.asarray(INTEGERS[name](jnp.asarray(x))), out)


# writing


def test_the_last_of_several_writes_wins_and_gets_the_gradient(engine):
    index = np.array([2, 0, 2, -1])  # of three rows, so that -1 is 2 again
    x, v = np.zeros((3, 2)), np.arange(8.0).reshape(4, 2)
    out = ops.setitem(x, index, v)
    np.testing.assert_array_equal(out, [[2, 3], [0, 0], [6, 7]])
    gradients = engine.grad(lambda x, v: ops.sum(ops.setitem(x, index, v)), (0, 1))(x, v)
    np.testing.assert_array_equal(gradients[0], [[0, 0], [1, 1], [0, 0]])
    np.testing.assert_array_equal(gradients[1], [[0, 0], [1, 1], [0, 0], [1, 1]])


def test_traced_indices_write_in_the_same_order(engine, x64):
    import jax

    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((3, 4, 2)), rng.standard_normal((5, 2))
    i, j = rng.integers(-3, 3, 5), rng.integers(-4, 4, 5)

    def value(x, v, i, j):
        return ops.setitem(x, (i, j), v)

    def gradient(x, v, i, j):
        return engine.grad(lambda x, v: ops.sum(ops.mul(value(x, v, i, j), value(x, v, i, j))), (0, 1))(x, v)

    for f in (value, gradient):
        for a, b in zip(jax.tree.leaves(jax.jit(f)(x, v, i, j)), jax.tree.leaves(f(x, v, i, j)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


def test_writing_by_a_traced_mask(x64):
    import jax

    mask = A > 2
    found = jax.jit(lambda x, m: ops.setitem(x, m, -1.0))(A, mask)
    expected = A.copy()
    expected[mask] = -1
    np.testing.assert_array_equal(found, expected)


def test_writing_casts_to_the_dtype_of_the_tensor():
    x = np.zeros(3, np.float32)
    assert ops.setitem(x, 0, np.float64(1.5)).dtype == np.float32
    np.testing.assert_array_equal(ops.setitem(np.zeros(3, int), slice(None), 2.5), [2, 2, 2])


def test_writing_leaves_the_operands_alone():
    x, v = A.copy(), np.ones(3)
    ops.setitem(x, 0, v)
    ops.index_add(x, 0, [0, 0], A)
    ops.scatter_add(x, 0, [[1, 1, 1]], A)
    np.testing.assert_array_equal(x, A)
    np.testing.assert_array_equal(v, 1)


def test_indices_that_are_known_to_be_out_of_bounds_are_refused_on_jax():
    import jax.numpy as jnp

    x = jnp.ones((2, 3))
    for index in (2, (0, -4), np.array([0, 2]), (slice(None), [0, 3])):
        with pytest.raises(IndexError, match="out of bounds"):
            ops.getitem(x, index)


# what depends on values


@pytest.mark.parametrize("x", [A, A[:, :0], np.array(2.0), np.array(0.0), A > 2], ids=str)
def test_nonzero_is_pytorchs(x, engine):
    torch = pytest.importorskip("torch")
    t = torch.tensor(x)
    found = ops.nonzero(engine.tensor(x))
    assert isinstance(found, engine.Tensor)
    np.testing.assert_array_equal(found.numpy(), torch.nonzero(t).numpy())
    np.testing.assert_array_equal(ops.argwhere(x), torch.argwhere(t).numpy())
    for mine, theirs in zip(ops.where(x), torch.where(t), strict=True):
        assert mine.dtype == np.int64
        np.testing.assert_array_equal(mine, theirs.numpy())


def test_triangles_by_their_indices():
    torch = pytest.importorskip("torch")
    for name in ("tril_indices", "triu_indices"):
        for sizes in ((3, 4, 0), (4, 2, -1), (2, 3, 1), (0, 2, 0)):
            np.testing.assert_array_equal(getattr(ops, name)(*sizes), getattr(torch, name)(*sizes).numpy())


@pytest.mark.parametrize("name", ["atleast_1d", "atleast_2d", "atleast_3d"])
def test_at_least_so_many_axes(name):
    torch = pytest.importorskip("torch")
    values = (np.array(1.0), np.arange(3.0), A, A[None])
    for mine, theirs in zip(getattr(ops, name)(*values), getattr(torch, name)(*map(torch.tensor, values)), strict=True):
        np.testing.assert_array_equal(mine, theirs.numpy())
    assert getattr(ops, name)(A) is A or name == "atleast_3d"


def test_one_hot_counts_the_classes():
    np.testing.assert_array_equal(ops.one_hot(np.array([0, 2])), [[1, 0, 0], [0, 0, 1]])
    assert ops.one_hot(np.array([0, 2])).dtype == np.int64


def test_one_hot_on_jax_warns_of_nothing():
    import jax.numpy as jnp

    assert ops.one_hot(jnp.array([0, 2]), 3).shape == (2, 3)


# embeddings


def test_embeddings_are_seeded_on_their_result():
    """Forward mode carries one direction per feature of the words of an example, not one per element of the table."""
    words = np.array([[0, 7], [3, 3], [9, 0]])
    table = np.random.default_rng(0).standard_normal((10, 2))

    def loss(w):
        return ops.mean(ops.sum(ops.tanh(ops.embedding(words, w)), (1, 2)))

    flops = {}
    for seeding in ("activations", "parameters"):
        with Ledger() as ledger:
            dualdiff.grad(loss, seeding=seeding)(AbstractArray((10, 2), np.float64))
        flops[seeding] = ledger.flops["tangent"]
        np.testing.assert_allclose(dualdiff.grad(loss, seeding=seeding)(table), revdiff.grad(loss)(table), rtol=1e-13)
    assert flops["activations"] < flops["parameters"] / 3


def test_the_padding_row_gets_no_gradient(engine):
    w = engine.tensor(np.ones((3, 2)), requires_grad=True)
    ops.sum(ops.embedding(np.array([0, 2, 2]), w, padding_idx=2)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), [[1, 1], [0, 0], [0, 0]])


# any number of operands


def test_joining_many(engine):
    xs = [engine.tensor(np.full(2, float(i)), requires_grad=i % 3 == 0) for i in range(100)]
    out = ops.stack(xs)
    (out * out).sum().backward()
    for i, x in enumerate(xs):
        assert (x.grad is None) == (i % 3 != 0)
        if x.grad is not None:
            np.testing.assert_array_equal(x.grad.numpy(), 2.0 * i)


def test_joining_keeps_nothing():
    x, y = revdiff.tensor(A, requires_grad=True), revdiff.tensor(A)
    node = ops.cat((x, y, x)).node
    assert node.primals == [None] * 3
    assert node.out is None
    assert node.needs == (True, False, True)


def test_names_of_operands():
    assert concatenate.names(3) == ("tensors[0]", "tensors[1]", "tensors[2]")


def test_a_gradient_pass_cuts_only_what_is_needed():
    """No cotangent of an operand that is a constant is made: the ledger would see its buffer."""
    x, y = (revdiff.tensor(AbstractArray((4, n), np.float64), requires_grad=n == 1) for n in (1, 1000))
    with Ledger() as ledger:
        loss = ops.sum(ops.tanh(ops.cat((x, y), 1)))
        loss.backward()
    assert x.grad.shape == (4, 1)
    assert ledger.by_kernel["adjoint", "concatenate"] == 0
