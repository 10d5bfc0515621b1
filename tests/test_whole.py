"""Whole numbers that are not Python's own: whatever `operator.index` takes does what the integer does; booleans are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import data
from diffcore.errors import ArgumentError, DiffError
from diffcore.whole import integer, whole
from revdiff import nn
from revdiff.optim import lr_scheduler as schedules
from tests.transforms.functions import X, Y, loss

F = nn.functional
Number = Callable[[int], Any]
OWN = np.random.default_rng(0).normal(size=(4, 6))


class Index:
    """What can be an index, and nothing else."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


KINDS: dict[str, Number] = {
    "numpy": np.int64,
    "small": np.int8,
    "array": lambda n: np.array(n, np.int32),
    "tensor": lambda n: revdiff.tensor(n),
    "index": Index,
}


@pytest.fixture(params=KINDS)
def number(request: pytest.FixtureRequest) -> Number:
    """Each kind of whole number in turn."""
    return KINDS[request.param]


def chain() -> Any:
    revdiff.manual_seed(0)
    return nn.Sequential(*[nn.Linear(6, 6, dtype=np.float64) for _ in range(4)])


def called(make: Callable[[], Any], *inputs: Any) -> Any:
    """What a layer makes of inputs of these shapes."""
    revdiff.manual_seed(0)
    layer = make()
    made = layer(*[revdiff.tensor(np.arange(np.prod(n)).reshape(n) % 7, dtype=np.float32) for n in inputs])
    return made[0] if isinstance(made, tuple) else made


def rates(make: Callable[[Any], Any]) -> list[Any]:
    """What a schedule makes of a rate."""
    optimizer = revdiff.optim.SGD([nn.Parameter(np.ones(3))], lr=0.1, momentum=0.9)
    schedule = make(optimizer)
    found = []
    for epoch in range(5):
        optimizer.step()
        schedule.step(*[epoch] * isinstance(schedule, schedules.ReduceLROnPlateau))
        found.append(schedule.get_last_lr())
    return [found, {k: v for k, v in schedule.state_dict().items() if isinstance(v, int)}]


def x(*shape: int) -> Any:
    return revdiff.tensor(OWN.reshape(-1)[: int(np.prod(shape))].reshape(shape))


TRANSFORMS: dict[str, Callable[[Number], Any]] = {
    "argnums": lambda n: [engine.grad(loss, n(1))(X, Y) for engine in (revdiff, dualdiff)],
    "several argnums": lambda n: [engine.grad(loss, (n(1), n(-2)))(X, Y) for engine in (revdiff, dualdiff)],
    "jacobian": lambda n: [engine.jacobian(lambda x, y: x * y, n(1))(X, Y) for engine in (revdiff, dualdiff)],
    "hessian": lambda n: [engine.hessian(loss, n(1))(X, Y) for engine in (revdiff, dualdiff)],
    "sparse Hessian": lambda n: revdiff.hessian(loss, n(1), sparsity="auto")(X, Y).toarray(),
    "patterns": lambda n: [f(loss, n(1))(X, Y).toarray() for f in (revdiff.jacobian_sparsity, revdiff.hessian_sparsity)],
    "directions": lambda n: dualdiff.directions(loss, n(1))(X, Y),
    "chunk_size": lambda n: revdiff.jacobian(lambda x: x * x, chunk_size=n(2))(X),
    "forward_gradient": lambda n: dualdiff.forward_gradient(loss, n(1), directions=n(3), rng=n(5))(X, Y)[1:],
    "memory of tangents": lambda n: dualdiff.value_and_grad(lambda x: (x * x).sum(), memory=n(100))(X[:1, :1]),
    "segments": lambda n: revdiff.checkpoint(chain(), x(4, 6), segments=n(2)),
    "snapshots": lambda n: str(revdiff.checkpoint_schedule(chain(), x(4, 6), snapshots=n(2))),
    "memory of residuals": lambda n: str(revdiff.checkpoint_schedule([lambda x: x * x], x(1), memory=n(100))),
    "as PyTorch's": lambda n: revdiff.utils.checkpoint.checkpoint_sequential(chain(), n(2), x(4, 6)),
}
LAYERS: dict[str, Callable[[Number], Any]] = {
    "Linear": lambda n: called(lambda: nn.Linear(n(3), n(2)), (2, 3)),
    "Bilinear": lambda n: called(lambda: nn.Bilinear(n(3), n(2), n(2)), (2, 3), (2, 2)),
    "Conv2d": lambda n: called(lambda: nn.Conv2d(n(2), n(4), n(3), n(1), n(1), n(1), n(2)), (1, 2, 5, 5)),
    "ConvTranspose1d": lambda n: called(lambda: nn.ConvTranspose1d(n(2), n(2), n(3), n(2), n(1), n(1), groups=n(2)), (1, 2, 5)),
    "Embedding": lambda n: (nn.Embedding(n(5), n(2), padding_idx=n(1)).extra_repr(), F.one_hot(revdiff.tensor([0, 2]), n(4))),
    "BatchNorm1d": lambda n: called(lambda: nn.BatchNorm1d(n(2)), (3, 2)),
    "GroupNorm": lambda n: called(lambda: nn.GroupNorm(n(2), n(4)), (2, 4, 3)),
    "LayerNorm": lambda n: called(lambda: nn.LayerNorm(n(3)), (2, 3)),
    "RMSNorm": lambda n: called(lambda: nn.RMSNorm((n(2), n(3))), (2, 2, 3)),
    "LocalResponseNorm": lambda n: called(lambda: nn.LocalResponseNorm(n(2)), (2, 4, 3)),
    "LSTM": lambda n: called(lambda: nn.LSTM(n(3), n(2), n(2)), (4, 2, 3)),
    "GRUCell": lambda n: called(lambda: nn.GRUCell(n(3), n(2)), (2, 3)),
    "MultiheadAttention": lambda n: called(lambda: nn.MultiheadAttention(n(4), n(2), kdim=n(3)), (3, 2, 4), (2, 2, 3), (2, 2, 4)),
    "TransformerEncoder": lambda n: len(nn.TransformerEncoder(nn.TransformerEncoderLayer(n(4), n(2), n(8)), n(2)).layers),
    "MaxPool2d": lambda n: called(lambda: nn.MaxPool2d(n(2), n(2), n(1)), (2, 2, 6, 6)),
    "AvgPool2d": lambda n: called(lambda: nn.AvgPool2d(n(2), divisor_override=n(3)), (2, 2, 6, 6)),
    "AdaptiveAvgPool1d": lambda n: called(lambda: nn.AdaptiveAvgPool1d(n(2)), (2, 2, 6)),
    "ZeroPad1d": lambda n: called(lambda: nn.ZeroPad1d(n(1)), (2, 2, 6)),
    "ConstantPad2d": lambda n: called(lambda: nn.ConstantPad2d((n(1), n(0), n(2), n(1)), 3.0), (2, 2, 6, 6)),
    "Flatten": lambda n: called(lambda: nn.Flatten(n(1), n(-1)), (2, 2, 6)),
    "Unflatten": lambda n: called(lambda: nn.Unflatten(n(1), (n(2), n(-1))), (2, 6)),
    "PReLU": lambda n: called(lambda: nn.PReLU(n(3)), (2, 3)),
    "losses": lambda n: [f(x(3, 4), revdiff.tensor([0, 1, 2]), ignore_index=n(1)) for f in (F.cross_entropy, F.nll_loss)],
    "dirac_": lambda n: nn.init.dirac_(revdiff.zeros(4, 2, 3), groups=n(2)),
}
OTHERS: dict[str, Callable[[Number], Any]] = {
    "StepLR": lambda n: rates(lambda o: schedules.StepLR(o, n(2))),
    "ConstantLR": lambda n: rates(lambda o: schedules.ConstantLR(o, total_iters=n(2))),
    "LinearLR": lambda n: rates(lambda o: schedules.LinearLR(o, total_iters=n(2))),
    "PolynomialLR": lambda n: rates(lambda o: schedules.PolynomialLR(o, n(2))),
    "CosineAnnealingLR": lambda n: rates(lambda o: schedules.CosineAnnealingLR(o, n(2))),
    "CosineAnnealingWarmRestarts": lambda n: rates(lambda o: schedules.CosineAnnealingWarmRestarts(o, n(2), n(2))),
    "OneCycleLR": lambda n: rates(lambda o: schedules.OneCycleLR(o, 0.1, epochs=n(5), steps_per_epoch=n(2))),
    "a cycle's steps": lambda n: rates(lambda o: schedules.OneCycleLR(o, 0.1, total_steps=n(10))),
    "ReduceLROnPlateau": lambda n: rates(lambda o: schedules.ReduceLROnPlateau(o, patience=n(0), cooldown=n(1))),
    "NewtonCG": lambda n: revdiff.optim.NewtonCG([nn.Parameter(np.ones(3))], max_iter=n(2)).defaults["max_iter"],
    "DataLoader": lambda n: list(data.DataLoader(data.TensorDataset(np.arange(6.0)), batch_size=n(4), num_workers=n(0))),
    "ConcatDataset": lambda n: data.ConcatDataset([data.TensorDataset(np.arange(200.0))] * 2)[n(-3)],
    "random_split": lambda n: [len(part) for part in data.random_split(data.TensorDataset(np.arange(6.0)), [n(4), n(2)])],
    "KFold": lambda n: [list(held) for _, held in data.KFold(n(3)).split(np.arange(6))],
    "RandomSampler": lambda n: len(list(data.RandomSampler(range(5), replacement=True, num_samples=n(3)))),
    "BatchSampler": lambda n: list(data.BatchSampler(range(5), n(2), False)),
    "synthetic": lambda n: data.synthetic.two_moons(n(10), seed=n(3)),
    "manual_seed": lambda n: (revdiff.manual_seed(n(-3)), revdiff.rand(2))[1],
    "zeros": lambda n: revdiff.zeros(n(2), n(3)),
    "FloatTensor": lambda n: revdiff.FloatTensor(n(2)).shape if n is not KINDS["tensor"] else revdiff.FloatTensor(2).shape,
    "eye": lambda n: revdiff.eye(n(2), n(3)),
    "squeeze": lambda n: x(4, 1).squeeze(n(1)).shape,
    "expand": lambda n: x(4, 1).expand(n(-1), n(3)),
    "chunk": lambda n: x(20, 1).chunk(n(3)),
    "rot90": lambda n: revdiff.rot90(x(2, 3), n(3)),
    "tril_indices": lambda n: revdiff.tril_indices(n(3), n(3), n(1)),
    "topk": lambda n: revdiff.topk(x(6), n(2)).values,
    "kthvalue": lambda n: revdiff.kthvalue(x(6), n(2)).values,
    "diff": lambda n: revdiff.diff(x(6), n(2)),
    "tensordot": lambda n: revdiff.tensordot(x(4, 6), x(6, 4), n(1)),
    "tensordot along": lambda n: revdiff.tensordot(x(4, 6), x(6, 4), (n(1), n(0))),
    "norm along": lambda n: revdiff.linalg.norm(x(4, 6), 2, n(1)),
}


def plain(value: Any) -> Any:
    """Arrays and tensors as text, which tells shapes, dtypes and values."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype} {value.shape} {value.tolist()}"
    return value if isinstance(value, int | float | str | dict) else str(value)


@pytest.mark.parametrize("call", {**TRANSFORMS, **LAYERS, **OTHERS}.values(), ids={**TRANSFORMS, **LAYERS, **OTHERS}.keys())
def test_whole_numbers_of_every_kind_do_the_same(number: Number, call: Callable[[Number], Any]) -> None:
    assert plain(call(number)) == plain(call(int))


def test_orders_of_norms_may_be_numpy_s() -> None:
    for order in (1, 2, 3, np.inf):
        np.testing.assert_array_equal(revdiff.linalg.vector_norm(x(4, 6), np.float64(order)).array, np.linalg.norm(OWN.reshape(-1), order))
    np.testing.assert_array_equal(revdiff.norm(x(4, 6), np.int64(1), 1).array, revdiff.norm(x(4, 6), 1, 1).array)


def test_counts_are_kept_as_python_s() -> None:
    """Numpy's overflow: of 100 by 100 features of one byte there would be 16."""
    layer = nn.Linear(np.uint8(200), np.uint8(200))
    assert type(layer.in_features) is int
    assert layer.weight.numel() == 40_000
    schedule = schedules.ReduceLROnPlateau(revdiff.optim.SGD([nn.Parameter(np.ones(3))], lr=0.1), patience=np.int8(3))
    assert type(schedule.state_dict()["patience"]) is int
    assert revdiff.chunk(revdiff.zeros(300), np.int8(2))[0].shape == (150,)
    assert F.conv1d(revdiff.ones(1, 256, 3), revdiff.ones(8, 64, 3), groups=np.int8(4)).shape == (1, 8, 1)


def test_examples_out_of_range_are_refused_on_jax_too() -> None:
    jax = pytest.importorskip("jax")
    held = data.TensorDataset(jax.numpy.arange(6.0))
    assert float(held[np.int64(5)][0]) == 5
    with pytest.raises(IndexError, match="index 6 is out of range for 6 examples"):
        held[np.int64(6)]


def test_jax_s_whole_numbers_do_too() -> None:
    jax = pytest.importorskip("jax")
    four = jax.numpy.int32(4)
    assert whole(four) == 4
    np.testing.assert_array_equal(revdiff.jacobian(lambda x: x * x, chunk_size=four)(X), revdiff.jacobian(lambda x: x * x)(X))
    assert nn.Linear(four, four).weight.shape == (4, 4)


WRONG = [True, np.True_, 2.0, np.float64(2), "2", None, [2], np.array([2]), revdiff.tensor(2.0), revdiff.tensor(True)]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_what_is_no_whole_number_is_none(value: Any) -> None:
    assert whole(value) is None
    with pytest.raises(TypeError, match=r"^topk: argument `k` must be an int, not "):
        integer("topk", "k", value)


@pytest.mark.parametrize("value", [v for v in WRONG if v is not None and not isinstance(v, list | np.ndarray)], ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda n: revdiff.grad(loss, n),
        lambda n: dualdiff.grad(loss, (0, n)),
        lambda n: revdiff.jacobian(loss, chunk_size=n),
        lambda n: dualdiff.forward_gradient(loss, directions=n),
        lambda n: revdiff.checkpoint(chain(), x(4, 6), segments=n),
        lambda n: nn.Linear(3, n),
        lambda n: nn.MultiheadAttention(4, n),
        lambda n: nn.ZeroPad1d(n),
        lambda n: schedules.StepLR(revdiff.optim.SGD([nn.Parameter(np.ones(3))], lr=0.1), n),
        lambda n: data.BatchSampler(range(5), n, False),
        lambda n: revdiff.topk(x(6), n),
        lambda n: F.conv1d(x(1, 2, 3), x(2, 2, 1), groups=n),
    ],
)
def test_wrong_numbers_are_refused_in_one_line(call: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises((TypeError, ValueError, DiffError)) as error:
        call(value)
    text = str(error.value)
    assert "\n" not in text
    assert "`" in text
    assert "integer" in text or "int" in text or "position of an argument" in text or "divisible" in text


@pytest.mark.parametrize("rng", ["7", True, -1, 1.5], ids=repr)
def test_what_draws_no_directions_is_refused(rng: Any) -> None:
    with pytest.raises(TypeError, match=r"forward_gradient: `rng` \(=.*\) must be a numpy.random.Generator, a seed of 0 or more"):
        dualdiff.forward_gradient(loss, rng=rng)(X, Y)


def test_a_column_may_be_named_by_numpy_s(tmp_path: Any) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    for found, wanted in zip(data.load_csv(path, target=np.int64(1)), data.load_csv(path, target=1), strict=False):
        assert str(found) == str(wanted)
    with pytest.raises(ArgumentError, match="must be the name or the position of a column"):
        data.load_csv(path, target=np.int64(2))
