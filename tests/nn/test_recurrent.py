"""Recurrent layers against torch's and against their formulas written out: outputs, states, gradients, seedings, cost."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import recurrent_in_place
from diffcore.kernels.recurrent import recurrent
from diffcore.ledger import Ledger
from dualdiff.seeding import Site

RNG = np.random.default_rng(3)
KINDS = ("RNN", "LSTM", "GRU")


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is the oracle here")


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def formula(kind: str, x: Any, state: tuple[Any, ...], w: dict[str, Any], act: Any = np.tanh) -> tuple[Any, ...]:
    """One step written out gate by gate; `w` by PyTorch's names without their suffix."""

    def gate(i: int, scale: Any = 1.0) -> Any:
        rows = slice(i * h.shape[-1], (i + 1) * h.shape[-1])
        return x @ w["weight_ih"][rows].T + w["bias_ih"][rows] + scale * (h @ w["weight_hh"][rows].T + w["bias_hh"][rows])

    h = state[0]
    if kind == "RNN":
        return (act(gate(0)),)
    if kind == "LSTM":
        c = sigmoid(gate(1)) * state[1] + sigmoid(gate(0)) * np.tanh(gate(2))
        return sigmoid(gate(3)) * np.tanh(c), c
    r, z = sigmoid(gate(0)), sigmoid(gate(1))
    return ((1 - z) * np.tanh(gate(2, r)) + z * h,)


def weights_of(net: Any, suffix: str = "") -> dict[str, Any]:
    """Parameters by name without `suffix`; biases that are absent are 0."""
    found = {name.removesuffix(suffix): p.detach().numpy() for name, p in net.named_parameters() if name.endswith(suffix)}
    return {"bias_ih": np.zeros(len(found["weight_ih"])), "bias_hh": np.zeros(len(found["weight_ih"])), **found}


def states_of(hx: Any) -> tuple[Any, ...]:
    return tuple(hx) if isinstance(hx, tuple | list) else (hx,)


def given(kind: str, make: Any, values: list[Any]) -> Any:
    """Initial states as the layer takes them."""
    made = [make(v) for v in values[: 2 if kind == "LSTM" else 1]]
    return tuple(made) if kind == "LSTM" else made[0]


OPTIONS: list[tuple[dict[str, Any], bool, bool]] = [
    ({}, True, False),
    ({}, True, True),
    ({"bias": False}, True, True),
    ({"batch_first": True}, True, True),
    ({"batch_first": True, "bidirectional": True, "num_layers": 2}, True, True),
    ({"bidirectional": True}, True, False),
    ({"num_layers": 3, "bias": False}, True, False),
    ({"num_layers": 2, "dropout": 1.0}, True, True),  # of which only the second layer's biases and states are left
    ({}, False, True),
    ({"num_layers": 2, "bidirectional": True, "batch_first": True}, False, False),
]


@pytest.mark.parametrize("kind", [*KINDS, "relu"])
@pytest.mark.parametrize(("options", "batched", "starts"), OPTIONS)
def test_outputs_states_and_gradients_equal_torch(
    engine: ModuleType, torch: Any, kind: str, options: dict[str, Any], batched: bool, starts: bool
) -> None:
    kind, options = ("RNN", {"nonlinearity": "relu", **options}) if kind == "relu" else (kind, options)
    ours = getattr(engine.nn, kind)(3, 2, dtype=np.float64, **options)
    theirs = getattr(torch.nn, kind)(3, 2, dtype=torch.float64, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    value = RNG.normal(size=(4, 3, 3) if batched else (4, 3))
    rows = ours.num_layers * (1 + ours.bidirectional)
    batch = (value.shape[0 if ours.batch_first else 1],) if batched else ()
    initial = [RNG.normal(size=(rows, *batch, 2)) for _ in range(2)]
    x, t = engine.tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)
    h = given(kind, lambda v: engine.tensor(v, requires_grad=True), initial) if starts else None
    s = given(kind, lambda v: torch.tensor(v, requires_grad=True), initial) if starts else None
    (out, finals), (expected, ends) = ours(x, h), theirs(t, s)
    total, wanted = 0, 0
    for a, b in zip((out, *states_of(finals)), (expected, *states_of(ends)), strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-15)
        weight = RNG.normal(size=a.shape)
        total, wanted = total + (a * engine.tensor(weight)).sum(), wanted + (b * torch.tensor(weight)).sum()
    total.backward()
    wanted.backward()
    pairs = [(x, t), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    pairs += zip(states_of(h), states_of(s), strict=True) if starts else []
    for a, b in pairs:
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [*KINDS, "relu"])
@pytest.mark.parametrize(("bias", "batched", "starts"), [(True, True, True), (False, True, False), (True, False, True)])
def test_cells_equal_torch(engine: ModuleType, torch: Any, kind: str, bias: bool, batched: bool, starts: bool) -> None:
    extra = {"nonlinearity": "relu"} if kind == "relu" else {}
    kind = "RNN" if kind == "relu" else kind
    ours = getattr(engine.nn, f"{kind}Cell")(3, 2, bias=bias, dtype=np.float64, **extra)
    theirs = getattr(torch.nn, f"{kind}Cell")(3, 2, bias=bias, dtype=torch.float64, **extra)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    lead = (4,) if batched else ()
    value, initial = RNG.normal(size=(*lead, 3)), [RNG.normal(size=(*lead, 2)) for _ in range(2)]
    x, t = engine.tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)
    after = states_of(ours(x, given(kind, engine.tensor, initial) if starts else None))
    ends = states_of(theirs(t, given(kind, torch.tensor, initial) if starts else None))
    for a, b in zip(after, ends, strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-15)
    sum((a * a).sum() for a in after).backward()
    sum((b * b).sum() for b in ends).backward()
    for a, b in [(x, t), *zip(ours.parameters(), theirs.parameters(), strict=True)]:
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_follow_their_formula(engine: ModuleType, kind: str) -> None:
    net = getattr(engine.nn, kind)(3, 2, bidirectional=True, dtype=np.float64)
    x = RNG.normal(size=(4, 2, 3))
    states = 2 if kind == "LSTM" else 1
    out, finals = net(engine.tensor(x))
    for side, order in (("_l0", range(4)), ("_l0_reverse", range(3, -1, -1))):
        at = slice(2) if side == "_l0" else slice(2, 4)
        state = (np.zeros((2, 2)),) * states
        for time in order:
            state = formula(kind, x[time], state, weights_of(net, side))
            np.testing.assert_allclose(out[time, :, at].detach().numpy(), state[0], rtol=1e-12)
        for final, last in zip(states_of(finals), state, strict=True):
            np.testing.assert_allclose(final[0 if side == "_l0" else 1].detach().numpy(), last, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_a_step_of_the_layer(engine: ModuleType, kind: str) -> None:
    cell, net = getattr(engine.nn, f"{kind}Cell")(3, 2, dtype=np.float64), getattr(engine.nn, kind)(3, 2, dtype=np.float64)
    net.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, state = engine.tensor(RNG.normal(size=(3, 4, 3))), None
    out, finals = net(x)
    for time in range(3):
        state = cell(x[time], state)
        np.testing.assert_allclose(states_of(state)[0].detach(), out[time].detach(), rtol=1e-12)
    for a, b in zip(states_of(state), states_of(finals), strict=True):
        np.testing.assert_allclose(a.detach(), b[0].detach(), rtol=1e-12)


def loss_of(engine: ModuleType) -> Any:
    def loss(net: Any, x: Any) -> Any:
        out, finals = net(x)
        return (out * out).mean() + sum((s * (i + 1)).sum() for i, s in enumerate(states_of(finals)))

    return loss


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_have_the_slopes_of_differences(kind: str) -> None:
    revdiff.manual_seed(1)
    net, x = getattr(revdiff.nn, kind)(2, 2, num_layers=2, dtype=np.float64), RNG.normal(size=(3, 2, 2))
    loss, slope = loss_of(revdiff), revdiff.value_and_grad(loss_of(revdiff))(net, x)[1]
    for name, parameter in net.named_parameters():
        direction = RNG.normal(size=parameter.shape)
        values = []
        for step in (1e-5, -1e-5):
            parameter.data += step * direction
            values.append(float(loss(net, revdiff.tensor(x))))
            parameter.data -= step * direction
        np.testing.assert_allclose((values[0] - values[1]) / 2e-5, (slope[name] * direction).sum(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_forward_mode_equals_reverse_mode_in_every_seeding(kind: str, batch_first: bool) -> None:
    options = {"num_layers": 2, "batch_first": batch_first, "dtype": np.float64}
    revdiff.manual_seed(1)
    net, x = getattr(revdiff.nn, kind)(3, 2, **options), RNG.normal(size=(2, 4, 3))
    twin = getattr(dualdiff.nn, kind)(3, 2, **options)
    twin.load_state_dict(net.state_dict())
    value, expected = revdiff.value_and_grad(loss_of(revdiff))(net, x)
    for how in ({"seeding": "parameters"}, {"seeding": "activations"}, {"seeding": "auto"}, {"seeding": "parameters", "memory": "16KB"}):
        found, gradients = dualdiff.value_and_grad(loss_of(dualdiff), **how)(twin, x)
        np.testing.assert_allclose(found, value, rtol=1e-13)
        for name in expected:
            np.testing.assert_allclose(gradients[name], expected[name], rtol=1e-11, atol=1e-13, err_msg=f"{name} {how}")


def planted(site: Site) -> Site:
    """The site that others, on parts of its result, stand for."""
    return site if site.merged is None else planted(site.merged[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_has_one_site_per_step(kind: str) -> None:
    net = getattr(dualdiff.nn, kind)(9, 8, batch_first=True)
    out, _ = net(dualdiff.tensor(RNG.normal(size=(2, 5, 9)).astype(np.float32)))
    sites = {planted(seed) for seed in out.tangents if isinstance(seed, Site)}
    assert len(sites) == 1 + 5  # one of the product for all inputs, and one of each product with a state
    assert sum(len(site.targets) for site in sites) == 2 * 6
    assert all(site.examples for site in sites)


@pytest.mark.parametrize(("engine", "kind"), [(revdiff, "LSTM"), (dualdiff, "GRU")])
def test_layers_run_under_jit(engine: ModuleType, kind: str, same_under_jit: Any) -> None:
    same_under_jit(engine, getattr(engine.nn, kind)(2, 2, dtype=np.float64), loss_of(engine), RNG.normal(size=(2, 2, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_layers_without_values(engine: ModuleType, kind: str) -> None:
    engine.manual_seed(0)
    net = getattr(engine.nn, kind)(3, 4, num_layers=2, bidirectional=True, device="meta", dtype=np.float64)
    assert engine.manual_seed(0).random() == engine.Generator().manual_seed(0).random()
    assert all(isinstance(p.array, AbstractArray) and p.dtype == np.float64 for p in net.parameters())
    out, finals = net(engine.tensor(np.zeros((5, 2, 3)), device="meta"))
    assert out.shape == (5, 2, 8)
    assert all(s.shape == (4, 2, 4) for s in states_of(finals))
    cell = getattr(engine.nn, f"{kind}Cell")(3, 4, device="meta")
    assert states_of(cell(engine.tensor(np.zeros((2, 3), np.float32), device="meta")))[0].shape == (2, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_arithmetic_and_memory_are_linear_in_the_number_of_steps(kind: str) -> None:
    net = getattr(revdiff.nn, kind)(3, 4, device="meta")

    def cost(steps: int) -> tuple[int, int]:
        with Ledger() as ledger:
            revdiff.value_and_grad(lambda net, x: net(x)[0].sum())(net, AbstractArray((steps, 2, 3), np.float32))
        return ledger.flops["primal"] + ledger.flops["adjoint"], ledger.peak

    (flops, peak), (twice, double), (four, quadruple) = map(cost, (8, 16, 32))
    assert four - twice == 2 * (twice - flops)
    assert quadruple - double == 2 * (double - peak)


@pytest.mark.parametrize("kind", [*KINDS, "relu"])
@pytest.mark.parametrize("backwards", [False, True])
def test_blocks_of_times_add_up(torch: Any, kind: str, backwards: bool) -> None:
    """A batch of which two times fill a block: the last block is not full."""
    size, times = recurrent_in_place.ROWS // 2, 5
    w = {name: RNG.normal(size=s) for name, s in parameter_shapes(kind, 3, 2).items()}
    x, states = RNG.normal(size=(times, size, 3)), [RNG.normal(size=(size, 2)) for _ in range(2)]
    operands = [x, states[0], states[1] if kind == "LSTM" else 0, *w.values()]

    def function(*operands: Any) -> Any:
        return recurrent(*operands, kind=kind.lower() if kind != "RNN" else "tanh", reverse=backwards)

    weight = RNG.normal(size=function(*operands).shape)
    argnums = tuple(i for i, a in enumerate(operands) if hasattr(a, "shape"))
    found = revdiff.grad(lambda *a: (function(*a) * weight).sum(), argnums)(*operands)
    tensors = [torch.tensor(a, requires_grad=True) for a in operands if hasattr(a, "shape")]
    t, *rest = tensors
    flat = tuple(rest[-4:])
    layer = getattr(torch, {"RNN": "rnn_tanh", "relu": "rnn_relu"}.get(kind, kind.lower()))
    h = tuple(s[None] for s in rest[:-4]) if kind == "LSTM" else rest[0][None]
    out, *_, last = layer(t.flip(0) if backwards else t, h, flat, True, 1, 0.0, False, False, False)
    out = out.flip(0) if backwards else out
    ((torch.cat((out, last)) if kind == "LSTM" else out) * torch.tensor(weight)).sum().backward()
    for a, b in zip(found, tensors, strict=True):
        np.testing.assert_allclose(a, b.grad.numpy(), rtol=1e-11, atol=1e-12)


def parameter_shapes(kind: str, features: int, size: int) -> dict[str, tuple[int, ...]]:
    return {n: p.shape for n, p in getattr(revdiff.nn, "RNN" if kind == "relu" else kind)(features, size, device="meta").named_parameters()}


@pytest.mark.parametrize(("kind", "arrays"), [("RNN", 1), ("GRU", 1 + 4), ("LSTM", 1 + 5)])
def test_what_is_kept_per_step(kind: str, arrays: int) -> None:
    """The outputs and what the gates have come to, each as large as the state; the rest does not grow with the sequence."""

    def kept(steps: int) -> int:
        net = getattr(revdiff.nn, kind)(3, 4, device="meta")
        with Ledger() as ledger:
            x = AbstractArray((steps, 2, 3), np.float32)
            before = ledger.live.total()
            out, _ = net(revdiff.tensor(x))
            assert out.shape == (steps, 2, 4)
            return ledger.live.total() - before

    assert kept(9) - kept(8) == arrays * 2 * 4 * 4


@pytest.mark.parametrize("operand", [0, 1, 2, 3, 4])
def test_second_derivatives_in_one_operand_alone(operand: int) -> None:
    """Nothing else wants a cotangent, so nothing but what this one reads is kept, and what the gates are derived anew from."""
    shapes = [(2, 1, 1), (1, 1), (1, 1), (4, 1), (4, 1), (4,), (4,)]
    operands = [RNG.normal(size=shape) for shape in shapes]

    def scalar(x: Any) -> Any:
        out = recurrent(*operands[:operand], x, *operands[operand + 1 :], kind="lstm", reverse=False)
        return (out * out).sum()

    found = revdiff.jacobian(revdiff.grad(scalar))(operands[operand])
    np.testing.assert_allclose(found, dualdiff.jacobian(dualdiff.grad(scalar))(operands[operand]), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_program_does_not_grow_with_the_sequence(kind: str) -> None:
    jax = pytest.importorskip("jax", reason="its programs are looked at")
    net = getattr(revdiff.nn, kind)(2, 2, device="jax")
    slopes = revdiff.value_and_grad(lambda net, x: net(x)[0].sum())

    def size(steps: int) -> int:
        return str(jax.make_jaxpr(lambda x: slopes(net, x)[0])(np.zeros((steps, 1, 2), np.float32))).count("\n")

    assert size(3) == size(7)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_values_are_uniform_within_the_bound(engine: ModuleType, kind: str) -> None:
    engine.manual_seed(0)
    for net in (getattr(engine.nn, kind)(20, 25, num_layers=2), getattr(engine.nn, f"{kind}Cell")(20, 25)):
        for values in (p.detach().numpy() for p in net.parameters()):
            assert abs(values).max() <= 0.2
            assert values.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.25)
    engine.manual_seed(0)
    assert np.array_equal(next(getattr(engine.nn, kind)(20, 25).parameters()).detach(), _first(revdiff, kind))


def _first(engine: ModuleType, kind: str) -> Any:
    engine.manual_seed(0)
    return next(getattr(engine.nn, kind)(20, 25).parameters()).detach()


def test_dropout_acts_between_layers_in_training_alone(engine: ModuleType) -> None:
    net, x = engine.nn.GRU(3, 4, num_layers=2, dropout=0.5), engine.tensor(np.ones((6, 2, 3), np.float32))
    assert not np.array_equal(net(x)[0].detach(), net(x)[0].detach())
    engine.manual_seed(4)
    first = net(x)[0].detach()
    engine.manual_seed(4)
    assert np.array_equal(net(x)[0].detach(), first)
    net.eval()
    assert np.array_equal(net(x)[0].detach(), net(x)[0].detach())
    with pytest.warns(UserWarning, match="needs `num_layers` greater than 1"):
        engine.nn.GRU(3, 4, dropout=0.5)


def test_state_carries_on_where_a_sequence_is_cut(engine: ModuleType) -> None:
    net, x = engine.nn.LSTM(3, 4, num_layers=2, dtype=np.float64), engine.tensor(RNG.normal(size=(5, 2, 3)))
    whole, (h, c) = net(x)
    first, state = net(x[:2])
    second, (h2, c2) = net(x[2:], state)
    np.testing.assert_allclose(np.concatenate([first.detach(), second.detach()]), whole.detach(), rtol=1e-14)
    np.testing.assert_allclose(h2.detach(), h.detach(), rtol=1e-14)
    np.testing.assert_allclose(c2.detach(), c.detach(), rtol=1e-14)
    assert net(x[:, :0])[0].shape == (5, 0, 4)
    net.flatten_parameters()


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return revdiff.tensor(np.zeros(shape, dtype))


REFUSED: list[tuple[Any, type, str]] = [
    (lambda nn: nn.RNN(3, 4)(zeros(2, 2, 2)), ShapeError, r"RNN: `input` \(2, 2, 2\) must have 3 features along its last axis, got 2"),
    (lambda nn: nn.RNN(3, 4)(zeros(3)), ShapeError, "expected `input` to be 2D or 3D, got 1D"),
    (lambda nn: nn.GRU(3, 4)(zeros(0, 2, 3)), ShapeError, "sequence length to be larger than 0"),
    (lambda nn: nn.GRU(3, 4)(zeros(2, 2, 3), zeros(1, 3, 4)), ShapeError, r"`hx` of shape \(1, 2, 4\) .* got \(1, 3, 4\)"),
    (lambda nn: nn.GRU(3, 4)(zeros(2, 3), zeros(1, 1, 4)), ShapeError, r"`hx` of shape \(1, 4\)"),
    (lambda nn: nn.LSTM(3, 4)(zeros(2, 2, 3), (zeros(1, 2, 4), zeros(1, 2, 5))), ShapeError, r"`cx` of shape \(1, 2, 4\)"),
    (lambda nn: nn.LSTM(3, 4)(zeros(2, 2, 3), zeros(1, 2, 4)), TypeError, "must be a pair .* got Tensor"),
    (lambda nn: nn.RNN(3, 4)(zeros(2, 2, 3, dtype=np.float64)), DTypeError, "`input` has dtype float64, but the weights have float32"),
    (lambda nn: nn.RNN(3, 4)(zeros(2, 2, 3), zeros(1, 2, 4, dtype=np.float64)), DTypeError, "`hx` has float64"),
    (lambda nn: nn.RNN(3, 4, nonlinearity="sin"), ValueError, r"`nonlinearity` \(='sin'\) must be 'tanh' or 'relu'"),
    (lambda nn: nn.RNNCell(3, 4, nonlinearity="sin"), ValueError, r"`nonlinearity` \(='sin'\)"),
    (lambda nn: nn.LSTM(3, 4, proj_size=2), ValueError, r"`proj_size` \(=2\) must be 0"),
    (lambda nn: nn.LSTM(0, 4), ValueError, r"`input_size` \(=0\) must be greater than zero"),
    (lambda nn: nn.LSTM(3, 4.0), TypeError, r"`hidden_size` \(=4.0\) should be of type int"),
    (lambda nn: nn.LSTM(3, 4, num_layers=0), ValueError, r"`num_layers` \(=0\)"),
    (lambda nn: nn.GRU(3, 4, dropout=1.5, num_layers=2), ValueError, r"`dropout` \(=1.5\) should be a number in range \[0, 1\]"),
    (lambda nn: nn.GRU(3, 4, bias=1), TypeError, r"`bias` \(=1\) should be of type bool"),
    (lambda nn: nn.GRUCell(3, 4)(zeros(2, 2, 3)), ShapeError, "GRUCell: expected `input` to be 1D or 2D, got 3D"),
    (lambda nn: nn.GRUCell(3, 4)(zeros(2, 3), zeros(3, 4)), ShapeError, r"`hx` of shape \(2, 4\) for `input` \(2, 3\), got \(3, 4\)"),
    (lambda nn: nn.LSTMCell(3, 4)(zeros(2, 3), (zeros(2, 4),)), TypeError, "got 1 of them"),
    (lambda nn: nn.RNNCell(3, -1), ValueError, r"`hidden_size` \(=-1\)"),
]


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_does_not_fit_is_named(i: int) -> None:
    call, error, match = REFUSED[i]
    with pytest.raises(error, match=match):
        call(revdiff.nn)
