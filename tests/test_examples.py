"""Programs that treat each example on its own, however they lay them out, and programs that do not: which is which, and the derivatives."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore import ops
from diffcore.errors import GradientError, ShapeError
from diffcore.examples import NOBODY, check_owners, own_rows, owners_after
from diffcore.kernels import registered

RNG = np.random.default_rng(9)
B, T, D = 4, 3, 6
X, V, IMAGES = RNG.normal(size=(B, T, D)), RNG.normal(size=(B, D)), RNG.normal(size=(B, 4, 4, 4))
W, FILTERS = RNG.normal(size=(5, D)), RNG.normal(size=(2, 1, 3, 3))
KERNELS = RNG.normal(size=(B, 2, 4, 2, 2))
ROWS, TAKEN, MASK = np.arange(B), np.array([2, 0, 2]), np.array([1, 0, 1, 1, 0, 0], bool)


def heads(x: Any) -> Any:
    """`[B, T, D]` as `[B * 2, T, D / 2]`."""
    return x.reshape(B, T, 2, D // 2).permute(0, 2, 1, 3).reshape(B * 2, T, D // 2)


def attended(x: Any) -> Any:
    q = heads(x)
    return ops.scaled_dot_product_attention(q, q, q).reshape(B, 2, T, D // 2).permute(0, 2, 1, 3).reshape(B, T, D)


def in_groups(x: Any, weight: Any = KERNELS, groups: int = B, convolve: Callable[..., Any] = ops.conv2d) -> Any:
    """`[B, C, 4, 4]` with `B * C` channels of one image, in groups."""
    channels, inner = math.prod(weight.shape[:-3]), weight.shape[-3]
    out = convolve(x.reshape(1, -1, 4, 4), weight.reshape(channels, inner, 2, 2), stride=2, groups=groups)
    return out.reshape(B, -1, *out.shape[2:])


def written(x: Any) -> Any:
    y = x * 1
    for i in range(B):
        y[i] = ops.softmax(x[i], -1)
    return y


APART: dict[str, tuple[Callable[..., Any], Any]] = {
    "tokens through a layer": (lambda x: ops.linear(x.reshape(B * T, D), W).tanh().reshape(B, T, 5), X),
    "tokens through a product": (lambda x: (x.reshape(-1, D) @ W.T).reshape(B, T, 5), X),
    "tokens normalised": (lambda x: ops.layer_norm(x.reshape(B * T, D), (D,)).reshape(B, T, D), X),
    "tokens as distributions": (lambda x: ops.softmax(x.reshape(-1, D), -1).reshape(B, -1), X),
    "losses of tokens": (lambda x: ops.cross_entropy(x.reshape(B * T, D), np.arange(B * T) % D, reduction="none").reshape(B, T), X),
    "time first": (lambda x: (x.movedim(1, 0).reshape(T * B, D) @ W.T).exp().reshape(T, B, 5).movedim(0, 1), X),
    "all in one axis": (lambda x: x.reshape(-1).sin().reshape(B, T, D), X),
    "heads in the batch": (attended, X),
    "scores of heads in the batch": (lambda x: (heads(x) @ heads(x).mT).reshape(B, 2, T, T), X),
    "a batch of batches": (lambda x: (x.reshape(2, 2, T, D) ** 2).sum(3).reshape(B, T), X),
    "examples as channels": (lambda x: ops.avg_pool2d(x.reshape(1, B * 4, 4, 4), 2).reshape(B, 4, 2, 2), IMAGES),
    "channels as examples": (lambda x: ops.conv2d(x.reshape(B * 4, 1, 4, 4), FILTERS, padding=1).reshape(B, 4, 2, 4, 4), IMAGES),
    "examples as groups": (in_groups, IMAGES),
    "examples as some groups each": (lambda x: in_groups(x, KERNELS[:, :, :2], 2 * B).relu(), IMAGES),
    "channels by themselves": (lambda x: in_groups(x, KERNELS.reshape(B * 8, 1, 2, 2), 4 * B) ** 2, IMAGES),
    "filters of their own": (lambda w: in_groups(IMAGES, w), KERNELS),
    "filters made of the examples": (lambda x: in_groups(x, x.mean((2, 3)).reshape(B, 1, 4, 1, 1) * KERNELS), IMAGES),
    "biases of their own": (lambda b: ops.conv2d(IMAGES[:1], KERNELS.reshape(8, 4, 2, 2), b.reshape(-1))[0, ::2], V[:, :2]),
    "groups, transposed": (lambda x: in_groups(x, KERNELS.mT.reshape(4 * B, 2, 2, 2), B, ops.conv_transpose2d), IMAGES),
    "filters of their own, transposed": (lambda w: in_groups(IMAGES, w.reshape(4 * B, 2, 2, 2), B, ops.conv_transpose2d), KERNELS),
    "groups with others": (lambda x: in_groups(ops.cat([x, IMAGES], 1), np.tile(KERNELS, (1, 1, 2, 1, 1))), IMAGES),
    "gradients by filters": (lambda x: revdiff.vjp(lambda w: in_groups(x, w), KERNELS)[1](in_groups(x))[0], IMAGES),
    "gradients by images": (lambda w: revdiff.vjp(lambda x: in_groups(x, w), IMAGES)[1](in_groups(IMAGES, w))[0], KERNELS),
    "repeated features": (lambda x: x.repeat(1, 2), V),
    "repeated rows": (lambda x: x.repeat_interleave(3, 0).sin().reshape(B, 3, D).sum(1), V),
    "tiled rows": (lambda x: x.repeat(3, 1).sin().reshape(3, B, D).sum(0), V),
    "the whole slice": (lambda x: x[0:B, 1:] ** 2, X),
    "a slice beyond the end": (lambda x: x[:100] ** 2, X),
    "a new axis in front": (lambda x: x[None].sin()[0], X),
    "features by an array": (lambda x: x[:, TAKEN, 1:], X),
    "features by a mask": (lambda x: x[:, :, MASK].exp(), X),
    "one of each row": (lambda x: x[ROWS, np.array([0, 2, 1, 1])], X),
    "some of each row": (lambda x: (x**2)[ROWS[:, None], np.array([[0, 2], [1, 1], [0, 0], [2, 1]])], X),
    "two halves, joined": (lambda x: ops.cat([x[:2].sin(), x[2:].sin()]), X),
    "two of all, joined": (lambda x: ops.cat([x, x * x], 0).reshape(2, B, T, D).sum(0), X),
    "joined with constants": (lambda x: ops.cat([x[:1], V[:1], x[1:]])[np.array([0, 2, 3, 4])], V),
    "one by one": (lambda x: ops.stack([ops.softmax(x[i] @ x[i].mT, -1) for i in range(B)]), X),
    "unbound": (lambda x: ops.stack([(row * row).sum() for row in x]), X),
    "split": (lambda x: ops.cat([part * part for part in ops.split(x, 2)]), X),
    "written": (written, V),
    "there and back": (lambda x: x.flip(0).sin().flip(0) + x.roll(1, 0).cos().roll(-1, 0), X),
    "labelled": (lambda x: ops.einsum("btd,bsd->tsb", x, x).movedim(2, 0), X),
    "labelled, time first": (lambda x: ops.einsum("tbd,ed->bte", x.movedim(1, 0), W), X),
    "columns of a product": (lambda x: (W @ x.T.tanh()).T.sin(), V),
    "reduced behind": (lambda x: x.movedim(0, 2).sum(1).T + x.movedim(0, 2).amax(1).T, X),
    "averaged in front": (lambda x: x.movedim(0, 1).mean(0) + x.movedim(0, 1).var(0), X),
    "softmax in front": (lambda x: ops.softmax(x.movedim(0, 1), 0).movedim(0, 1), X),
    "running sums in front": (lambda x: x.movedim(0, 1).cumsum(0).movedim(1, 0), X),
    "sorted in front": (lambda x: ops.sort(x.movedim(0, 1), 0)[0].movedim(0, 1), X),
    "padded behind": (lambda x: ops.pad(x.movedim(0, 1), (1, 1)).movedim(0, 1), X),
    "factors of rows": (lambda x: (x.movedim(0, 2) * x.sum((1, 2))).movedim(2, 0), X),
    "layer norm behind": (lambda x: ops.layer_norm(x.movedim(0, 1), (D,)).movedim(0, 1), X),
    "a batch of one": (lambda x: x - x.mean(0), V[:1]),
}

MIXED: dict[str, tuple[Callable[..., Any], Any]] = {
    "other rows": (lambda x: x.reshape(T, B, D).sum(0), X),
    "attention over all tokens": (lambda x: ops.softmax(x.reshape(B * T, D) @ x.reshape(B * T, D).mT, -1).reshape(B, T, B * T), X),
    "normalised over all tokens": (lambda x: ops.softmax(x.reshape(B * T, D), 0).reshape(B, T, D), X),
    "normalised over all": (lambda x: ops.softmax(x.reshape(-1), 0).reshape(B, T, D), X),
    "running over tokens": (lambda x: x.reshape(B * T, D).cumsum(0).reshape(B, T, D), X),
    "tokens the other way": (lambda x: x.reshape(B * T, D).flip(0).reshape(B, T, D), X),
    "tokens moved": (lambda x: x.reshape(B * T, D).roll(1, 0).reshape(B, T, D), X),
    "pairs of rows": (lambda x: ops.stack([x[i] * x[(i + 1) % B] for i in range(B)]), X),
    "the first row": (lambda x: x - x[0], X),
    "the first row, broadcast": (lambda x: x[:1] * x, X),
    "tiled, taken for repeated": (lambda x: x.repeat(2, 1).reshape(B, 2, D).sum(1), V),
    "repeated, cut": (lambda x: x.repeat_interleave(2, 0)[:B], V),
    "groups of a batch": (lambda x: (x.reshape(2, 2, D) - x.reshape(2, 2, D).mean(0)).reshape(B, D), V),
    "groups of channels of two": (lambda x: ops.group_norm(x.reshape(1, B * 4, 4, 4), 2).reshape(B, 4, 4, 4), IMAGES),
    "groups of two examples": (lambda x: in_groups(x, KERNELS.reshape(4, 2, 4, 2, 2).repeat(2, 2)[:2], 2), IMAGES),
    "one group": (lambda x: in_groups(x, np.tile(KERNELS.reshape(8, 4, 2, 2), (1, 4, 1, 1)), 1), IMAGES),
    "groups across examples": (lambda x: in_groups(x.movedim(0, 1)), IMAGES),
    "groups of two examples, transposed": (lambda x: in_groups(x, KERNELS.reshape(16, 2, 2, 2), 2, ops.conv_transpose2d), IMAGES),
    "pooled over the batch": (lambda x: ops.avg_pool1d(x.permute(1, 2, 0), 3, 1, 1).permute(2, 0, 1), X),
    "time taken for the batch": (lambda x: ops.softmax(x.movedim(0, 1), 1).movedim(0, 1), X),
    "by labels": (lambda x: ops.einsum("bi,cj->bc", x, x), V),
    "summed by labels": (lambda x: ops.einsum("bi,bj->ij", x, x)[:B], V),
    "rows by an array": (lambda x: x[(ROWS + 1) % B, np.array([0, 2, 1, 1])], X),
    "two orders": (lambda x: x[:, :B].T * x[:, :B], V),
    "gathered": (lambda x: x.gather(0, np.zeros((B, D), int)), V),
    "added up": (lambda x: x.scatter_add(0, np.zeros((B, D), int), x), V),
}


def layer(kind: str, *sizes: Any, call: Callable[..., Any] = lambda net, x: net(x), **options: Any) -> Callable[..., Any]:
    """A layer in evaluation mode, made of an engine, as a function of its input."""

    def made(engine: ModuleType) -> Callable[..., Any]:
        net = getattr(engine.nn, kind)(*sizes, **options, dtype=np.float64)
        return lambda x: call(net.requires_grad_(False).eval(), x)

    return made


turned = lambda net, x: net(x.movedim(0, 1)).movedim(0, 1)
LAYERS = {
    "LayerNorm": (layer("LayerNorm", D), X),
    "GroupNorm": (layer("GroupNorm", 2, 4), IMAGES),
    "BatchNorm2d": (layer("BatchNorm2d", 4), IMAGES),
    "LSTM": (layer("LSTM", D, 5, batch_first=True, call=lambda net, x: net(x)[0]), X),
    "LSTM, time first": (layer("LSTM", D, 5, num_layers=2, call=lambda net, x: net(x.movedim(0, 1))[1][0].movedim(1, 0)), X),
    "GRU, time first": (layer("GRU", D, 5, bidirectional=True, call=lambda net, x: net(x.movedim(0, 1))[0].movedim(0, 1)), X),
    "attention": (layer("MultiheadAttention", D, 2, batch_first=True, call=lambda net, x: net(x, x, x)[0]), X),
    "encoder": (layer("TransformerEncoderLayer", D, 2, 8, batch_first=True), X),
    "encoder, time first": (layer("TransformerEncoderLayer", D, 2, 8, call=turned), X),
}


def rows_of(whole: Any, x: Any) -> Any:
    """The blocks `[B, *out, *in]` of a whole Jacobian `[B, *out, B, *in]`; the others are zero."""
    moved = np.moveaxis(whole, whole.ndim - x.ndim, 1)
    assert not moved[~np.eye(len(x), dtype=bool)].any()
    return moved[np.arange(len(x)), np.arange(len(x))]


@pytest.mark.parametrize("name", APART)
def test_programs_that_keep_examples_apart_have_their_jacobians(engine: ModuleType, name: str) -> None:
    f, x = APART[name]
    np.testing.assert_allclose(engine.jacobian(f, per_example=True)(x), rows_of(revdiff.jacobian(f)(x), x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_examples_apart(engine: ModuleType, name: str) -> None:
    make, x = LAYERS[name]
    f = make(engine)
    np.testing.assert_allclose(engine.jacobian(f, per_example=True)(x), rows_of(engine.jacobian(f)(x), x), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", MIXED)
def test_programs_that_mix_examples_are_refused(engine: ModuleType, name: str) -> None:
    f, x = MIXED[name]
    whole = np.moveaxis(revdiff.jacobian(f)(x), -x.ndim, 1)
    assert whole[~np.eye(B, dtype=bool)].any()
    with pytest.raises(GradientError, match="per_example=True"):
        engine.jacobian(f, per_example=True)(x)


def test_tokens_laid_flat_are_vmap_of_jacrev_in_torch(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def theirs(x: Any) -> Any:
        q = x.reshape(1, T, 2, D // 2).permute(0, 2, 1, 3).reshape(2, T, D // 2)
        y = functional.scaled_dot_product_attention(q, q, q).reshape(1, 2, T, D // 2).permute(0, 2, 1, 3).reshape(1, T, D)
        return functional.layer_norm(y.reshape(T, D), (D,)) @ torch.tensor(W).T

    expected = torch.func.vmap(torch.func.jacrev(theirs))(torch.tensor(X)).numpy()
    ours = lambda x: (ops.layer_norm(attended(x).reshape(B * T, D), (D,)) @ W.T).reshape(B, T, 5)
    np.testing.assert_allclose(engine.jacobian(ours, per_example=True)(X), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("by", [0, 1])
def test_filters_per_example_are_vmap_of_jacrev_in_torch(engine: ModuleType, by: int) -> None:
    torch = pytest.importorskip("torch")
    theirs = lambda x, w: torch.nn.functional.conv2d(x[None], w, stride=2)[0]
    expected = torch.func.vmap(torch.func.jacrev(theirs, by))(torch.tensor(IMAGES), torch.tensor(KERNELS)).numpy()
    np.testing.assert_allclose(engine.jacobian(in_groups, by, per_example=True)(IMAGES, KERNELS), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["filters made of the examples", "tokens normalised", "some of each row", "one by one", "written"])
def test_layouts_are_followed_under_jit(engine: ModuleType, name: str, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    f, x = APART[name]
    np.testing.assert_allclose(
        jax.jit(engine.jacobian(f, per_example=True))(jnp.asarray(x)), engine.jacobian(f, per_example=True)(x), rtol=1e-11, atol=1e-13
    )


def test_indices_that_are_not_known_are_taken_to_mix(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    picked = jax.jit(lambda x, rows: engine.jacobian(lambda x: x[rows] * 2, per_example=True)(x))
    with pytest.raises(GradientError, match="`getitem` mixes the examples"):
        picked(jnp.asarray(V), jnp.asarray(ROWS))
    features = jax.jit(lambda x, at: engine.jacobian(lambda x: x[:, at] * 2, per_example=True)(x))
    np.testing.assert_allclose(features(jnp.asarray(V), jnp.asarray(TAKEN)), np.tile(2 * np.eye(D)[TAKEN], (B, 1, 1)))


def test_owners_stay_small_where_they_can() -> None:
    kernels = registered()
    owners = own_rows((8, 16, 32, 32))
    flat = owners_after(kernels["reshape"], {0: owners}, ((8, 16, 32, 32),), (128, 32, 32), {"shape": (128, 32, 32)})
    assert flat.shape == (128, 1, 1)
    back = owners_after(kernels["reshape"], {0: flat}, ((128, 32, 32),), (8, 16, 1024), {"shape": (8, 16, 1024)})
    np.testing.assert_array_equal(back, own_rows((8, 1, 1)))
    one = owners_after(kernels["getitem"], {0: owners}, ((8, 16, 32, 32),), (16, 32, 32), {"index": (3,)})
    np.testing.assert_array_equal(one, np.full((1, 1, 1), 3))
    check_owners(np.full((1, 1), NOBODY), (8, 2), 8)
    with pytest.raises(ShapeError, match="one row for each of the 8 examples"):
        check_owners(own_rows((4, 1)), (4, 2), 8)
