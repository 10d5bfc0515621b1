"""Initial values have PyTorch's distributions; sizes and settings that cannot be are refused."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import DTypeError, ShapeError


def uniform(values: np.ndarray, bound: float) -> None:
    assert abs(values).max() <= bound
    assert abs(values).max() > 0.98 * bound
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert abs(values.mean()) < 5 * bound / math.sqrt(3 * values.size)


@pytest.mark.parametrize(
    ("make", "fan"),
    [
        (lambda nn: nn.Linear(40, 500), 40),
        (lambda nn: nn.Conv1d(8, 500, 5), 40),
        (lambda nn: nn.Conv2d(8, 500, (3, 5), groups=2), 60),
        (lambda nn: nn.Conv3d(4, 500, 2), 32),
        (lambda nn: nn.ConvTranspose2d(500, 600, 3, groups=100), 54),
        (lambda nn: nn.Bilinear(20, 3, 500), 20),
    ],
)
def test_weights_and_biases_are_uniform_within_the_bound(engine: ModuleType, make: Any, fan: int) -> None:
    engine.manual_seed(0)
    layer = make(engine.nn)
    for parameter in layer.parameters():
        uniform(parameter.detach().numpy(), 1 / math.sqrt(fan))
    before = layer.weight.detach().numpy().copy()
    layer.reset_parameters()
    assert layer.weight.requires_grad
    assert not np.array_equal(layer.weight.detach(), before)
    engine.manual_seed(0)
    np.testing.assert_array_equal(make(engine.nn).weight.detach(), before)


def test_bounds_are_torch_s(engine: ModuleType) -> None:
    """The largest of thousands of uniform numbers is close to the bound."""
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    engine.manual_seed(0)
    torch.manual_seed(0)
    for make in (
        lambda nn: nn.ConvTranspose1d(300, 40, 3),
        lambda nn: nn.ConvTranspose3d(40, 300, 2, groups=2),
        lambda nn: nn.Conv2d(20, 300, 3, groups=5),
        lambda nn: nn.Bilinear(7, 3, 400),
    ):
        for a, b in zip(make(engine.nn).parameters(), make(torch.nn).parameters(), strict=True):
            assert abs(a.detach().numpy()).max() == pytest.approx(float(b.detach().abs().max()), rel=0.05)


def test_tables_are_normal_and_norms_are_neutral(engine: ModuleType) -> None:
    engine.manual_seed(1)
    table = engine.nn.Embedding(200, 50, padding_idx=3)
    rows = table.weight.detach().numpy()
    assert (rows[3] == 0).all()
    assert np.delete(rows, 3, 0).std() == pytest.approx(1, abs=0.02)
    assert abs(rows.mean()) < 0.03
    nn = engine.nn
    for layer in (nn.BatchNorm1d(3), nn.GroupNorm(1, 3), nn.LayerNorm(3), nn.InstanceNorm1d(3, affine=True)):
        np.testing.assert_array_equal(layer.weight.detach(), np.ones(3))
        np.testing.assert_array_equal(layer.bias.detach(), np.zeros(3))
    np.testing.assert_array_equal(nn.PReLU(2).weight.detach(), [0.25, 0.25])
    layer = nn.BatchNorm1d(3)
    layer(engine.tensor(np.arange(6, dtype=np.float32).reshape(2, 3)))
    layer.reset_parameters()
    assert [b.numpy().tolist() for b in layer.buffers()] == [[0, 0, 0], [1, 1, 1], 0]


def test_both_engines_draw_the_same() -> None:
    import dualdiff
    import revdiff

    drawn = []
    for engine in (revdiff, dualdiff):
        engine.manual_seed(6)
        nn = engine.nn
        net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ConvTranspose1d(2, 3, 3), nn.Embedding(4, 3), nn.Bilinear(2, 3, 4))
        drawn.append([p.detach().numpy() for p in net.parameters()])
    for a, b in zip(*drawn, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pretrained_tables(engine: ModuleType) -> None:
    rows = engine.tensor([[1.0, 2.0], [3.0, 4.0]])
    table = engine.nn.Embedding.from_pretrained(rows)
    np.testing.assert_array_equal(table(engine.tensor([1, 0])), [[3, 4], [1, 2]])
    assert not table.weight.requires_grad
    assert engine.nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=0).weight.requires_grad
    with pytest.raises(ValueError, match=r"Embedding: `embeddings` must be 2-dimensional, got shape \(2,\)"):
        engine.nn.Embedding.from_pretrained(engine.tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda nn: nn.Conv2d(3, 4, 2, groups=2), r"Conv2d: `in_channels` \(=3\) must be divisible by `groups` \(=2\)"),
        (lambda nn: nn.Conv2d(4, 3, 2, groups=2), r"Conv2d: `out_channels` \(=3\) must be divisible by `groups` \(=2\)"),
        (lambda nn: nn.Conv1d(0, 3, 2), r"Conv1d: `in_channels` \(=0\) must be a positive integer"),
        (lambda nn: nn.Conv1d(1, 3, 2, groups=0), r"`groups` \(=0\) must be a positive integer"),
        (lambda nn: nn.Conv2d(1, 3, (2, 2, 2)), r"`kernel_size` \(=\(2, 2, 2\)\) must be a single int or a sequence of 2"),
        (lambda nn: nn.Conv2d(1, 3, 2, padding="full"), r"`padding` \(='full'\) must be an int, a sequence of ints, 'same' or 'valid'"),
        (lambda nn: nn.Conv2d(1, 3, 2, 2, padding="same"), "padding='same' is not supported for strided convolutions"),
        (lambda nn: nn.Conv2d(1, 3, 2, padding_mode="mirror"), r"`padding_mode` \(='mirror'\) must be one of 'zeros', 'reflect'"),
        (lambda nn: nn.ConvTranspose2d(1, 3, 2, padding_mode="reflect"), 'only "zeros" padding mode is supported'),
        (lambda nn: nn.BatchNorm2d(0), r"BatchNorm2d: `num_features` \(=0\) must be a positive integer"),
        (lambda nn: nn.GroupNorm(2, 3), r"GroupNorm: `num_channels` \(=3\) must be divisible by `num_groups` \(=2\)"),
        (lambda nn: nn.LayerNorm(()), r"LayerNorm: `normalized_shape` \(=\(\)\) must contain at least one element"),
        (lambda nn: nn.RMSNorm((2, -1)), r"RMSNorm: `normalized_shape` \(=-1\) must be a positive integer"),
        (lambda nn: nn.LocalResponseNorm(0), r"`size` \(=0\) must be a positive integer"),
        (lambda nn: nn.Dropout(1.5), r"Dropout: `p` \(=1.5\) must be a probability between 0 and 1"),
        (lambda nn: nn.Dropout2d("a"), r"Dropout2d: `p` \(='a'\) must be a probability"),
        (lambda nn: nn.Embedding(3, 2, padding_idx=3), r"Embedding: `padding_idx` \(=3\) must be within `num_embeddings` \(=3\)"),
        (lambda nn: nn.Embedding(3, 2, None, 1.0), r"Embedding: `max_norm` \(=1.0\) is not supported; bound the rows with"),
        (lambda nn: nn.Embedding(3, 2, sparse=True), r"Embedding: `sparse` \(=True\) is not supported"),
        (lambda nn: nn.Embedding(-1, 2), r"`num_embeddings` \(=-1\) must be a non-negative integer"),
        (lambda nn: nn.Bilinear(0, 1, 1), r"Bilinear: `in1_features` \(=0\) must be a positive integer"),
        (lambda nn: nn.PReLU(0), r"PReLU: `num_parameters` \(=0\) must be a positive integer"),
        (lambda nn: nn.Hardtanh(1, 1), r"Hardtanh: `min_val` \(=1\) must be less than `max_val` \(=1\)"),
        (lambda nn: nn.ZeroPad2d((1, 2)), r"ZeroPad2d: `padding` \(=\(1, 2\)\) must be an int or have 4 entries"),
    ],
)
def test_settings_that_cannot_be(engine: ModuleType, make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(engine.nn)


@pytest.mark.parametrize(
    ("make", "shape", "error", "message"),
    [
        (lambda nn: nn.Conv2d(3, 4, 2), (2, 4, 5, 5), ShapeError, r"conv2d: .*`input` \(2, 4, 5, 5\) to have 3 channels, but got 4"),
        (lambda nn: nn.Conv2d(3, 4, 2), (3, 5), ShapeError, r"conv2d: expected 3D \(unbatched\) or 4D"),
        (lambda nn: nn.Conv2d(3, 4, 6), (2, 3, 5, 5), ShapeError, "kernel size can't be greater"),
        (lambda nn: nn.ConvTranspose1d(3, 4, 2), (2, 4, 5), ShapeError, "have 3 channels, but got 4"),
        (lambda nn: nn.MaxPool2d(3), (2, 3, 2, 2), ShapeError, "output size is too small"),
        (lambda nn: nn.AvgPool1d(2, padding=2), (2, 3, 4), ValueError, "at most half of `kernel_size`"),
        (lambda nn: nn.AdaptiveAvgPool2d(0), (2, 3, 4, 4), ValueError, "at least 1 along each axis"),
        (lambda nn: nn.BatchNorm1d(3), (2, 3, 4, 5), ValueError, r"BatchNorm1d: expected 2D or 3D input \(got 4D input"),
        (lambda nn: nn.BatchNorm2d(3), (2, 3), ValueError, r"BatchNorm2d: expected 4D input \(got 2D input"),
        (lambda nn: nn.LayerNorm(3), (2, 4), ShapeError, r"layer_norm: given normalized_shape=\[3\]"),
        (lambda nn: nn.GroupNorm(2, 4), (2, 6, 3), ShapeError, "expected `weight` of shape"),
        (lambda nn: nn.InstanceNorm1d(3), (3,), ValueError, r"InstanceNorm1d: expected 2D or 3D input"),
        (lambda nn: nn.Bilinear(2, 3, 4), (5, 2), ShapeError, r"bilinear: expected `input1` \[..., i\]"),
        (lambda nn: nn.PReLU(3), (2, 4), ShapeError, r"prelu: `weight` \(3,\) must have one element, or one per channel"),
        (lambda nn: nn.Dropout1d(), (3,), ShapeError, "dropout1d: expected `input` with 2 or 3 axes"),
        (lambda nn: nn.Embedding(3, 2), (2, 2), DTypeError, "embedding"),
        (lambda nn: nn.Unflatten(1, (2, 2)), (2, 3), ShapeError, "don't multiply up"),
        (lambda nn: nn.LocalResponseNorm(2), (2, 3), ValueError, "3D or higher"),
    ],
)
def test_inputs_that_do_not_fit(engine: ModuleType, make: Any, shape: tuple[int, ...], error: type, message: str) -> None:
    layer, x = make(engine.nn), engine.tensor(np.ones(shape, np.float32))
    with pytest.raises(error, match=message):
        layer(x, x) if isinstance(layer, engine.nn.Bilinear) else layer(x)


def test_output_sizes_of_transposed_convolutions(engine: ModuleType) -> None:
    layer = engine.nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = engine.tensor(np.ones((1, 2, 4, 4), np.float32))
    for size in ((7, 7), (8, 7), (1, 3, 8, 8)):
        assert layer(x, output_size=size).shape[2:] == size[-2:]
    with pytest.raises(ShapeError, match=r"requested an output size of \(9, 7\), but valid sizes range from \[7, 7\] to \[8, 8\]"):
        layer(x, output_size=(9, 7))
    with pytest.raises(ShapeError, match=r"`output_size` \(=\(7,\)\) must have 2 or 4 entries"):
        layer(x, output_size=(7,))


def test_in_place_activations_take_the_memory_of_their_input(engine: ModuleType) -> None:
    nn, values = engine.nn, np.array([-1.5, -0.2, 0.3, 7.0])
    for make in (
        nn.ReLU,
        nn.LeakyReLU,
        nn.ReLU6,
        nn.SiLU,
        nn.Mish,
        nn.ELU,
        nn.CELU,
        nn.SELU,
        nn.Hardtanh,
        nn.Hardsigmoid,
        lambda inplace=False: nn.Threshold(0.1, 2.0, inplace),
    ):
        leaf = engine.tensor(values, requires_grad=True)
        x = leaf * 1
        memory = x.array
        out = make(inplace=True)(x)
        assert out is x
        assert out.array is memory
        expected = engine.tensor(values, requires_grad=True)
        plain = make()(expected)
        np.testing.assert_array_equal(out.detach(), plain.detach())
        out.sum().backward()
        plain.sum().backward()
        np.testing.assert_array_equal(leaf.grad, expected.grad)
    engine.manual_seed(0)
    x = engine.tensor(np.ones(50))
    assert nn.Dropout(0.5, inplace=True)(x) is x
    assert set(x.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("name", "shape", "groups"), [("1d", (40, 30, 5), 2), ("2d", (40, 30, 2, 3), 2), ("3d", (40, 30, 1, 2, 2), 2), ("1d", (900, 4), 1)]
)
def test_channels_are_dropped_whole(engine: ModuleType, name: str, shape: tuple[int, ...], groups: int) -> None:
    engine.manual_seed(2)
    layer = getattr(engine.nn, f"Dropout{name}")(0.25)
    x = engine.tensor(np.ones(shape), requires_grad=True)
    out = layer(x)
    rows = out.detach().numpy().reshape(*shape[:groups], -1)
    assert (rows == rows[..., :1]).all()
    assert set(np.unique(rows)) == {0.0, 1 / 0.75}
    assert (rows[..., 0] == 0).mean() == pytest.approx(0.25, abs=0.05)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad, out.detach())


def test_alpha_dropout_keeps_mean_and_variance(engine: ModuleType) -> None:
    engine.manual_seed(3)
    x = np.random.default_rng(0).normal(size=(400, 300))
    out = engine.nn.AlphaDropout(0.3)(engine.tensor(x)).numpy()
    assert out.mean() == pytest.approx(0, abs=0.01)
    assert out.std() == pytest.approx(1, abs=0.01)
    assert not engine.nn.AlphaDropout(1)(engine.tensor(x)).numpy().any()


def test_pools_give_positions(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    x = np.random.default_rng(1).normal(size=(2, 3, 7, 5))
    for make, given in (
        (lambda nn: nn.MaxPool2d(2, return_indices=True), x),
        (lambda nn: nn.AdaptiveMaxPool2d((3, 2), return_indices=True), x),
        (lambda nn: nn.AdaptiveMaxPool2d((7, 5), return_indices=True), x),
        (lambda nn: nn.AdaptiveMaxPool1d(3, return_indices=True), x[0]),
    ):
        out, at = make(engine.nn)(engine.tensor(given))
        expected, positions = make(torch.nn)(torch.tensor(given))
        np.testing.assert_array_equal(out, expected.numpy())
        np.testing.assert_array_equal(at, positions.numpy())


def test_losses_of_our_own_and_weighted_ones(engine: ModuleType) -> None:
    nn = engine.nn
    x, y = np.array([0.5, -2.0, 3.0]), np.array([1.0, 1.0, -1.0])
    assert float(nn.HingeLoss(reduction="sum")(engine.tensor(x), engine.tensor(y))) == pytest.approx(0.5 + 3 + 4)
    assert float(nn.LogCoshLoss()(engine.tensor(x), engine.tensor(y))) == pytest.approx(np.log(np.cosh(x - y)).mean(), rel=1e-14)
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    logits, target, weight = np.cos(np.arange(12.0)).reshape(4, 3), np.array([0, 2, 1, 1]), np.array([0.2, 1.5, 0.7])
    chances, positive = abs(logits), np.array([0.5, 2.0, 3.0])
    for make, given, wanted in (
        (lambda nn, t: nn.CrossEntropyLoss(t(weight), label_smoothing=0.1), logits, target),
        (lambda nn, t: nn.NLLLoss(t(weight)), logits, target),
        (lambda nn, t: nn.BCELoss(t(weight)), chances, chances[::-1].copy()),
        (lambda nn, t: nn.BCEWithLogitsLoss(t(weight), pos_weight=t(positive)), logits, chances),
    ):
        ours, theirs = make(nn, engine.tensor), make(torch.nn, torch.tensor)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert repr(ours) == repr(theirs)
        found = ours(engine.tensor(given), engine.tensor(wanted))
        assert float(found) == pytest.approx(float(theirs(torch.tensor(given), torch.tensor(wanted))), rel=1e-13)
    with pytest.raises(TypeError, match="cannot assign 'list' as buffer 'weight'"):
        nn.CrossEntropyLoss([1.0, 2.0])


def test_softmax_without_an_axis_warns_and_chooses_as_torch_does(engine: ModuleType) -> None:
    for shape, axis in (((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 1, 1), 1)):
        x = engine.tensor(np.arange(float(np.prod(shape))).reshape(shape))
        with pytest.warns(UserWarning, match=r"Softmax: implicit dimension choice has been deprecated"):
            out = engine.nn.Softmax()(x)
        np.testing.assert_array_equal(out, engine.softmax(x, axis))
