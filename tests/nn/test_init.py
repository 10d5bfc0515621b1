"""Initial values: distributions, exact matrices, fans and gains against torch's, and that symmetry has to be broken."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore.errors import ArgumentError, DiffError, DTypeError, ShapeError

LINEAR, WINDOWED = (300, 200), (60, 40, 5, 4)
FANS = {LINEAR: (200, 300), WINDOWED: (800, 1200)}


def filled(name: str, shape: tuple[int, ...], *args: Any, dtype: Any = np.float64, engine: ModuleType = revdiff, **options: Any) -> Any:
    """The values of a parameter after `init.name`."""
    engine.manual_seed(1)
    parameter = engine.nn.Parameter(np.zeros(shape, dtype))
    assert getattr(engine.nn.init, name)(parameter, *args, **options) is parameter
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert parameter.dtype == dtype
    return parameter.detach().numpy()


def is_uniform(values: Any, bound: float) -> None:
    size = values.size
    assert abs(values).max() <= bound
    assert abs(values).max() > bound * (1 - 20 / size)
    assert abs(values.mean()) < 5 * bound / math.sqrt(3 * size)
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=5 / math.sqrt(size))


def is_normal(values: Any, mean: float, std: float) -> None:
    size = values.size
    z = (values - mean) / std
    assert abs(z.mean()) < 5 / math.sqrt(size)
    assert z.std() == pytest.approx(1, rel=5 / math.sqrt(size))
    assert (z**4).mean() == pytest.approx(3, rel=50 / math.sqrt(size))


@pytest.mark.parametrize("shape", FANS)
@pytest.mark.parametrize("gain", [1.0, 5 / 3])
def test_xavier(shape: tuple[int, ...], gain: float) -> None:
    fans = sum(FANS[shape])
    is_uniform(filled("xavier_uniform_", shape, gain), gain * math.sqrt(6 / fans))
    is_normal(filled("xavier_normal_", shape, gain), 0, gain * math.sqrt(2 / fans))


@pytest.mark.parametrize("shape", FANS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(("nonlinearity", "a", "gain"), [("relu", 0, 2**0.5), ("leaky_relu", 0.5, 1.6**0.5), ("tanh", 0, 5 / 3)])
def test_kaiming(shape: tuple[int, ...], mode: str, nonlinearity: str, a: float, gain: float) -> None:
    fan = FANS[shape][mode == "fan_out"]
    is_uniform(filled("kaiming_uniform_", shape, a, mode, nonlinearity), gain * math.sqrt(3 / fan))
    is_normal(filled("kaiming_normal_", shape, a, mode, nonlinearity), 0, gain / math.sqrt(fan))


def test_plain_distributions() -> None:
    is_uniform(filled("uniform_", LINEAR, 1, 5) - 3, 2)
    is_normal(filled("normal_", LINEAR, 2, 3), 2, 3)
    assert (filled("constant_", (2, 3), 0.5) == 0.5).all()
    assert (filled("ones_", (2, 3)) == 1).all()
    assert not filled("zeros_", (2, 3)).any()
    assert np.array_equal(filled("uniform_", (3, 2), 2, 2), np.full((3, 2), 2))


@pytest.mark.parametrize(("mean", "std", "a", "b"), [(0, 1, -2, 2), (1, 2, 0, 2), (0, 1, 1, 9), (0, 1, -math.inf, -1), (3, 0.5, -5, 2.5)])
def test_truncated_normal(mean: float, std: float, a: float, b: float) -> None:
    """The mean and variance of a truncated normal distribution are known."""
    values = filled("trunc_normal_", (200, 300), mean, std, a, b)
    assert a <= values.min() <= values.max() <= b
    low, high = (a - mean) / std, (b - mean) / std

    def density(z: float) -> float:
        return 0.0 if math.isinf(z) else math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def moved(z: float) -> float:
        return 0.0 if math.isinf(z) else z * density(z)

    share = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    shift = (density(low) - density(high)) / share
    variance = 1 + (moved(low) - moved(high)) / share - shift**2
    deviation = std * math.sqrt(variance)
    assert values.mean() == pytest.approx(mean + std * shift, abs=5 * deviation / math.sqrt(values.size))
    assert values.std() == pytest.approx(deviation, rel=0.02)


def test_a_range_far_in_the_tail() -> None:
    with pytest.warns(UserWarning, match="mean is more than 2 std"):
        values = filled("trunc_normal_", (1000,), 0, 1, 45, math.inf)
    assert 45 <= values.min() <= values.max() < 45.5
    assert values.mean() - 45 == pytest.approx(1 / 45, rel=0.15)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (4, 2, 3), (2, 2, 1, 5)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    flat = filled("orthogonal_", shape, 2).reshape(shape[0], -1)
    product = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-14)


def test_orthogonal_is_uniform() -> None:
    """Signs come up as often as not, in the first column too, where the factorisation alone has one sign."""
    revdiff.manual_seed(0)
    drawn = np.array([revdiff.nn.init.orthogonal_(revdiff.tensor(np.zeros((3, 3)))).numpy() for _ in range(400)])
    assert abs(np.sign(drawn).mean(axis=0)).max() < 5 / 20


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.5, 1])
def test_sparse(sparsity: float) -> None:
    values = filled("sparse_", (50, 40), sparsity, 0.3)
    assert ((values == 0).sum(axis=0) == math.ceil(sparsity * 50)).all()
    if sparsity < 1:
        assert values[values != 0].std() == pytest.approx(0.3, rel=0.1)


MATRICES: list[tuple[str, tuple[int, ...], tuple[Any, ...]]] = [
    ("eye_", (3, 5), ()),
    ("eye_", (5, 3), ()),
    ("dirac_", (4, 3, 3), ()),
    ("dirac_", (2, 3, 3, 4), ()),
    ("dirac_", (6, 2, 3, 1), (3,)),
    ("dirac_", (4, 1, 2, 3, 5), (2,)),
    ("constant_", (2, 3), (0.25,)),
]


@pytest.mark.parametrize(("name", "shape", "args"), MATRICES)
def test_fixed_values_equal_torch(name: str, shape: tuple[int, ...], args: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    assert np.array_equal(filled(name, shape, *args), getattr(torch.nn.init, name)(torch.zeros(shape), *args))


def test_a_dirac_weight_passes_channels_on(engine: ModuleType) -> None:
    x = engine.tensor(np.random.default_rng(0).normal(size=(2, 3, 4, 4)))
    weight = engine.nn.init.dirac_(engine.nn.Parameter(np.zeros((3, 3, 3, 3))))
    np.testing.assert_array_equal(engine.nn.functional.conv2d(x, weight, padding=1).detach(), x)


GAINS: list[tuple[tuple[Any, ...], float]] = [
    (("linear",), 1),
    (("conv_transpose2d",), 1),
    (("sigmoid",), 1),
    (("tanh",), 1.6666666666666667),
    (("relu",), 1.4142135623730951),
    (("leaky_relu",), 1.4141428569978354),
    (("leaky_relu", 0.2), 1.3867504905630728),
    (("leaky_relu", 1), 1),
    (("selu",), 0.75),
]


@pytest.mark.parametrize(("args", "gain"), GAINS)
def test_gains(args: Any, gain: float) -> None:
    assert revdiff.nn.init.calculate_gain(*args) == pytest.approx(gain, rel=1e-15)


@pytest.mark.parametrize(("args", "gain"), GAINS)
def test_gains_equal_torch(args: Any, gain: float) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    assert torch.nn.init.calculate_gain(*args) == pytest.approx(gain, rel=1e-15)


RANDOM = ("uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_", "orthogonal_")


@pytest.mark.parametrize("name", RANDOM)
def test_one_stream_for_every_engine_dtype_and_device(engine: ModuleType, name: str) -> None:
    import jax

    double = filled(name, (4, 3))
    single = filled(name, (4, 3), dtype=np.float32, engine=engine)
    np.testing.assert_array_equal(single, double.astype(np.float32))
    engine.manual_seed(1)
    moved = engine.nn.Parameter(engine.tensor(np.zeros((4, 3), np.float32), device="jax"))
    getattr(engine.nn.init, name)(moved)
    assert isinstance(moved.array, jax.Array)
    np.testing.assert_array_equal(moved.detach().numpy(), single)
    source = engine.Generator().manual_seed(1)
    again = getattr(engine.nn.init, name)(engine.tensor(np.zeros((4, 3))), generator=source).numpy()
    np.testing.assert_array_equal(again, double)


@pytest.mark.parametrize("name", [*RANDOM, "zeros_", "ones_", "eye_"])
def test_what_has_no_values_is_left_alone(engine: ModuleType, name: str) -> None:
    parameter = engine.nn.Parameter(engine.tensor(np.zeros((3, 2), np.float32), device="meta"))
    before = engine.manual_seed(0).bit_generator.state
    assert getattr(engine.nn.init, name)(parameter) is parameter
    assert engine.manual_seed(0).bit_generator.state == before
    assert parameter.device == "meta"


def test_values_are_put_in_place_unrecorded(engine: ModuleType) -> None:
    layer = engine.nn.Linear(2, 3)
    memory, weight = layer.weight.array, layer.weight
    y = layer(engine.tensor([[1.0, 2.0]]))
    version = weight._version
    engine.nn.init.constant_(weight, 2.0)
    assert layer.weight is weight
    assert weight.array is memory
    assert (memory == 2).all()
    assert weight._version == version + 1
    assert weight.grad is None
    if engine is revdiff:
        x = engine.tensor([[1.0, 2.0]], requires_grad=True)
        y = layer(x)
        engine.nn.init.zeros_(weight)
        with pytest.raises(DiffError, match=r"modified by an inplace operation.*`zeros_`"):
            y.sum().backward()


REFUSED: list[tuple[Any, type, str]] = [
    (lambda i: i.xavier_uniform_(t(3)), ShapeError, r"xavier_uniform_: fan in and fan out can not be computed .* got shape \(3,\)"),
    (lambda i: i.kaiming_normal_(t()), ShapeError, "kaiming_normal_: fan in and fan out"),
    (lambda i: i.kaiming_uniform_(t(2, 3), mode="fan"), ValueError, r"`mode` \(='fan'\) not supported"),
    (lambda i: i.kaiming_uniform_(t(2, 3), nonlinearity="swish"), ValueError, r"unsupported `nonlinearity` \(='swish'\)"),
    (lambda i: i.calculate_gain("leaky_relu", True), ValueError, r"negative_slope `param` \(=True\) is not a valid number"),
    (lambda i: i.eye_(t(2, 3, 4)), ShapeError, r"eye_: only tensors with 2 dimensions are supported, got shape \(2, 3, 4\)"),
    (lambda i: i.dirac_(t(2, 3)), ShapeError, "dirac_: only tensors with 3 or 4 or 5 dimensions"),
    (lambda i: i.dirac_(t(3, 3, 3), 2), ArgumentError, r"dim 0 must be divisible by groups, got `groups` \(=2\)"),
    (lambda i: i.orthogonal_(t(3)), ShapeError, "2 or more dimensions"),
    (lambda i: i.sparse_(t(3), 0.5), ShapeError, "only tensors with 2 dimensions"),
    (lambda i: i.sparse_(t(3, 3), 1.5), ArgumentError, r"`sparsity` \(=1.5\)"),
    (lambda i: i.normal_(t(3), std=-1), ArgumentError, r"expects std >= 0.0, but found `std` \(=-1\)"),
    (lambda i: i.uniform_(t(3), 2, 1), ArgumentError, "a=2 > b=1"),
    (lambda i: i.trunc_normal_(t(3), a=1, b=1), ArgumentError, "a < b"),
    (lambda i: i.trunc_normal_(t(3), std=0), ArgumentError, "std > 0"),
    (lambda i: i.zeros_(np.ones(3)), DTypeError, "zeros_: expected a tensor, got ndarray"),
    (lambda i: i.normal_(revdiff.tensor([1, 2])), DTypeError, "floating-point tensor, got int64"),
    (lambda i: i.normal_(t(3), generator=3), TypeError, "must be a Generator, not int"),
]


def t(*shape: int) -> Any:
    return revdiff.tensor(np.zeros(shape))


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_does_not_fit_is_named(i: int) -> None:
    call, error, match = REFUSED[i]
    with pytest.raises(error, match=match):
        call(revdiff.nn.init)


def test_a_weight_without_elements_warns(engine: ModuleType) -> None:
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        engine.nn.init.kaiming_uniform_(engine.nn.Parameter(np.zeros((0, 3))))
    engine.nn.init.orthogonal_(engine.nn.Parameter(np.zeros((0, 3))))


@pytest.mark.parametrize("start", ["constant_", "normal_"])
def test_hidden_units_that_start_equal_stay_equal(engine: ModuleType, start: str) -> None:
    """Units with equal weights have equal gradients, so training by them alone never tells them apart; random weights differ."""
    engine.manual_seed(0)
    net = engine.nn.Sequential(engine.nn.Linear(3, 4), engine.nn.Tanh(), engine.nn.Linear(4, 2))
    for parameter in net.parameters():
        getattr(engine.nn.init, start)(parameter, 0.3)
    optimizer, rng = engine.optim.SGD(net.parameters(), lr=0.5, momentum=0.9), np.random.default_rng(0)
    x, y = engine.tensor(rng.normal(size=(20, 3)).astype(np.float32)), engine.tensor(rng.integers(2, size=20))
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = engine.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    units = net[0].weight.detach().numpy()
    assert losses[-1] < losses[0]
    if start == "constant_":
        np.testing.assert_allclose(units, np.broadcast_to(units[0], units.shape), rtol=1e-5)
        np.testing.assert_allclose(net[2].weight.detach().numpy().std(axis=1), 0, atol=1e-6)
    else:
        assert min(abs(a - b).max() for i, a in enumerate(units) for b in units[:i]) > 0.1
