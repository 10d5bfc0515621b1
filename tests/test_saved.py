"""`revdiff.saved`: every array that a backward pass has been kept ready, with its bytes, its layer and its line."""

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError
from diffcore.ledger import Ledger
from revdiff import nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6)).astype(np.float32)
Y = np.array([0, 2, 1, 2])


class Net(nn.Module):
    """Two layers under names of their own, and an operation of its own between them."""

    def __init__(self, device: Any = None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 5, device=device), nn.ReLU())
        self.last = nn.Linear(5, 3, device=device)

    def forward(self, x: Any) -> Any:
        return self.last(self.first(x).exp())


def loss(net: Any, x: Any, y: Any) -> Any:
    return nn.functional.cross_entropy(net(x), y)


LOSS_LINE = inspect.getsourcelines(loss)[1] + 1
EXP_LINE = inspect.getsourcelines(Net.forward)[1] + 1


@pytest.fixture
def found() -> Any:
    return revdiff.saved(loss, Net(), X, Y)


def test_rows_tell_what_is_kept_and_by_whom(found: Any) -> None:
    assert [(row.op, row.name, row.layer, row.shape, row.dtype, row.bytes, row.role, row.again) for row in found] == [
        ("linear", "x", "first.0", (4, 6), "float32", 96, "input", False),
        ("relu", "out", "first.1", (3,), "uint8", 3, "residual", False),
        ("exp", "out", "", (4, 5), "float32", 80, "residual", False),
        ("linear", "x", "last", (4, 5), "float32", 80, "residual", True),
        ("linear", "weight", "last", (3, 5), "float32", 60, "parameter", False),
        ("cross_entropy", "target", "", (4,), "int64", 32, "input", False),
        ("cross_entropy", "softmax", "", (4, 3), "float32", 48, "residual", False),
    ]
    assert (found.total, found.alive, len(found)) == (3 + 80 + 48, 96 + 60 + 32, 7)


def test_rows_tell_the_line_of_the_user_s_code(found: Any) -> None:
    lines = [row.line for row in found]
    assert lines == [EXP_LINE] * 5 + [LOSS_LINE] * 2
    assert {row.file for row in found} == {__file__}
    assert [row.function for row in found] == ["forward"] * 5 + ["loss"] * 2


def test_the_table_fits_80_columns_and_says_both_totals(found: Any) -> None:
    lines = str(found).splitlines()
    assert lines[0].split() == ["keeps", "layer", "array", "bytes", "from"]
    assert lines[4].split() == ["linear.x", "last", "f32[4,5]", "80", "=", f"test_saved.py:{EXP_LINE}"]
    assert lines[8:11] == [
        "",
        "131 bytes kept for the backward pass alone",
        "188 bytes of parameters, buffers and inputs, alive anyway",
    ]
    deep = nn.Sequential(nn.Sequential(nn.Sequential(nn.Sequential(Net()))))
    for _ in range(8):
        deep = nn.Sequential(deep)
    shown = str(revdiff.saved(deep, X))
    assert max(map(len, shown.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" in shown
    assert "=  listed above, counted once" in shown


def test_numbers_for_machines(found: Any) -> None:
    kept = found.to_dict()
    assert (kept["total"], kept["alive"]) == (found.total, found.alive)
    assert kept["residuals"][2]["op"] == "exp"
    assert kept["residuals"][2]["shape"] == (4, 5)


@pytest.mark.parametrize("kind", ["numpy", "jax", "meta"])
def test_every_backend_keeps_the_same(kind: str, found: Any) -> None:
    if kind == "jax":
        import jax.numpy as jnp

        own, x, y = Net("jax"), jnp.asarray(X), jnp.asarray(Y.astype(np.int32))
    else:
        device = "meta" if kind == "meta" else None
        own, x, y = Net(device), revdiff.tensor(X, device=device), revdiff.tensor(Y, device=device)
    here = revdiff.saved(loss, own, x, y)
    assert [(row.op, row.name, row.layer, row.role, row.again) for row in here] == [
        (row.op, row.name, row.layer, row.role, row.again) for row in found
    ]
    assert here.total == found.total + (kind == "jax") * 17  # of 20 booleans, 17 bytes more than of 20 bits


def test_a_recorded_tensor_is_listed_without_layers() -> None:
    net, x = Net(), revdiff.tensor(X)
    value = loss(net, x, Y)
    here = revdiff.saved(value, x, Y)
    assert (here.total, here.alive) == (131, 188)
    assert {(row.layer, row.file, row.line) for row in here} == {("", "", 0)}
    assert Counter(row.role for row in revdiff.saved(value)) == {"residual": 6, "parameter": 1}
    with revdiff.autograd.detect_anomaly():
        assert {row.line for row in revdiff.saved(loss(net, x, Y))} == {EXP_LINE, LOSS_LINE}


def test_arrays_are_variables_where_there_is_nothing_else_to_differentiate_by() -> None:
    w = np.ones((6, 2))
    here = revdiff.saved(lambda x, w: (x @ w).tanh().sum(), X.astype(float), w)
    names = [("matmul", "a", "input"), ("matmul", "b", "input"), ("tanh", "out", "residual")]
    assert [(row.op, row.name, row.role) for row in here] == names
    variable = revdiff.tensor(w, requires_grad=True)
    here = revdiff.saved(lambda x, w: (x @ w).tanh().sum(), X.astype(float), variable)
    assert [(row.op, row.name, row.role) for row in here] == [names[0], names[2]]


def test_structures_and_several_results() -> None:
    here = revdiff.saved(lambda p: {"a": p["x"].exp(), "b": [p["x"].exp()]}, {"x": np.ones(3)})
    assert [row.op for row in here] == ["exp", "exp"]
    assert here.total == 48


def test_memory_that_views_share_is_counted_once() -> None:
    x = revdiff.tensor(np.ones((4, 6)), requires_grad=True)
    y = x.exp()
    here = revdiff.saved((y.reshape(24) ** 2).sum() + (y[0] ** 2).sum())
    assert here.total == 4 * 6 * 8
    assert [(row.op, row.again, row.bytes) for row in here] == [("exp", False, 192), ("pow", True, 192), ("pow", True, 192)]


def test_variables_seen_through_views_are_told_apart() -> None:
    w = revdiff.tensor(np.ones((2, 6)), requires_grad=True)
    here = revdiff.saved((w.reshape(12) ** 2).sum())
    assert (here.total, here.alive) == (0, 96)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh])
@pytest.mark.parametrize("use", [lambda y: y.sum(), lambda y: (y * y).sum(), lambda y: nn.functional.dropout(y)])
def test_layers_recorded_in_one_node_keep_the_same(activation: Any, use: Any) -> None:
    """Those of a `Sequential`; they are looked at one by one while lines are noted."""
    layers = [nn.Linear(6, 5), activation(), nn.Linear(5, 4), activation(), activation(), nn.Tanh(), nn.Linear(4, 8), activation()]
    net, one = nn.Sequential(*layers), revdiff.tensor(1.0, requires_grad=True)

    def run(net: Any) -> Any:
        return use(net(nn.functional.relu(revdiff.tensor(X) * one)))

    together, one_by_one = revdiff.saved(run(net)), revdiff.saved(run, net)
    rows = [[(row.op, row.name, row.shape, row.dtype, row.again) for row in here] for here in (together, one_by_one)]
    assert rows[0] == rows[1]
    assert together.total == one_by_one.total
    revdiff.manual_seed(0)
    run(net).sum().backward()
    found = [parameter.grad.numpy() for parameter in net.parameters()]
    net.zero_grad()
    revdiff.manual_seed(0)
    with revdiff.autograd.detect_anomaly():
        run(net).sum().backward()
    for gradient, parameter in zip(found, net.parameters(), strict=True):
        np.testing.assert_array_equal(gradient, parameter.grad.numpy())


def test_what_a_function_of_users_saves_is_listed() -> None:
    class Scaled(revdiff.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(y, revdiff.tensor(np.ones(7)))
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            y, _ = ctx.saved_tensors
            return g * 2 + 0 * y, None

    x = revdiff.tensor(np.ones(3), requires_grad=True)
    here = revdiff.saved(Scaled.apply(x, np.full(3, 2.0)).sum())
    assert [(row.op, row.shape) for row in here] == [("Scaled", (3,)), ("Scaled", (7,))]


def test_nothing_recorded_and_a_freed_graph_are_errors() -> None:
    x = revdiff.tensor(X, requires_grad=True)
    y = x.exp().sum()
    y.backward()
    with pytest.raises(GradientError, match=r"^saved: this graph was freed by a backward pass: ask before it"):
        revdiff.saved(y)
    with pytest.raises(GradientError, match=r"^saved: nothing was recorded: no parameter and no input .* requires grad$"):
        revdiff.saved(x.detach())
    with pytest.raises(GradientError, match="nothing was recorded"):
        revdiff.saved(lambda i: i * 2, np.arange(3))


@pytest.mark.parametrize(
    ("source", "got"),
    [
        (lambda x: None, "nothing"),
        (lambda x: "loss", "str"),
        (lambda x: (x.tolist(), 3), "float, int"),
        (lambda x: dualdiff.tensor(X), "dualdiff.tensor.Tensor"),
        (X, "numpy.ndarray"),
    ],
)
def test_what_holds_no_tensor_is_named(source: Any, got: str) -> None:
    x = revdiff.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match=f"^saved: nothing was recorded: there must be a tensor of revdiff's, got {got}$"):
        revdiff.saved(source, x)


def test_recording_is_switched_on_and_back() -> None:
    with revdiff.no_grad():
        assert revdiff.saved(loss, Net(), X, Y).total == 131
        assert not revdiff.is_grad_enabled()


def meta(shape: tuple[int, ...], **options: Any) -> Any:
    return revdiff.tensor(np.zeros(shape, np.float32), device="meta", **options)


LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "batch norm and pooling": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3, device="meta"), nn.BatchNorm2d(3, device="meta"), nn.ReLU(), nn.MaxPool2d(2)),
        (4, 2, 8, 8),
    ),
    "dropout": (lambda: nn.Sequential(nn.Linear(5, 8, device="meta"), nn.Dropout(0.5), nn.GELU(), nn.Linear(8, 2, device="meta")), (3, 5)),
    "recurrent": (lambda: nn.LSTM(3, 4, device="meta"), (5, 2, 3)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, device="meta"), (5, 2, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_to_the_byte_what_the_ledger_books(name: str) -> None:
    make, shape = LAYERS[name]
    with Ledger() as ledger:
        with ledger.role("parameter"):
            net = make()
        with ledger.role("input"):
            x = meta(shape)
        out = net(x)
        here = revdiff.saved(out, x)
        assert here.total == ledger.live["residual"] > 0
        del out
        assert revdiff.saved(net, x).total == here.total
