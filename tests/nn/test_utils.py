"""Utilities of gradients and weights against torch's: clipping, norms, vectors, padding; and parameters in two places."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import ArgumentError, DTypeError, GradientError, ShapeError

RNG = np.random.default_rng(8)
SHAPES = ((3, 2), (3,), (2, 2, 2))
VALUES = [RNG.normal(size=shape) * 3 for shape in SHAPES]
GRADIENTS = [RNG.normal(size=shape) * 3 for shape in SHAPES]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is the oracle here")


@pytest.fixture(params=["cpu", "jax"])
def device(request: pytest.FixtureRequest) -> str:
    request.getfixturevalue("x64")
    return request.param


def parameters_of(engine: ModuleType, device: str = "cpu", gradients: Any = GRADIENTS) -> list[Any]:
    """Parameters with gradients, the last without."""
    made = [engine.nn.Parameter(engine.tensor(v, device=device)) for v in (*VALUES, np.ones(2))]
    for parameter, gradient in zip(made, gradients, strict=False):
        parameter.grad = engine.tensor(gradient, device=device)
    return made


def torch_parameters(torch: Any, gradients: Any = GRADIENTS) -> list[Any]:
    made = [torch.nn.Parameter(torch.tensor(v)) for v in (*VALUES, np.ones(2))]
    for parameter, gradient in zip(made, gradients, strict=False):
        parameter.grad = torch.tensor(gradient)
    return made


def same_gradients(ours: list[Any], theirs: list[Any]) -> None:
    assert ours[-1].grad is None
    for a, b in zip(ours[:-1], theirs, strict=False):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, math.inf, 0.5])
@pytest.mark.parametrize("max_norm", [0.5, 1e6, 0])
def test_clipping_by_norm_equals_torch(engine: ModuleType, torch: Any, device: str, norm_type: float, max_norm: float) -> None:
    ours, theirs = parameters_of(engine, device), torch_parameters(torch)
    total = engine.nn.utils.clip_grad_norm_(iter(ours), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert isinstance(total, engine.Tensor)
    assert total.device.startswith(device)
    np.testing.assert_allclose(total.numpy(), expected, rtol=1e-14)
    same_gradients(ours, theirs)
    np.testing.assert_allclose(
        engine.nn.utils.get_total_norm([p.grad for p in ours[:-1]], norm_type).numpy(),
        torch.nn.utils.get_total_norm([p.grad for p in theirs[:-1]], norm_type),
        rtol=1e-14,
    )


def test_norms_by_their_formula(engine: ModuleType) -> None:
    ours, flat = parameters_of(engine), np.concatenate([g.reshape(-1) for g in GRADIENTS])
    total = engine.nn.utils.clip_grad_norm_(ours, 2.0)
    assert float(total) == pytest.approx(np.linalg.norm(flat), rel=1e-14)
    after = np.concatenate([p.grad.numpy().reshape(-1) for p in ours[:-1]])
    np.testing.assert_allclose(after, flat * 2 / (np.linalg.norm(flat) + 1e-6), rtol=1e-14)
    assert float(engine.nn.utils.get_total_norm(GRADIENTS, math.inf)) == abs(flat).max()
    assert float(engine.nn.utils.get_total_norm([])) == 0.0
    alone = parameters_of(engine)[0]
    assert float(engine.nn.utils.clip_grad_norm_(alone, 1.0)) == pytest.approx(np.linalg.norm(GRADIENTS[0]), rel=1e-14)


def test_clipping_by_a_known_norm_and_by_value_equals_torch(engine: ModuleType, torch: Any, device: str) -> None:
    ours, theirs = parameters_of(engine, device), torch_parameters(torch)
    engine.nn.utils.clip_grads_with_norm_(ours, 2.0, engine.tensor(5.0, device=device, dtype=np.float64))
    torch.nn.utils.clip_grads_with_norm_(theirs, 2.0, torch.tensor(5.0, dtype=torch.float64))
    same_gradients(ours, theirs)
    assert engine.nn.utils.clip_grad_value_(ours, 0.25) is None
    torch.nn.utils.clip_grad_value_(theirs, 0.25)
    same_gradients(ours, theirs)
    assert max(abs(p.grad.numpy()).max() for p in ours[:-1]) == 0.25


def test_gradients_normalised(engine: ModuleType, device: str) -> None:
    ours = parameters_of(engine, device)
    before = engine.nn.utils.normalize_grad_(ours, 3.0)
    assert float(before) == pytest.approx(np.linalg.norm(np.concatenate([g.reshape(-1) for g in GRADIENTS])), rel=1e-14)
    assert float(engine.nn.utils.get_total_norm([p.grad for p in ours[:-1]])) == pytest.approx(3, rel=1e-6)
    for parameter, gradient in zip(ours[:-1], GRADIENTS, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), gradient * 3 / (float(before) + 1e-6), rtol=1e-14)
    tiny = parameters_of(engine, device, [np.zeros(shape) for shape in SHAPES])
    engine.nn.utils.normalize_grad_(tiny)
    assert not any(p.grad.numpy().any() for p in tiny[:-1])


def test_gradients_are_changed_in_their_memory(engine: ModuleType) -> None:
    ours = parameters_of(engine)
    held = [(p.grad, p.grad.array) for p in ours[:-1]]
    engine.nn.utils.clip_grad_norm_(ours, 0.1)
    assert all(p.grad is gradient and p.grad.array is memory for p, (gradient, memory) in zip(ours[:-1], held, strict=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_norms_that_are_not_finite(engine: ModuleType, bad: float) -> None:
    ours = parameters_of(engine, gradients=[GRADIENTS[0], np.array([1.0, bad, 1.0]), GRADIENTS[2]])
    with pytest.raises(GradientError, match=r"total norm of order 2.0 for gradients is non-finite \((nan|inf)\)"):
        engine.nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(ours[0].grad.numpy(), GRADIENTS[0])
    with np.errstate(invalid="ignore"):
        engine.nn.utils.clip_grad_norm_(ours, 1.0)
    assert not ours[0].grad.numpy().any() or np.isnan(ours[0].grad.numpy()).all()


def test_clipping_under_jit(engine: ModuleType, x64: None) -> None:
    import jax

    def clipped(gradients: list[Any]) -> Any:
        made = [engine.nn.Parameter(engine.tensor(v)) for v in VALUES]
        for parameter, gradient in zip(made, gradients, strict=True):
            parameter.data = jax.numpy.asarray(parameter.array)
            parameter.grad = gradient
        total = engine.nn.utils.clip_grad_norm_(made, 1.0)
        return total.array, [p.grad.array for p in made]

    ours = parameters_of(engine)
    total = engine.nn.utils.clip_grad_norm_(ours, 1.0)
    found, gradients = jax.jit(clipped)([jax.numpy.asarray(g) for g in GRADIENTS])
    np.testing.assert_allclose(found, total.numpy(), rtol=1e-14)
    for a, b in zip(gradients, ours, strict=False):
        np.testing.assert_allclose(a, b.grad.numpy(), rtol=1e-13)
    with pytest.raises(GradientError, match="needs values"):
        jax.jit(lambda g: engine.nn.utils.get_total_norm([g], error_if_nonfinite=True))(jax.numpy.ones(3))


def test_what_has_no_values(engine: ModuleType) -> None:
    ours = parameters_of(engine, "meta")
    utils = engine.nn.utils
    assert isinstance(utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True).array, AbstractArray)
    utils.clip_grad_value_(ours, 1.0)
    utils.normalize_grad_(ours)
    utils.max_norm_(ours, 1.0, dim=0)
    vector = utils.parameters_to_vector(ours)
    assert vector.shape == (19,)
    utils.vector_to_parameters(vector, ours)
    assert utils.rnn.pad_sequence([ours[1], ours[3]]).shape == (3, 2)


# ------------------------------------------------------------------------------------------------ a bound on weights


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("norm_type", [2.0, 1.0])
def test_bounded_rows_equal_torch(engine: ModuleType, torch: Any, device: str, dim: int, norm_type: float) -> None:
    ours = engine.nn.Parameter(engine.tensor(VALUES[2], device=device))
    assert engine.nn.utils.max_norm_(ours, 3.0, norm_type, dim) is None
    expected = torch.renorm(torch.tensor(VALUES[2]), norm_type, dim, 3.0)
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=1e-6)  # torch divides by the norm and a little more


def test_a_bound_on_norms_leaves_the_rest_alone(engine: ModuleType, device: str) -> None:
    value = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    weight, memory = engine.nn.Parameter(engine.tensor(value, device=device)), None
    memory = weight.array
    engine.nn.utils.max_norm_(weight, 1.0, dim=0)
    np.testing.assert_allclose(weight.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [0, 0]], rtol=1e-15)
    assert (weight.array is memory) == (device == "cpu")
    engine.nn.utils.max_norm_([weight], 0.5, math.inf)
    np.testing.assert_allclose(weight.detach().numpy(), np.array([[0.6, 0.8], [0.3, 0.4], [0, 0]]) * 0.5 / 0.8, rtol=1e-15)
    bias = engine.nn.Parameter(engine.tensor([2.0, -0.5]))
    engine.nn.utils.max_norm_(bias, 1.0, dim=0)
    assert bias.tolist() == [1.0, -0.5]


# ------------------------------------------------------------------------------------------------ vectors


def test_parameters_as_a_vector_and_back(engine: ModuleType, torch: Any, device: str) -> None:
    ours, theirs = parameters_of(engine, device), torch_parameters(torch)
    vector, expected = engine.nn.utils.parameters_to_vector(ours), torch.nn.utils.parameters_to_vector(theirs)
    np.testing.assert_array_equal(vector.detach().numpy(), expected.detach())
    if engine is revdiff:
        (vector * vector).sum().backward()
        np.testing.assert_allclose(ours[3].grad.numpy(), [2, 2])  # recorded
    new, memory = RNG.normal(size=19), ours[0].array
    for source in (new, engine.tensor(new, device=device)):
        engine.nn.utils.vector_to_parameters(source, iter(ours))
        torch.nn.utils.vector_to_parameters(torch.tensor(new), theirs)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.detach().numpy(), b.detach())
    assert (ours[0].array is memory) == (device == "cpu")
    assert all(p.requires_grad and p.is_leaf for p in ours)


REFUSED: list[tuple[Any, type, str]] = [
    (lambda u: u.vector_to_parameters(revdiff.tensor(np.zeros(18)), PARAMETERS), ShapeError, r"`vec` of shape \(19,\) .* got \(18,\)"),
    (lambda u: u.vector_to_parameters(revdiff.tensor(np.zeros((19, 1))), PARAMETERS), ShapeError, r"got \(19, 1\)"),
    (lambda u: u.parameters_to_vector([]), ShapeError, "non-empty list"),
    (lambda u: u.clip_grad_norm_(PARAMETERS, -1.0), ArgumentError, r"clip_grad_norm_: `max_norm` \(=-1.0\) must not be negative"),
    (lambda u: u.clip_grad_value_(PARAMETERS, math.nan), ArgumentError, r"`clip_value` \(=nan\)"),
    (lambda u: u.max_norm_(PARAMETERS, -1), ArgumentError, r"max_norm_: `max_norm` \(=-1\)"),
    (lambda u: u.max_norm_(PARAMETERS[1], 1, dim=1), IndexError, r"`dim` \(=1\) is out of range for a tensor of shape \(3,\)"),
    (lambda u: u.clip_grad_norm_([1.0], 1.0), DTypeError, "expected tensors, got float at position 0"),
    (lambda u: u.rnn.pad_sequence([]), ShapeError, "one or more sequences"),
    (lambda u: u.rnn.pad_sequence([np.zeros((2, 3)), np.zeros((1, 2))]), ShapeError, r"got shapes \[\(2, 3\), \(1, 2\)\]"),
    (lambda u: u.rnn.pad_sequence([np.zeros(())]), ShapeError, "one or more sequences"),
    (lambda u: u.rnn.pad_sequence([np.zeros(2)], padding_side="up"), ValueError, r"`padding_side` \(='up'\)"),
]
PARAMETERS = parameters_of(revdiff)


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_does_not_fit_is_named_and_changes_nothing(i: int) -> None:
    call, error, match = REFUSED[i]
    with pytest.raises(error, match=match):
        call(revdiff.nn.utils)
    for parameter, value in zip(PARAMETERS, VALUES, strict=False):
        np.testing.assert_array_equal(parameter.detach().numpy(), value)


@pytest.mark.parametrize("features", [(), (2,), (2, 3)])
@pytest.mark.parametrize("options", [{}, {"batch_first": True, "padding_value": 2.5}, {"padding_side": "left"}])
def test_padded_sequences_equal_torch(engine: ModuleType, torch: Any, features: Any, options: Any) -> None:
    values = [RNG.normal(size=(n, *features)) for n in (2, 4, 1, 0)]
    ours = [engine.tensor(v, requires_grad=True) for v in values]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    out, expected = engine.nn.utils.rnn.pad_sequence(ours, **options), torch.nn.utils.rnn.pad_sequence(theirs, **options)
    np.testing.assert_array_equal(out.detach().numpy(), expected.detach())
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-15)


# ------------------------------------------------------------------------------------------------ a parameter in two places


def language_model(nn: Any, dtype: Any, tied: bool = True) -> Any:
    """Tokens to the scores of the next, by one table for both ends."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 3, dtype=dtype)
            self.rnn = nn.GRU(3, 3, batch_first=True, dtype=dtype)
            self.decoder = nn.Linear(3, 5, bias=False, dtype=dtype)
            if tied:
                self.decoder.weight = self.embedding.weight

        def forward(self, tokens: Any) -> Any:
            return self.decoder(self.rnn(self.embedding(tokens))[0])

    return Model()


TOKENS = np.array([[0, 3, 1], [4, 3, 3]])
NEXT = np.array([[3, 1, 2], [3, 3, 0]])


def loss_of(engine: Any) -> Any:
    def loss(net: Any, tokens: Any, following: Any) -> Any:
        return engine.nn.functional.cross_entropy(net(tokens).reshape(-1, 5), following.reshape(-1))

    return loss


def test_a_tied_parameter_is_one(engine: ModuleType) -> None:
    net = language_model(engine.nn, np.float64)
    assert net.decoder.weight is net.embedding.weight
    assert [name for name, _ in net.named_parameters()][:1] == ["embedding.weight"]
    assert len(list(net.parameters())) == 5
    assert {"embedding.weight", "decoder.weight"} <= set(net.state_dict())


@pytest.mark.parametrize("how", [{}, {"seeding": "parameters"}, {"seeding": "activations"}, {"seeding": "auto", "memory": "64KB"}])
def test_the_gradient_of_a_tied_parameter_is_the_sum(how: dict[str, str]) -> None:
    engine = dualdiff if how else revdiff
    engine.manual_seed(3)
    tied, apart = language_model(engine.nn, np.float64), language_model(revdiff.nn, np.float64, tied=False)
    apart.load_state_dict(tied.state_dict())
    value, gradients = engine.value_and_grad(loss_of(engine), **how)(tied, TOKENS, NEXT)
    expected, parts = revdiff.value_and_grad(loss_of(revdiff))(apart, TOKENS, NEXT)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    assert set(parts) - set(gradients) == {"decoder.weight"}
    parts["embedding.weight"] += parts.pop("decoder.weight")
    for name in parts:
        np.testing.assert_allclose(gradients[name], parts[name], rtol=1e-12, atol=1e-15)


def test_tied_parameters_train_as_in_torch(engine: ModuleType, torch: Any) -> None:
    ours, theirs = language_model(engine.nn, np.float64), language_model(torch.nn, torch.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    steps = engine.optim.SGD(ours.parameters(), lr=0.5), torch.optim.SGD(theirs.parameters(), lr=0.5)
    for _ in range(3):
        losses = (
            loss_of(engine)(ours, engine.tensor(TOKENS), engine.tensor(NEXT)),
            loss_of(torch)(theirs, torch.tensor(TOKENS), torch.tensor(NEXT)),
        )
        for optimizer, loss in zip(steps, losses, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert ours.decoder.weight is ours.embedding.weight
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-15)
