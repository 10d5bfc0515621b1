"""State of layers: it moves once per evaluation, is kept as plain values, passes through compiled functions, and is loaded or refused."""

import copy
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError, GradientError

X = 1.3 * np.sin(np.arange(40.0) * 1.7 + 0.2).reshape(10, 4)


def net_of(engine: ModuleType, **where: Any) -> Any:
    engine.manual_seed(4)
    nn, where = engine.nn, {"dtype": np.float64, **where}
    return nn.Sequential(
        nn.Linear(4, 6, **where),
        nn.BatchNorm1d(6, **where),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(6, 3, **where),
        nn.BatchNorm1d(3, momentum=None, **where),
    )


def loss(net: Any, x: Any) -> Any:
    return (net(x) ** 3).sum()


def buffers_of(net: Any) -> dict[str, np.ndarray]:
    return {name: np.array(b.array) for name, b in net.named_buffers()}


def test_statistics_move_once_per_evaluation_whatever_the_transform() -> None:
    def after(engine: ModuleType, evaluate: Any) -> dict[str, np.ndarray]:
        net = net_of(engine)
        engine.manual_seed(9)
        evaluate(net)
        assert all(b.level == 0 and b.is_constant for b in net.buffers())
        assert all(type(b.primal) is np.ndarray for b in net.buffers())
        return buffers_of(net)

    expected = after(revdiff, lambda net: net(revdiff.tensor(X)))
    assert expected["1.num_batches_tracked"] == 1
    assert (expected["1.running_mean"] != 0).all()
    tangent = np.ones_like(X)

    def hvp(engine: ModuleType) -> Any:
        return lambda net: engine.hvp(lambda x: loss(net, x), X, tangent)

    ways = {
        "backward": (revdiff, lambda net: loss(net, revdiff.tensor(X)).backward()),
        "reverse": (revdiff, lambda net: revdiff.value_and_grad(loss)(net, X)),
        "reverse jacobian": (revdiff, lambda net: revdiff.jacobian(lambda x: net(x), chunk_size=2)(X)),
        "reverse hvp": (revdiff, hvp(revdiff)),
        "forward": (dualdiff, lambda net: dualdiff.value_and_grad(loss)(net, X)),
        "forward by parameters": (dualdiff, lambda net: dualdiff.value_and_grad(loss, seeding="parameters")(net, X)),
        "forward in chunks": (dualdiff, lambda net: dualdiff.value_and_grad(loss, seeding="parameters", memory="50KB")(net, X)),
        "forward jacobian in chunks": (dualdiff, lambda net: dualdiff.jacobian(lambda x: net(x), memory="90KB")(X)),
        "forward hvp": (dualdiff, hvp(dualdiff)),
        "jvp": (dualdiff, lambda net: dualdiff.jvp(lambda x: net(x), (X,), (tangent,))),
        "estimate": (dualdiff, lambda net: dualdiff.forward_gradient(loss, directions=3, rng=0)(net, X)),
    }
    for name, (engine, evaluate) in ways.items():
        found = after(engine, evaluate)
        for buffer, value in expected.items():
            np.testing.assert_allclose(found[buffer], value, rtol=1e-13, atol=1e-15, err_msg=f"{name}: {buffer}")


def test_user_buffers_keep_values_alone_and_move_once() -> None:
    class Meter(dualdiff.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", dualdiff.tensor(np.zeros(4)), persistent=False)

        def forward(self, x: Any) -> Any:
            self.seen = 0.5 * self.seen + x.mean(0)
            return x * 2

    for memory in (None, "2KB"):
        meter = Meter()
        dualdiff.jacobian(lambda x, meter=meter: meter(x), memory=memory)(X)
        np.testing.assert_allclose(meter.seen.numpy(), X.mean(0), rtol=1e-14)
        assert meter.seen.level == 0
        assert "seen" not in meter.state_dict()  # still not persistent


def test_evaluation_takes_statistics_as_constants(engine: ModuleType) -> None:
    layer = engine.nn.BatchNorm1d(4, dtype=np.float64).eval().requires_grad_(False)
    layer.running_mean.data = engine.tensor(X[0])
    before = buffers_of(layer)
    jacobian = engine.jacobian(lambda x: layer(x))(X[:2])
    scale = 1 / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(jacobian.reshape(8, 8), scale * np.eye(8), rtol=1e-12)
    for name, value in buffers_of(layer).items():
        np.testing.assert_array_equal(value, before[name])


def test_bad_input_moves_nothing(engine: ModuleType) -> None:
    for layer, shape in (
        (engine.nn.BatchNorm1d(3), (5, 4)),
        (engine.nn.BatchNorm1d(3), (1, 3)),
        (engine.nn.BatchNorm1d(3), (2, 3, 4, 5)),
        (engine.nn.BatchNorm2d(3), (2, 3, 4)),
        (engine.nn.InstanceNorm1d(3, track_running_stats=True), (2, 3, 1)),
    ):
        before = buffers_of(layer)
        with pytest.raises(ValueError, match=r"expected|should contain"):
            layer(engine.tensor(np.ones(shape, np.float32)))
        for name, value in buffers_of(layer).items():
            np.testing.assert_array_equal(value, before[name])


def test_a_compiled_function_that_was_not_given_the_statistics_is_refused(engine: ModuleType) -> None:
    import jax

    for device in ("cpu", "jax"):
        net = net_of(engine, device=device, dtype=np.float32).train()
        before = buffers_of(net)
        with pytest.raises(GradientError, match=r"under `jax.jit` `running_mean` would keep a tracer: pass running statistics into"):
            jax.jit(lambda x, net=net: engine.value_and_grad(loss)(net, x))(X.astype(np.float32))
        for name, value in buffers_of(net).items():
            np.testing.assert_array_equal(value, before[name])
        net.eval()
        jax.jit(lambda x, net=net: engine.value_and_grad(loss)(net, x))(X.astype(np.float32))  # nothing moves


def test_buffers_on_jax_move_too(engine: ModuleType, x64: None) -> None:
    import jax

    plain, placed = net_of(engine), net_of(engine, device="jax")
    for net in (plain, placed):
        engine.manual_seed(2)
        for _ in range(2):
            engine.value_and_grad(loss)(net, X)
    for name, b in placed.named_buffers():
        assert isinstance(b.array, jax.Array)
        np.testing.assert_allclose(b.array, dict(plain.named_buffers())[name].array, rtol=1e-12)


# ------------------------------------------------------------------------------------------------ state_dict


def test_loading_says_what_did_not_match(engine: ModuleType) -> None:
    net = net_of(engine)
    found = net.load_state_dict(net.state_dict())
    assert (found.missing_keys, found.unexpected_keys, repr(found)) == ([], [], "<All keys matched successfully>")
    found = net.load_state_dict({"0.bias": np.zeros(6), "more": np.zeros(1)}, strict=False)
    assert found.unexpected_keys == ["more"]
    assert found.missing_keys == [name for name in net.state_dict() if name != "0.bias"]
    assert "missing_keys=['0.weight'" in repr(found)


def test_every_problem_is_listed_and_nothing_changes(engine: ModuleType) -> None:
    net = net_of(engine)
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    state = dict(net.state_dict())
    del state["1.running_mean"]
    state |= {
        "0.weight": np.ones((6, 4)),
        "0.bias": "text",
        "4.bias": np.ones(3, complex),
        "4.weight": np.ones((3, 5)),
        "5.bias": [[1], [2, 3]],
    }
    state["zzz"] = np.ones(1)
    with pytest.raises(DiffError) as caught:
        net.load_state_dict(state)
    for part in (
        "Missing key(s) in state_dict: '1.running_mean'.",
        "Unexpected key(s) in state_dict: 'zzz'.",
        "0.bias: a tensor or an array of numbers is expected, str given.",
        "4.bias: complex128 given, float64 expected",
        "size mismatch for 4.weight: (3, 5) given, (3, 6) expected.",
        "5.bias: a tensor or an array of numbers is expected, list given.",
    ):
        assert part in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        net.load_state_dict([1])


def test_values_are_cast_or_assigned_as_they_are(engine: ModuleType) -> None:
    layer = engine.nn.BatchNorm1d(2)
    state = {"weight": [1, 2], "bias": np.array([np.nan, 1e300]), "running_mean": np.ones(2), "running_var": np.ones(2)}
    layer.load_state_dict(state | {"num_batches_tracked": 7.9})
    assert [t.dtype for t in layer.state_dict().values()] == [np.float32] * 4 + [np.int64]
    np.testing.assert_array_equal(layer.bias.detach(), [np.nan, np.inf])  # as in torch, NaN is a value like any other
    assert int(layer.num_batches_tracked) == 7
    layer.load_state_dict(state | {"num_batches_tracked": np.array(2)}, assign=True)
    assert layer.bias.dtype == np.float64
    assert layer.bias.requires_grad


def test_persistence_prefixes_and_variables(engine: ModuleType) -> None:
    layer = engine.nn.Linear(2, 2)
    layer.register_buffer("scratch", engine.tensor([1.0]), persistent=False)
    layer.register_buffer("kept", engine.tensor([2.0]))
    assert list(layer.state_dict()) == ["weight", "bias", "kept"]
    assert [name for name, _ in layer.named_buffers()] == ["scratch", "kept"]
    layer.register_buffer("scratch", engine.tensor([1.0]))
    assert "scratch" in layer.state_dict()
    assert list(layer.state_dict(prefix="a."))[:2] == ["a.weight", "a.bias"]
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert "scratch" in copy.deepcopy(layer).state_dict()


def test_tied_parameters_have_one_gradient_the_sum(engine: ModuleType) -> None:
    nn = engine.nn
    shared = nn.Linear(4, 4, dtype=np.float64)
    net = nn.Sequential(shared, nn.Tanh(), shared)
    value, gradients = engine.value_and_grad(loss)(net, X)
    assert list(gradients) == ["0.weight", "0.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    apart = nn.Sequential(nn.Linear(4, 4, dtype=np.float64), nn.Tanh(), nn.Linear(4, 4, dtype=np.float64))
    apart.load_state_dict(net.state_dict())
    other, parts = engine.value_and_grad(loss)(apart, X)
    assert value == pytest.approx(other, rel=1e-14)
    for name in ("weight", "bias"):
        np.testing.assert_allclose(gradients[f"0.{name}"], parts[f"0.{name}"] + parts[f"2.{name}"], rtol=1e-12)
    tied = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    tied[1].weight = tied[0].weight
    assert [name for name, _ in tied.named_parameters()] == ["0.weight"]
    assert [name for name, _ in tied.named_parameters(remove_duplicate=False)] == ["0.weight", "1.weight"]


def test_parameters_are_saved_as_such(engine: ModuleType, tmp_path: Any) -> None:
    frozen = engine.nn.Parameter([3.0], requires_grad=False)
    engine.save([engine.nn.Parameter([1.0, 2.0]), frozen, engine.tensor([4.0])], tmp_path / "x")
    first, second, third = engine.load(tmp_path / "x")
    assert [type(t) for t in (first, second, third)] == [engine.nn.Parameter, engine.nn.Parameter, engine.Tensor]
    assert (first.requires_grad, second.requires_grad) == (True, False)
    np.testing.assert_array_equal(first.detach(), [1, 2])


def test_functional_call_takes_buffers(engine: ModuleType) -> None:
    layer = engine.nn.BatchNorm1d(4, dtype=np.float64)
    given = {"running_mean": engine.tensor(np.zeros(4)), "running_var": engine.tensor(np.ones(4))}
    expected = layer(engine.tensor(X)).detach().numpy()
    moved = buffers_of(layer)
    layer.reset_running_stats()
    assert (buffers_of(layer)["running_mean"] == 0).all()
    out = engine.nn.functional.functional_call(layer, {**given, "weight": np.ones(4)}, engine.tensor(X))
    np.testing.assert_allclose(out.detach(), expected, rtol=1e-14)
    assert (buffers_of(layer)["running_mean"] == 0).all()
    np.testing.assert_array_equal(given["running_var"], moved["running_var"])
    with pytest.raises(DiffError, match="functional_call: BatchNorm1d has no parameter named 'gain'"):
        engine.nn.functional.functional_call(layer, {"gain": np.ones(4)}, engine.tensor(X))
