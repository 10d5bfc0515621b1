"""Multi-head attention and the transformer's encoder against torch's and against the formula written out."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(5)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is the oracle here")


def as_torch_prints(layer: Any) -> str:
    """The text of a layer; PyTorch has a class of its own for the last projection."""
    return repr(layer).replace("NonDynamicallyQuantizableLinear", "Linear")


def pair(engine: ModuleType, torch: Any, name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    ours = getattr(engine.nn, name)(*args, dtype=np.float64, **options)
    theirs = getattr(torch.nn, name)(*args, dtype=torch.float64, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == as_torch_prints(theirs)
    for p in theirs.parameters():
        torch.nn.init.normal_(p)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def same(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-13 * max(1.0, float(abs(b).max())))


def hidden(shape: tuple[int, ...], kind: str) -> Any:
    """A mask that leaves out about a third, never the first key; of booleans or of numbers."""
    mask = np.random.default_rng(1).random(shape) < 0.35
    mask[..., 0] = False
    return mask if kind == "bool" else np.where(mask, -np.inf, np.random.default_rng(2).normal(size=shape))


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch first": {"layer": {"batch_first": True}},
    "without bias": {"layer": {"bias": False}},
    "without a batch": {"batched": False},
    "keys of other widths": {"layer": {"kdim": 3, "vdim": 5}, "apart": "all"},
    "keys of other widths, without bias": {"layer": {"kdim": 3, "bias": False}, "apart": "all"},
    "other queries": {"apart": "query"},
    "other queries, without bias": {"apart": "query", "layer": {"bias": False, "batch_first": True}},
    "all different": {"apart": "all"},
    "weights by head": {"call": {"average_attn_weights": False}},
    "weights by head without a batch": {"call": {"average_attn_weights": False}, "batched": False},
    "without weights": {"call": {"need_weights": False}},
    "masks of booleans": {"attn": "bool", "padding": "bool"},
    "masks of numbers": {"attn": "float", "padding": "float"},
    "mask for each head": {"attn": "bool", "by head": True},
    "mask of numbers for each head": {"attn": "float", "by head": True, "layer": {"batch_first": True}},
    "padding": {"padding": "bool", "call": {"need_weights": False}},
    "padding without a batch": {"padding": "bool", "batched": False},
    "causal": {"attn": "causal", "call": {"is_causal": True}},
    "causal without weights": {"attn": "causal", "call": {"is_causal": True, "need_weights": False}},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_attention_equals_torch(engine: ModuleType, torch: Any, case: str) -> None:
    options = OPTIONS[case]
    ours, theirs = pair(engine, torch, "MultiheadAttention", 4, 2, **options.get("layer", {}))
    batched, apart, n, length = options.get("batched", True), options.get("apart"), 3, 2
    keys = 5 if apart else length

    def inputs(time: int, width: int) -> tuple[Any, Any]:
        shape = (time, width) if not batched else (n, time, width) if ours.batch_first else (time, n, width)
        value = RNG.normal(size=shape)
        return engine.tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)

    query = inputs(length, 4)
    key = query if apart is None else inputs(keys, ours.kdim)
    value = inputs(keys, ours.vdim) if apart == "all" else key
    masks: dict[str, Any] = {}
    if attn := options.get("attn"):
        shape = (n * 2, length, keys) if "by head" in options else (length, keys)
        masks["attn_mask"] = ~np.tri(length, keys, dtype=bool) if attn == "causal" else hidden(shape, attn)
    if "padding" in options:
        masks["key_padding_mask"] = hidden((n, keys) if batched else (keys,), options["padding"])
    call = options.get("call", {})
    out, weights = ours(query[0], key[0], value[0], **{k: engine.tensor(m) for k, m in masks.items()}, **call)
    wanted, given = theirs(query[1], key[1], value[1], **{k: torch.tensor(m) for k, m in masks.items()}, **call)
    same(out.detach(), wanted.detach())
    assert out.shape == tuple(wanted.shape)
    assert (weights is None) == (given is None)
    total, other = (out * out).sum(), (wanted * wanted).sum()
    if weights is not None:
        assert weights.shape == tuple(given.shape)
        same(weights.detach(), given.detach())
        total, other = total + (weights * weights).sum(), other + (given * given).sum()
    total.backward()
    other.backward()
    for a, b in [*{id(a): (a, b) for a, b in (query, key, value)}.values(), *zip(ours.parameters(), theirs.parameters(), strict=True)]:
        same(a.grad, b.grad)


def test_attention_follows_its_formula(engine: ModuleType) -> None:
    layer, x = engine.nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float64), RNG.normal(size=(2, 3, 4))
    state = {name: value.numpy() for name, value in layer.state_dict().items()}
    q, k, v = (x @ w.T for w in np.split(state["in_proj_weight"], 3))
    heads = []
    for head in (slice(0, 2), slice(2, 4)):
        e = np.exp(q[..., head] @ k[..., head].mT / np.sqrt(2))
        heads.append((e / e.sum(-1, keepdims=True), v[..., head]))
    joined = np.concatenate([a @ b for a, b in heads], axis=-1)
    for inputs in ((engine.tensor(x),) * 3, [engine.tensor(x) for _ in range(3)]):
        out, weights = layer(*inputs)
        np.testing.assert_allclose(out.detach(), joined @ state["out_proj.weight"].T, rtol=1e-12)
        np.testing.assert_allclose(weights.detach(), sum(a for a, _ in heads) / 2, rtol=1e-12)


def test_a_query_that_may_attend_to_nothing_gathers_nothing(engine: ModuleType) -> None:
    layer, x = engine.nn.MultiheadAttention(4, 2, batch_first=True), engine.tensor(RNG.normal(size=(2, 3, 4)).astype(np.float32))
    padding = np.array([[False, True, False], [True, True, True]])
    for mask in (padding, np.where(padding, -np.inf, 0).astype(np.float32)):
        out, weights = layer(x, x, x, key_padding_mask=engine.tensor(mask))
        assert not out[1].detach().numpy().any()
        assert not weights[1].detach().numpy().any()
        assert np.isfinite(out.detach().numpy()).all()
        (out * out).sum().backward()
        assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters())


def test_initial_values(engine: ModuleType) -> None:
    engine.manual_seed(0)
    layer = engine.nn.MultiheadAttention(32, 4)
    bound = np.sqrt(6 / (4 * 32))
    weight = layer.in_proj_weight.detach().numpy()
    assert 0.97 * bound < abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    assert not layer.in_proj_bias.detach().numpy().any()
    assert not layer.out_proj.bias.detach().numpy().any()
    assert abs(layer.out_proj.weight.detach().numpy()).max() <= 1 / np.sqrt(32)


def test_dropout_of_weights_in_training_alone(engine: ModuleType) -> None:
    layer, x = engine.nn.MultiheadAttention(4, 2, dropout=0.5), engine.tensor(np.ones((4, 2, 4), np.float32))
    engine.manual_seed(3)
    weights = layer(x, x, x, average_attn_weights=False)[1].detach().numpy()
    assert set(np.unique(weights.round(6))) == {0.0, 0.5}
    assert np.allclose(layer.eval()(x, x, x)[1].detach(), 0.25)


REFUSED: list[tuple[Any, type, str]] = [
    (lambda nn: nn.MultiheadAttention(5, 2), ArgumentError, r"divisible by num_heads.* `embed_dim` \(=5\), `num_heads` \(=2\)"),
    (lambda nn: nn.MultiheadAttention(4, 2, add_bias_kv=True), ArgumentError, r"`add_bias_kv` \(=True\) must be False"),
    (lambda nn: nn.MultiheadAttention(4, 2, add_zero_attn=True), ArgumentError, r"`add_zero_attn` \(=True\)"),
    (lambda nn: nn.MultiheadAttention(4, 2, dropout=2), ArgumentError, r"`dropout` \(=2\)"),
    (lambda nn: called(nn, (3, 2, 5)), ShapeError, r"4, 4 and 4 features.* got \(3, 2, 5\), \(3, 2, 5\), \(3, 2, 5\)"),
    (lambda nn: called(nn, (3, 2, 4), (3, 4), (3, 4)), ShapeError, "3-D .* or 2-D all three"),
    (lambda nn: called(nn, (3, 2, 4), (5, 2, 4), (4, 2, 4)), ShapeError, "as many values as keys"),
    (lambda nn: called(nn, (3, 2, 4), (5, 1, 4), (5, 1, 4)), ShapeError, "one batch size"),
    (lambda nn: called(nn, (3, 2, 4), dtype=np.float64), DTypeError, "`query` has dtype float64, but the weights have float32"),
    (lambda nn: called(nn, (3, 2, 4), is_causal=True), ArgumentError, "need attn_mask if specifying the is_causal hint"),
    (lambda nn: called(nn, (3, 2, 4), attn_mask=np.zeros((3, 4), bool)), ShapeError, r"`attn_mask` of shape \(3, 3\) or \(4, 3, 3\)"),
    (lambda nn: called(nn, (3, 2, 4), attn_mask=np.zeros((3, 3), int)), DTypeError, "only bool and floating types"),
    (lambda nn: called(nn, (3, 2, 4), key_padding_mask=np.zeros((3, 2), bool)), ShapeError, r"`key_padding_mask` of shape \(2, 3\)"),
    (lambda nn: nn.TransformerEncoderLayer(4, 2, 3, activation="tanh"), ValueError, r"`activation` \(='tanh'\) should be 'relu' or 'gelu'"),
    (lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3), 0), ValueError, r"`num_layers` \(=0\)"),
]


def called(nn: Any, query: Any, key: Any = None, value: Any = None, dtype: Any = np.float32, **options: Any) -> Any:
    x = revdiff.tensor(np.zeros(query, dtype))
    k, v = (x if shape is None else revdiff.tensor(np.zeros(shape, dtype)) for shape in (key, value))
    return nn.MultiheadAttention(4, 2)(x, k, v, **options)


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_does_not_fit_is_named(i: int) -> None:
    call, error, match = REFUSED[i]
    with pytest.raises(error, match=match):
        call(revdiff.nn)


# ------------------------------------------------------------------------------------------------ the encoder

ENCODERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "norm first": {"norm_first": True},
    "gelu, batch first": {"activation": "gelu", "batch_first": True},
    "without bias": {"bias": False, "layer_norm_eps": 0.1},
}


@pytest.mark.parametrize("case", ENCODERS)
@pytest.mark.parametrize("masked", [False, True])
def test_encoder_layers_equal_torch(engine: ModuleType, torch: Any, case: str, masked: bool) -> None:
    ours, theirs = pair(engine, torch, "TransformerEncoderLayer", 4, 2, 6, dropout=0.0, **ENCODERS[case])
    value = RNG.normal(size=(3, 2, 4))
    x, t = engine.tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)
    n, length = (3, 2) if ours.self_attn.batch_first else (2, 3)
    masks = {"src_mask": hidden((length, length), "bool"), "src_key_padding_mask": hidden((n, length), "bool")} if masked else {}
    out, wanted = ours(x, **masks), theirs(t, **{k: torch.tensor(m) for k, m in masks.items()})
    same(out.detach(), wanted.detach())
    (out * x).sum().backward()
    (wanted * t).sum().backward()
    for a, b in [(x, t), *zip(ours.parameters(), theirs.parameters(), strict=True)]:
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-11, atol=1e-11)


def test_encoders_equal_torch(engine: ModuleType, torch: Any) -> None:
    def built(nn: Any, dtype: Any) -> Any:
        layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.3, batch_first=True, dtype=dtype)
        return nn.TransformerEncoder(layer, 2, nn.LayerNorm(4, dtype=dtype))

    ours, theirs = built(engine.nn, np.float64), built(torch.nn, torch.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == as_torch_prints(theirs)
    first, second = (dict(layer.named_parameters()) for layer in ours.layers)
    assert all(first[name] is not second[name] and np.array_equal(first[name].detach(), second[name].detach()) for name in first)
    ours.load_state_dict(theirs.state_dict())
    x, padding = RNG.normal(size=(3, 5, 4)), hidden((3, 5), "bool")
    assert not np.array_equal(ours(engine.tensor(x)).detach(), ours(engine.tensor(x)).detach())  # dropout
    out = ours.eval()(engine.tensor(x), src_key_padding_mask=engine.tensor(padding))
    wanted = theirs.train()
    for module in wanted.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    same(out.detach(), wanted(torch.tensor(x), src_key_padding_mask=torch.tensor(padding)).detach())


def loss_of(engine: ModuleType) -> Any:
    return lambda net, x: (net(x) ** 2).mean()


def encoder(engine: ModuleType, **options: Any) -> Any:
    engine.manual_seed(2)
    return engine.nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0, dtype=np.float64, activation="gelu", **options)


@pytest.mark.parametrize("batch_first", [False, True])
def test_forward_mode_equals_reverse_mode_in_every_seeding(batch_first: bool) -> None:
    x, options = RNG.normal(size=(3, 2, 2)), {"batch_first": batch_first, "norm_first": True}
    value, expected = revdiff.value_and_grad(loss_of(revdiff))(encoder(revdiff, **options), x)
    for how in ({"seeding": "parameters"}, {"seeding": "activations"}, {"seeding": "auto"}, {"seeding": "auto", "memory": "64KB"}):
        found, gradients = dualdiff.value_and_grad(loss_of(dualdiff), **how)(encoder(dualdiff, **options), x)
        np.testing.assert_allclose(found, value, rtol=1e-13)
        for name in expected:
            np.testing.assert_allclose(gradients[name], expected[name], rtol=1e-10, atol=1e-13, err_msg=f"{name} {how}")


def test_the_encoder_runs_under_jit(same_under_jit: Any) -> None:
    same_under_jit(revdiff, encoder(revdiff), loss_of(revdiff), RNG.normal(size=(3, 2, 2)))


def test_the_encoder_without_values(engine: ModuleType) -> None:
    layer = engine.nn.TransformerEncoderLayer(8, 2, 16, device="meta", batch_first=True)
    net = engine.nn.TransformerEncoder(layer, 2)
    assert all(isinstance(p.array, AbstractArray) for p in net.parameters())
    x = engine.tensor(np.zeros((2, 5, 8), np.float32), device="meta")
    assert net(x, src_key_padding_mask=engine.tensor(np.zeros((2, 5), bool), device="meta")).shape == (2, 5, 8)
    layer = engine.nn.MultiheadAttention(8, 2, kdim=3, device="meta")
    key = engine.tensor(np.zeros((6, 4, 3), np.float32), device="meta")
    query, value = (engine.tensor(np.zeros((length, 4, 8), np.float32), device="meta") for length in (5, 6))
    out, weights = layer(query, key, value)
    assert (out.shape, weights.shape) == ((5, 4, 8), (4, 5, 6))
