"""Layers and containers against torch's: initial values, outputs, gradients, printing."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import DiffError, DTypeError, ShapeError

RNG = np.random.default_rng(9)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is the oracle here")


def layers_of(nn: Any) -> list[Any]:
    return [
        nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 3), nn.Sigmoid()),
        nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Softmax(dim=1)),
        nn.Sequential(nn.Sequential(nn.Linear(6, 4), nn.Sigmoid()), nn.LogSoftmax(dim=-1)),
        nn.Linear(6, 1),
    ]


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_and_gradients_equal_torch(engine: ModuleType, torch: Any, i: int, dtype: type) -> None:
    ours, theirs = layers_of(engine.nn)[i], layers_of(torch.nn)[i]
    ours.to(dtype)
    theirs.to(torch.float32 if dtype == np.float32 else torch.float64)
    ours.load_state_dict(theirs.state_dict())
    x = RNG.normal(size=(7, 6)).astype(dtype)
    out, expected = ours(engine.tensor(x)), theirs(torch.tensor(x))
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance / 10)
    cotangent = RNG.normal(size=out.shape).astype(dtype)
    out.backward(cotangent)
    expected.backward(torch.tensor(cotangent))
    for (name, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("i", range(4))
def test_printing_is_torch_s(engine: ModuleType, torch: Any, i: int) -> None:
    assert repr(layers_of(engine.nn)[i]) == repr(layers_of(torch.nn)[i])
    assert repr(engine.nn.CrossEntropyLoss()) == repr(torch.nn.CrossEntropyLoss())
    assert repr(engine.nn.Flatten(0, 1)) == repr(torch.nn.Flatten(0, 1))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 3, 4), (2, 3, 4, 5)])
def test_cross_entropy_equals_torch(engine: ModuleType, torch: Any, shape: tuple[int, ...], reduction: str) -> None:
    logits = RNG.normal(size=shape) * 3
    target = np.asarray(RNG.integers(3, size=shape[:1] + shape[2:] if len(shape) > 1 else ()))
    x, t = engine.tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    out = engine.nn.CrossEntropyLoss(reduction=reduction)(x, engine.tensor(target))
    expected = torch.nn.CrossEntropyLoss(reduction=reduction)(t, torch.tensor(target))
    assert out.shape == tuple(expected.shape)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-13)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=0, atol=1e-13 * float(abs(t.grad).max()))


def test_extreme_logits_stay_finite(engine: ModuleType) -> None:
    """Warnings are errors here, so nothing may overflow on the way either."""
    logits = np.array([[1e4, -1e4, 0.0], [-1e30, 1e30, 0.0], [1e-300, 0.0, -1e-300]])
    x = engine.tensor(logits, requires_grad=True)
    loss = engine.nn.functional.cross_entropy(x, np.array([1, 1, 2]))
    loss.backward()
    assert float(loss) == pytest.approx((2e4 + 0 + np.log(3)) / 3)
    assert np.isfinite(x.grad.numpy()).all()
    for f in (engine.sigmoid, engine.tanh, engine.softmax, engine.log_softmax, engine.logsumexp, engine.relu):
        y = engine.tensor(logits, requires_grad=True)
        f(y).sum().backward()
        assert np.isfinite(y.grad.numpy()).all(), f


def test_initial_values_are_uniform_within_the_bound(engine: ModuleType) -> None:
    engine.manual_seed(0)
    layer = engine.nn.Linear(400, 300)
    bound = 1 / 20
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert values.dtype == np.float32
        assert abs(values).max() <= bound
        assert abs(values).max() > 0.97 * bound
        assert abs(values.mean()) < 4 * bound / np.sqrt(3 * values.size)
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
    assert len(np.unique(layer.weight.detach().numpy())) > 0.9 * layer.weight.numel()  # symmetry is broken
    assert not np.array_equal(engine.nn.Linear(3, 3).weight.detach(), engine.nn.Linear(3, 3).weight.detach())


def test_one_stream_of_numbers_for_every_dtype(engine: ModuleType) -> None:
    engine.manual_seed(5)
    single = engine.nn.Linear(4, 3).weight.detach().numpy()
    engine.manual_seed(5)
    double = engine.nn.Linear(4, 3, dtype=np.float64).weight.detach().numpy()
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize(("d_in", "d_out"), [(-1, 2), (2, -1), (2.0, 2), ("2", 2), (None, 2), (True, 2)])
def test_sizes_must_be_counts(engine: ModuleType, d_in: Any, d_out: Any) -> None:
    with pytest.raises(ValueError, match=r"Linear: `(in|out)_features` \(=.*\) must be a non-negative integer"):
        engine.nn.Linear(d_in, d_out)


def test_inputs_that_do_not_fit_name_both_shapes(engine: ModuleType) -> None:
    layer = engine.nn.Linear(3, 2)
    with pytest.raises(ShapeError, match=r"linear: `input` \(5, 4\) and `weight` \(2, 3\) disagree: the last axis of `input` must have 3"):
        layer(engine.tensor(np.ones((5, 4), np.float32)))
    with pytest.raises(ShapeError, match=r"`weight` \(2, 3\) disagree"):
        layer(engine.tensor(np.ones(4, np.float32)))
    with pytest.raises(ShapeError, match="at least one axis"):
        layer(engine.tensor(1.0))


@pytest.mark.parametrize(
    ("logits", "target", "error", "message"),
    [
        (np.zeros((3, 2)), np.array([0, 1, 2]), IndexError, r"target 2 is out of bounds: class indices must be in \[0, 2\)"),
        (np.zeros((3, 2)), np.array([0, -1, 1]), IndexError, "target -1 is out of bounds"),
        (np.zeros((3, 2)), np.array([0.0, 1.0, 1.0]), DTypeError, "class indices.*float64"),
        (np.zeros((3, 2)), np.array([0, 1]), ShapeError, r"expected `target` of shape \(3,\) for `input` \(3, 2\), got \(2,\)"),
        (np.zeros((3, 2)), np.array([[0], [1], [1]]), ShapeError, r"got \(3, 1\)"),
        (np.zeros(()), np.array(0), ShapeError, "at least one axis"),
        (np.zeros((3, 2)), np.array([True, False, True]), DTypeError, "bool"),
    ],
)
def test_targets_that_do_not_fit(engine: ModuleType, logits: Any, target: Any, error: type, message: str) -> None:
    for x in (engine.tensor(logits), engine.tensor(logits, requires_grad=True)):
        with pytest.raises(error, match=message):
            engine.nn.functional.cross_entropy(x, target)
    with pytest.raises(ValueError, match=r"`reduction` \(='max'\) must be 'none', 'mean' or 'sum'"):
        engine.nn.functional.cross_entropy(engine.tensor(np.zeros((1, 2))), np.array([0]), reduction="max")


# ------------------------------------------------------------------------------------------------ Sequential


def test_sequential_is_indexed_sliced_and_extended(engine: ModuleType) -> None:
    nn = engine.nn
    a, b, c = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)
    net = nn.Sequential(a, b, c)
    assert (net[0], net[-1], net[1], len(net)) == (a, c, b, 3)
    assert list(net) == [a, b, c]
    for found, expected in ((net[:2], [a, b]), (net[1:], [b, c]), (net[::-1], [c, b, a]), (net[5:], [])):
        assert type(found) is nn.Sequential
        assert list(found) == expected
    assert [name for name, _ in net[1:].named_parameters()] == ["2.weight", "2.bias"]  # as in torch
    assert net.append(nn.Sigmoid()) is net
    assert isinstance(net[3], nn.Sigmoid)
    x = engine.tensor([[1.0, 2.0]])
    np.testing.assert_array_equal(nn.Sequential()(x).numpy(), x.numpy())
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            net[index]
    with pytest.raises(TypeError):
        net["0"]


def test_sequential_takes_named_modules(engine: ModuleType) -> None:
    nn = engine.nn
    net = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.ReLU()})
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    assert net.first is net[0]
    with pytest.raises(TypeError, match="cannot assign 'function' as child module '1'"):
        nn.Sequential(nn.Linear(2, 2), lambda x: x)


def test_appending_to_a_slice_overwrites_nothing(engine: ModuleType) -> None:
    nn = engine.nn
    tail = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))[1:]
    last = tail[-1]
    tail.append(nn.Sigmoid())
    assert len(tail) == 3
    assert tail[1] is last


def test_unbatched_and_stacked_inputs(engine: ModuleType) -> None:
    layer = engine.nn.Linear(3, 2, dtype=np.float64)
    w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    for shape in ((3,), (1, 3), (4, 3), (2, 4, 3), (0, 3), (2, 0, 3)):
        x = RNG.normal(size=shape)
        out = layer(engine.tensor(x))
        assert out.shape == (*shape[:-1], 2)
        np.testing.assert_allclose(out.detach().numpy(), x @ w.T + b, rtol=1e-14, atol=1e-15)


def test_a_layer_without_inputs_or_outputs(engine: ModuleType) -> None:
    assert engine.nn.Linear(0, 2)(engine.tensor(np.ones((3, 0), np.float32))).shape == (3, 2)
    assert engine.nn.Linear(2, 0)(engine.tensor(np.ones((3, 2), np.float32))).shape == (3, 0)


def test_flatten(engine: ModuleType) -> None:
    x = engine.tensor(np.zeros((2, 3, 4, 5)))
    assert engine.nn.Flatten()(x).shape == (2, 60)
    assert engine.nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert engine.nn.Flatten(-2)(x).shape == (2, 3, 20)
    with pytest.raises(ShapeError, match="start_dim 2 cannot come after end_dim 1"):
        engine.nn.Flatten(2, 1)(x)
    with pytest.raises((IndexError, DiffError), match="Dimension out of range"):
        engine.nn.Flatten(5)(x)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_cross_entropy_takes_every_integer_dtype(engine: ModuleType, dtype: str) -> None:
    logits = np.random.default_rng(0).normal(size=(300, 7))  # 7 * 300 is beyond what 8 bits index
    labels = np.arange(300) % 7

    def loss(x: Any, y: Any) -> Any:
        return engine.nn.functional.cross_entropy(x, y)

    value, gradient = engine.value_and_grad(loss)(logits, labels.astype(dtype))
    expected_value, expected = engine.value_and_grad(loss)(logits, labels)
    assert value == expected_value
    assert np.array_equal(gradient, expected)


def test_cross_entropy_of_large_float32_logits_keeps_its_digits(engine: ModuleType) -> None:
    logits = np.array([[10000.0, 10000.5, 9999.0]], np.float32)
    value, _ = engine.value_and_grad(lambda x: engine.nn.functional.cross_entropy(x, np.array([1])))(logits)
    shifted = logits.astype(np.float64) - 10000.5
    assert abs(float(value) - (np.log(np.exp(shifted).sum()) - shifted[0, 1])) < 1e-6
