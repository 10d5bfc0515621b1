"""Every layer against torch's of the same name: one table of layers drives all checks.

`layers.json` holds what torch 2.13 gave for each row (see `fingerprint`), so that the layers are checked where torch is missing, too.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.arrays import random
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import MemoryBudgetError

STORED = json.loads((Path(__file__).parent / "layers.json").read_text(encoding="utf-8"))


def wave(shape: tuple[int, ...], phase: float) -> np.ndarray:
    """Numbers between -1.3 and 1.3, no two alike, the same on every machine."""
    return 1.3 * np.sin(np.arange(int(np.prod(shape, dtype=int))) * 1.7 + phase).reshape(shape)


class Row(NamedTuple):
    """`make(nn, dtype=...)` makes the layer; `inputs` are shapes of variables, or arrays, of which only the first may be a variable."""

    make: Callable[..., Any]
    inputs: tuple[Any, ...]
    tolerance: float = 1e-12
    """Of the comparison with torch."""

    def arrays(self) -> list[np.ndarray]:
        return [wave(x, 0.3 + i) if isinstance(x, tuple) else x for i, x in enumerate(self.inputs)]

    def tensors(self, tensor: Callable[..., Any]) -> list[Any]:
        variable = [isinstance(x, tuple) or i == 0 and x.dtype.kind == "f" for i, x in enumerate(self.inputs)]
        return [tensor(x, requires_grad=wanted) for x, wanted in zip(self.arrays(), variable, strict=True)]


def state_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Values by name: counts of 3, variances above 1/2, waves for the rest."""
    state: dict[str, Any] = {}
    for i, (name, shape) in enumerate(shapes.items()):
        values = wave(shape, 0.7 * i + 1)
        counted = name.endswith("num_batches_tracked")
        state[name] = np.array(3) if counted else abs(values) + 0.5 if name.endswith("running_var") else values
    return state


# Torch's derivative of `Hardsigmoid` has 1/6 in float32, whatever the dtype.
CLASSES = np.array([0, 2, 1, 2])
SIGNS = np.array([1.0, -1.0, -1.0, 1.0])
CHANCES = 0.02 + 0.9 * abs(np.sin(np.arange(12.0)).reshape(4, 3))
ROWS: dict[str, Row] = {
    "Linear": Row(lambda nn, **k: nn.Linear(3, 2, **k), ((4, 3),)),
    "Linear unbiased": Row(lambda nn, **k: nn.Linear(3, 2, bias=False, **k), ((2, 4, 3),)),
    "Bilinear": Row(lambda nn, **k: nn.Bilinear(2, 3, 4, **k), ((5, 2), (5, 3))),
    "Bilinear unbiased": Row(lambda nn, **k: nn.Bilinear(2, 3, 4, bias=False, **k), ((2, 3, 2), (2, 3, 3))),
    "Conv1d": Row(lambda nn, **k: nn.Conv1d(2, 4, 3, stride=2, padding=1, **k), ((2, 2, 7),)),
    "Conv1d same": Row(lambda nn, **k: nn.Conv1d(2, 4, 4, padding="same", dilation=2, groups=2, **k), ((2, 8),)),
    "Conv1d circular": Row(lambda nn, **k: nn.Conv1d(2, 3, 3, padding=2, padding_mode="circular", **k), ((2, 2, 6),)),
    "Conv2d": Row(lambda nn, **k: nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False, **k), ((2, 3, 5, 4),)),
    "Conv2d grouped": Row(lambda nn, **k: nn.Conv2d(4, 6, 3, groups=2, dilation=(1, 2), padding=2, **k), ((2, 4, 5, 6),)),
    "Conv2d valid": Row(lambda nn, **k: nn.Conv2d(2, 3, 2, padding="valid", **k), ((2, 4, 3),)),
    "Conv2d reflect": Row(lambda nn, **k: nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect", **k), ((2, 2, 4, 5),)),
    "Conv2d replicate": Row(lambda nn, **k: nn.Conv2d(2, 3, 2, padding="same", padding_mode="replicate", **k), ((2, 2, 4, 3),)),
    "Conv3d": Row(lambda nn, **k: nn.Conv3d(2, 2, (2, 1, 2), padding=1, stride=2, **k), ((2, 2, 3, 2, 3),)),
    "ConvTranspose1d": Row(lambda nn, **k: nn.ConvTranspose1d(3, 2, 3, stride=2, padding=1, output_padding=1, **k), ((2, 3, 4),)),
    "ConvTranspose2d": Row(lambda nn, **k: nn.ConvTranspose2d(4, 6, (2, 3), stride=(2, 1), groups=2, **k), ((2, 4, 3, 2),)),
    "ConvTranspose2d dilated": Row(lambda nn, **k: nn.ConvTranspose2d(2, 3, 2, 1, 1, 1, 1, False, 2, **k), ((2, 3, 4),)),
    "ConvTranspose3d": Row(lambda nn, **k: nn.ConvTranspose3d(2, 2, 2, stride=2, **k), ((1, 2, 2, 1, 2),)),
    "MaxPool1d": Row(lambda nn, **k: nn.MaxPool1d(3, 2, 1), ((2, 3, 7),)),
    "MaxPool2d": Row(lambda nn, **k: nn.MaxPool2d(2), ((2, 3, 5, 4),)),
    "MaxPool2d dilated": Row(lambda nn, **k: nn.MaxPool2d((3, 2), stride=1, padding=1, dilation=(1, 2), ceil_mode=True), ((2, 4, 5),)),
    "AvgPool1d": Row(lambda nn, **k: nn.AvgPool1d(3, 2, 1, ceil_mode=True), ((2, 3, 6),)),
    "AvgPool2d": Row(lambda nn, **k: nn.AvgPool2d((2, 3), padding=1, count_include_pad=False), ((2, 3, 5, 4),)),
    "AvgPool2d divided": Row(lambda nn, **k: nn.AvgPool2d(2, 1, divisor_override=3), ((2, 3, 5, 4),)),
    "AdaptiveAvgPool1d": Row(lambda nn, **k: nn.AdaptiveAvgPool1d(3), ((2, 3, 7),)),
    "AdaptiveAvgPool2d": Row(lambda nn, **k: nn.AdaptiveAvgPool2d((2, None)), ((2, 3, 5, 4),)),
    "AdaptiveMaxPool1d": Row(lambda nn, **k: nn.AdaptiveMaxPool1d(3), ((2, 3, 7),)),
    "AdaptiveMaxPool2d": Row(lambda nn, **k: nn.AdaptiveMaxPool2d(2), ((3, 5, 4),)),
    "BatchNorm1d": Row(lambda nn, **k: nn.BatchNorm1d(3, **k), ((5, 3),)),
    "BatchNorm1d long": Row(lambda nn, **k: nn.BatchNorm1d(3, eps=1e-3, momentum=0.3, **k), ((2, 3, 4),)),
    "BatchNorm1d cumulative": Row(lambda nn, **k: nn.BatchNorm1d(3, momentum=None, **k), ((5, 3),)),
    "BatchNorm2d": Row(lambda nn, **k: nn.BatchNorm2d(2, **k), ((3, 2, 2, 3),)),
    "BatchNorm2d evaluated": Row(lambda nn, **k: nn.BatchNorm2d(2, **k).eval(), ((3, 2, 2, 3),)),
    "BatchNorm2d plain": Row(lambda nn, **k: nn.BatchNorm2d(2, affine=False, **k), ((3, 2, 2, 3),)),
    "BatchNorm2d stateless": Row(lambda nn, **k: nn.BatchNorm2d(2, track_running_stats=False, **k).eval(), ((3, 2, 2, 3),)),
    "BatchNorm2d unbiased": Row(lambda nn, **k: nn.BatchNorm2d(2, bias=False, **k), ((3, 2, 2, 3),)),
    "BatchNorm3d": Row(lambda nn, **k: nn.BatchNorm3d(2, **k), ((2, 2, 1, 2, 2),)),
    "LayerNorm": Row(lambda nn, **k: nn.LayerNorm((3, 4), **k), ((2, 3, 4),)),
    "LayerNorm unbiased": Row(lambda nn, **k: nn.LayerNorm(4, eps=1e-3, bias=False, **k), ((2, 3, 4),)),
    "LayerNorm plain": Row(lambda nn, **k: nn.LayerNorm(4, elementwise_affine=False, **k), ((4,),)),
    "GroupNorm": Row(lambda nn, **k: nn.GroupNorm(2, 4, **k), ((2, 4, 3),)),
    "GroupNorm plain": Row(lambda nn, **k: nn.GroupNorm(1, 4, affine=False, **k), ((2, 4, 3, 2),)),
    "InstanceNorm1d": Row(lambda nn, **k: nn.InstanceNorm1d(3, **k), ((3, 5),)),
    "InstanceNorm1d tracking": Row(lambda nn, **k: nn.InstanceNorm1d(3, affine=True, track_running_stats=True, **k), ((2, 3, 5),)),
    "InstanceNorm2d": Row(lambda nn, **k: nn.InstanceNorm2d(3, affine=True, **k), ((2, 3, 2, 3),)),
    "InstanceNorm2d evaluated": Row(lambda nn, **k: nn.InstanceNorm2d(3, track_running_stats=True, **k).eval(), ((2, 3, 2, 3),)),
    "RMSNorm": Row(lambda nn, **k: nn.RMSNorm(4, **k), ((2, 3, 4),)),
    "RMSNorm plain": Row(lambda nn, **k: nn.RMSNorm((3, 4), eps=1e-2, elementwise_affine=False, **k), ((2, 3, 4),)),
    "LocalResponseNorm": Row(lambda nn, **k: nn.LocalResponseNorm(3, alpha=0.1, beta=0.6, k=2.0), ((2, 5, 3),)),
    "Embedding": Row(lambda nn, **k: nn.Embedding(4, 3, **k), (np.array([[0, 3, 1], [1, 1, 2]]),)),
    "Embedding padded": Row(lambda nn, **k: nn.Embedding(4, 3, padding_idx=-3, **k), (np.array([0, 3, 1, 1, 2]),)),
    "Flatten": Row(lambda nn, **k: nn.Flatten(), ((2, 3, 2),)),
    "Unflatten": Row(lambda nn, **k: nn.Unflatten(1, (2, 3)), ((2, 6),)),
    "Identity": Row(lambda nn, **k: nn.Identity(54, unused=1), ((2, 3),)),
    "Dropout": Row(lambda nn, **k: nn.Dropout(0.3).eval(), ((2, 3),)),
    "Dropout1d": Row(lambda nn, **k: nn.Dropout1d(0.3, inplace=True).eval(), ((2, 3, 2),)),
    "Dropout2d": Row(lambda nn, **k: nn.Dropout2d().eval(), ((2, 3, 1, 1),)),
    "Dropout3d": Row(lambda nn, **k: nn.Dropout3d(1).eval(), ((2, 3, 1, 1, 1),)),
    "AlphaDropout": Row(lambda nn, **k: nn.AlphaDropout(0.2).eval(), ((2, 3),)),
    "ReLU": Row(lambda nn, **k: nn.ReLU(), ((2, 3),)),
    "LeakyReLU": Row(lambda nn, **k: nn.LeakyReLU(0.2), ((2, 3),)),
    "ReLU6": Row(lambda nn, **k: nn.ReLU6(), (7 * wave((2, 3), 0.1),)),
    "SiLU": Row(lambda nn, **k: nn.SiLU(), ((2, 3),)),
    "Sigmoid": Row(lambda nn, **k: nn.Sigmoid(), ((2, 3),)),
    "Softmax": Row(lambda nn, **k: nn.Softmax(dim=1), ((2, 3),)),
    "LogSoftmax": Row(lambda nn, **k: nn.LogSoftmax(dim=-1), ((2, 3),)),
    "Tanh": Row(lambda nn, **k: nn.Tanh(), ((2, 3),)),
    "GELU": Row(lambda nn, **k: nn.GELU(), ((2, 3),)),
    "GELU tanh": Row(lambda nn, **k: nn.GELU("tanh"), ((2, 3),)),
    "ELU": Row(lambda nn, **k: nn.ELU(0.7), ((2, 3),)),
    "SELU": Row(lambda nn, **k: nn.SELU(), ((2, 3),)),
    "CELU": Row(lambda nn, **k: nn.CELU(0.5), ((2, 3),)),
    "Softplus": Row(lambda nn, **k: nn.Softplus(2.0, 1.5), ((2, 3),)),
    "Softsign": Row(lambda nn, **k: nn.Softsign(), ((2, 3),)),
    "Hardtanh": Row(lambda nn, **k: nn.Hardtanh(-0.5, 0.9), ((2, 3),)),
    "Hardsigmoid": Row(lambda nn, **k: nn.Hardsigmoid(), (3 * wave((2, 3), 0.1),), 1e-7),
    "Mish": Row(lambda nn, **k: nn.Mish(), ((2, 3),)),
    "LogSigmoid": Row(lambda nn, **k: nn.LogSigmoid(), ((2, 3),)),
    "PReLU": Row(lambda nn, **k: nn.PReLU(**k), ((2, 3, 2),)),
    "PReLU channels": Row(lambda nn, **k: nn.PReLU(3, **k), ((2, 3, 2),)),
    "Threshold": Row(lambda nn, **k: nn.Threshold(0.2, -3.0), ((2, 3),)),
    "Tanhshrink": Row(lambda nn, **k: nn.Tanhshrink(), ((2, 3),)),
    "ZeroPad1d": Row(lambda nn, **k: nn.ZeroPad1d((1, 2)), ((2, 3),)),
    "ZeroPad2d": Row(lambda nn, **k: nn.ZeroPad2d(1), ((1, 2, 3),)),
    "ReflectionPad1d": Row(lambda nn, **k: nn.ReflectionPad1d(2), ((2, 3),)),
    "ReflectionPad2d": Row(lambda nn, **k: nn.ReflectionPad2d((1, 0, 2, 1)), ((2, 3, 4),)),
    "ReplicationPad1d": Row(lambda nn, **k: nn.ReplicationPad1d(2), ((2, 3),)),
    "ReplicationPad2d": Row(lambda nn, **k: nn.ReplicationPad2d((1, 0, 2, 1)), ((2, 3, 4),)),
    "CircularPad1d": Row(lambda nn, **k: nn.CircularPad1d(2), ((2, 3),)),
    "CircularPad2d": Row(lambda nn, **k: nn.CircularPad2d((1, 0, 2, 1)), ((2, 3, 4),)),
    "ConstantPad1d": Row(lambda nn, **k: nn.ConstantPad1d(2, 1.5), ((2, 3),)),
    "ConstantPad2d": Row(lambda nn, **k: nn.ConstantPad2d((1, 0, 2, 1), -1.5), ((2, 3, 4),)),
    "CrossEntropyLoss": Row(lambda nn, **k: nn.CrossEntropyLoss(), ((4, 3), CLASSES)),
    "CrossEntropyLoss smoothed": Row(lambda nn, **k: nn.CrossEntropyLoss(label_smoothing=0.2, reduction="sum"), ((4, 3), CLASSES)),
    "CrossEntropyLoss ignoring": Row(lambda nn, **k: nn.CrossEntropyLoss(ignore_index=2, reduction="none"), ((4, 3), CLASSES)),
    "CrossEntropyLoss soft": Row(lambda nn, **k: nn.CrossEntropyLoss(), ((4, 3), CHANCES)),
    "NLLLoss": Row(lambda nn, **k: nn.NLLLoss(ignore_index=1), ((4, 3), CLASSES)),
    "MSELoss": Row(lambda nn, **k: nn.MSELoss(), ((4, 3), (4, 3))),
    "L1Loss": Row(lambda nn, **k: nn.L1Loss(reduction="none"), ((4, 3), (4, 3))),
    "SmoothL1Loss": Row(lambda nn, **k: nn.SmoothL1Loss(beta=0.7), ((4, 3), (4, 3))),
    "HuberLoss": Row(lambda nn, **k: nn.HuberLoss("sum", 0.7), ((4, 3), (4, 3))),
    "BCELoss": Row(lambda nn, **k: nn.BCELoss(), (CHANCES, CHANCES[::-1].copy())),
    "BCEWithLogitsLoss": Row(lambda nn, **k: nn.BCEWithLogitsLoss(reduction="none"), ((4, 3), CHANCES)),
    "KLDivLoss": Row(lambda nn, **k: nn.KLDivLoss(reduction="batchmean"), ((4, 3), CHANCES)),
    "KLDivLoss log": Row(lambda nn, **k: nn.KLDivLoss(reduction="sum", log_target=True), ((4, 3), (4, 3))),
    "HingeEmbeddingLoss": Row(lambda nn, **k: nn.HingeEmbeddingLoss(0.8), ((4,), SIGNS)),
    "SoftMarginLoss": Row(lambda nn, **k: nn.SoftMarginLoss(), ((4,), SIGNS)),
    "MarginRankingLoss": Row(lambda nn, **k: nn.MarginRankingLoss(0.3), ((4,), (4,), SIGNS)),
}
KINDS = [
    "Linear",
    "Bilinear",
    "Conv2d grouped",
    "Conv2d reflect",
    "ConvTranspose2d",
    "BatchNorm2d",
    "BatchNorm1d cumulative",
    "LayerNorm",
    "GroupNorm",
    "InstanceNorm1d tracking",
    "RMSNorm",
    "PReLU channels",
]
"""One row of each kind of layer that has parameters and takes one or two floating inputs."""

Result = dict[str, np.ndarray]


def ours(engine: ModuleType, row: Row) -> tuple[Any, Result]:
    """The layer, and what comes of one pass through it: the output, all gradients and the buffers afterwards."""
    layer = row.make(engine.nn, dtype=np.float64)
    layer.load_state_dict(state_of({name: tuple(t.shape) for name, t in layer.state_dict().items()}))
    inputs = row.tensors(engine.tensor)
    out = layer(*inputs)
    out.backward(engine.tensor(wave(tuple(out.shape), 2.0)))
    return layer, _result(out.detach().numpy(), layer, inputs)


def theirs(torch: Any, row: Row) -> tuple[Any, Result]:
    layer = row.make(torch.nn, dtype=torch.float64)
    state = state_of({name: tuple(t.shape) for name, t in layer.state_dict().items()})
    layer.load_state_dict({name: torch.tensor(x) for name, x in state.items()})
    inputs = row.tensors(torch.tensor)
    out = layer(*inputs)
    out.backward(torch.tensor(wave(tuple(out.shape), 2.0)))
    return layer, _result(out.detach().numpy(), layer, inputs)


def _result(out: np.ndarray, layer: Any, inputs: list[Any]) -> Result:
    found = {"out": out}
    found |= {f"input {i}": x.grad.numpy() for i, x in enumerate(inputs) if x.requires_grad}
    found |= {f"gradient {name}": p.grad.numpy() for name, p in layer.named_parameters()}
    return found | {name: b.numpy() for name, b in layer.named_buffers()}


def same(found: Result, expected: Result, tolerance: float) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape
        scale = max(1.0, float(abs(value).max(initial=0)))
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=1e-14 * scale, err_msg=name)


def fingerprint(result: Result) -> dict[str, float]:
    """Each array in one number: its product with a wave."""
    return {name: float((array * wave(array.shape, 0.5)).sum()) for name, array in result.items()}


@pytest.mark.parametrize("name", ROWS)
def test_outputs_gradients_and_printing_are_torch_s(engine: ModuleType, name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    layer, found = ours(engine, ROWS[name])
    other, expected = theirs(torch, ROWS[name])
    same(found, expected, ROWS[name].tolerance)
    assert repr(layer) == repr(other)
    assert {n: tuple(t.shape) for n, t in layer.state_dict().items()} == {n: tuple(t.shape) for n, t in other.state_dict().items()}
    layer.load_state_dict(other.state_dict())


@pytest.mark.parametrize("name", ROWS)
def test_outputs_and_gradients_are_the_stored_ones(engine: ModuleType, name: str) -> None:
    _, found = ours(engine, ROWS[name])
    assert fingerprint(found) == pytest.approx(STORED[name], rel=10 * ROWS[name].tolerance, abs=1e-12)


def test_every_layer_of_a_room_has_a_row(engine: ModuleType) -> None:
    rooms = ("activation", "convolution", "dropout", "embedding", "linear", "losses", "normalisation", "padding", "pooling", "shape")
    layers = {n for n in engine.nn.__all__ if any(f"diffcore.nn.{room}" == b.__module__ for b in _bases(engine, n) for room in rooms)}
    assert layers - {name.split()[0] for name in ROWS} == {"HingeLoss", "LogCoshLoss"}  # which torch has not


def _bases(engine: ModuleType, name: str) -> tuple[type, ...]:
    found = getattr(engine.nn, name)
    return found.__mro__ if isinstance(found, type) else ()


@pytest.mark.parametrize("name", ROWS)
def test_shapes_on_meta_are_the_real_ones(name: str) -> None:
    row = ROWS[name]
    revdiff.manual_seed(1)
    before = random.position().state
    layer = row.make(revdiff.nn, dtype=np.float64, device="meta")
    assert random.position().state == before, "numbers were drawn for nothing"
    real = row.make(revdiff.nn, dtype=np.float64)
    assert {n: tuple(t.shape) for n, t in layer.state_dict().items()} == {n: tuple(t.shape) for n, t in real.state_dict().items()}
    assert all(isinstance(t.array, AbstractArray) for t in [*layer.parameters(), *layer.buffers()])
    out = layer(*(revdiff.tensor(x, device="meta") for x in row.arrays()))
    expected = real(*map(revdiff.tensor, row.arrays()))
    assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
    real.to("meta")
    assert real(*(revdiff.tensor(x, device="meta") for x in row.arrays())).shape == expected.shape


def prepared(engine: ModuleType, name: str) -> tuple[Any, list[np.ndarray], Callable[..., Any]]:
    """A layer with parameters, its inputs, and a scalar of it."""
    layer = ROWS[name].make(engine.nn, dtype=np.float64)
    layer.load_state_dict(state_of({n: tuple(t.shape) for n, t in layer.state_dict().items()}))
    return layer, ROWS[name].arrays(), lambda layer, *xs: ((y := layer(*xs)) * wave(tuple(y.shape), 2.0)).sum()


@pytest.mark.parametrize("name", KINDS)
def test_chunks_of_directions_change_nothing(name: str) -> None:
    layer, inputs, scalar = prepared(dualdiff, name)
    value, expected = dualdiff.value_and_grad(scalar)(layer, *inputs)
    after = {n: b.numpy().copy() for n, b in layer.named_buffers()}
    for mode in ("parameters", "auto"):
        layer, inputs, scalar = prepared(dualdiff, name)
        before = {n: b.numpy().copy() for n, b in layer.named_buffers()}
        with pytest.raises(MemoryBudgetError) as caught:
            dualdiff.value_and_grad(scalar, memory=1, seeding=mode)(layer, *inputs)
        for n, b in layer.named_buffers():
            np.testing.assert_array_equal(b, before[n], err_msg=n)  # a plan moves nothing
        runs = []
        handle = layer.register_forward_pre_hook(lambda module, args: runs.append(1))  # noqa: B023
        found_value, found = dualdiff.value_and_grad(scalar, memory=caught.value.least, seeding=mode)(layer, *inputs)
        handle.remove()
        assert len(runs) > 3
        assert found_value == pytest.approx(value, rel=1e-13)
        for n, gradient in expected.items():
            np.testing.assert_allclose(found[n], gradient, rtol=1e-12, atol=1e-13, err_msg=n)
        for n, b in layer.named_buffers():
            np.testing.assert_array_equal(b, after[n], err_msg=n)


@pytest.mark.parametrize("name", [*KINDS, "MaxPool2d", "AdaptiveAvgPool2d", "Embedding padded"])
def test_jit_gives_the_same(engine: ModuleType, name: str, x64: None) -> None:
    import jax

    layer, inputs, scalar = prepared(engine, name)
    parameters = {n: p.detach().numpy() for n, p in layer.named_parameters()}
    buffers = {n: b.numpy().copy() for n, b in layer.named_buffers()}

    @jax.jit
    def compiled(parameters: Any, buffers: Any, *xs: Any) -> Any:
        held = {n: engine.Tensor(b) for n, b in buffers.items()}

        def loss(parameters: Any, *xs: Any) -> Any:
            return scalar(lambda *xs: engine.nn.functional.functional_call(layer, {**parameters, **held}, *xs), *xs)

        return engine.value_and_grad(loss)(parameters, *xs), {n: b.array for n, b in held.items()}

    (value, gradients), moved = compiled(parameters, buffers, *inputs)
    for n, b in layer.named_buffers():
        np.testing.assert_array_equal(b, buffers[n], err_msg=n)  # those of the layer are untouched
    expected_value, expected = engine.value_and_grad(scalar)(layer, *inputs)
    assert float(value) == pytest.approx(float(expected_value), rel=1e-12)
    for n, gradient in expected.items():
        np.testing.assert_allclose(gradients[n], gradient, rtol=1e-11, atol=1e-12, err_msg=n)
    for n, b in layer.named_buffers():
        np.testing.assert_allclose(moved[n], b, rtol=1e-12, err_msg=n)
