"""What users of PyTorch expect and once did not get."""

import gc
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError
from diffcore.testing import expect_close

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])


def test_an_integer_among_index_arrays_is_taken_first(engine: ModuleType) -> None:
    cube = np.arange(24.0).reshape(2, 3, 4)
    for index in ((0, slice(None), [1, 2]), ([0, 1], slice(None), 2), (1, None, slice(None), [0, 3]), (0, ..., np.array([[1], [2]]))):
        x = engine.tensor(cube, requires_grad=True)
        picked = x[index]
        ints = tuple(p if isinstance(p, int) else slice(None) for p in index if p is not None and p is not Ellipsis)
        if Ellipsis in [p for p in index if not isinstance(p, np.ndarray)]:
            expected = cube[0][..., index[-1]]
        else:
            expected = cube[ints][tuple(p for p in index if not isinstance(p, int))]
        np.testing.assert_array_equal(picked.detach().numpy(), expected)
        weights = np.arange(expected.size, dtype=float).reshape(expected.shape)
        (picked * weights).sum().backward()
        target = engine.tensor(np.zeros((2, 3, 4)))
        target[index] = weights
        np.testing.assert_array_equal(x.grad.numpy(), target.numpy())
        recorded = engine.tensor(np.zeros((2, 3, 4))) * 1.0
        w = engine.tensor(weights, requires_grad=True)
        recorded[index] = w * 1.0
        np.testing.assert_array_equal(recorded.detach().numpy(), target.numpy())
        (recorded**2).sum().backward()
        np.testing.assert_array_equal(w.grad.numpy(), 2 * weights)


def test_bytes_are_masks(engine: ModuleType) -> None:
    assert engine.arange(3)[engine.tensor([1, 0, 1], dtype=np.uint8)].tolist() == [0, 2]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_averages_of_nothing_are_nan_with_derivative_zero_in_both_modes(engine: ModuleType) -> None:
    F = engine.nn.functional
    losses = (
        lambda x: F.cross_entropy(x, np.array([-100, -100])),
        lambda x: F.cross_entropy(x, np.array([-100, -100]), label_smoothing=0.1),
        lambda x: F.nll_loss(x, np.array([-100, -100])),
        lambda x: x[np.zeros((2, 3), bool)].mean(),
        lambda x: F.mse_loss(x[:0], np.zeros((0, 3))),
    )
    for loss in losses:
        x = engine.tensor(X, requires_grad=True)
        value = loss(x)
        value.backward()
        assert np.isnan(float(value))
        np.testing.assert_array_equal(x.grad.numpy(), np.zeros((2, 3)))
        np.testing.assert_array_equal(dualdiff.jvp(loss, (X,), (X,))[1], 0.0)


def test_hooks_are_seen_by_grad(engine: ModuleType) -> None:
    x = engine.tensor(2.0, requires_grad=True)
    x.register_hook(lambda g: g * 2)
    assert float(engine.autograd.grad(x * 3, x)[0]) == 6.0
    assert x.grad is None


def test_gradients_accumulate_in_the_same_tensor(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    (x * 2).sum().backward()
    g = x.grad
    (x * 2).sum().backward()
    assert x.grad is g
    np.testing.assert_array_equal(g.numpy(), np.full((2, 3), 4.0))
    g.zero_()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((2, 3)))
    with pytest.raises(GradientError, match="dtype float32, the tensor float64"):
        x.grad = engine.tensor(X, dtype=np.float32)


def test_a_kept_gradient_has_been_through_the_hooks() -> None:
    y = revdiff.tensor(X, requires_grad=True) * 1
    y.retain_grad()
    assert y.retains_grad
    y.register_hook(lambda g: g * 10)
    (y * 2).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), np.full((2, 3), 20.0))


def test_whole_numbers_do_not_widen_what_they_are_joined_with(engine: ModuleType) -> None:
    whole, half = engine.tensor([1, 2]), engine.tensor([0.5, 1.5])
    assert engine.cat([whole, half]).dtype == engine.stack([half, whole]).dtype == np.float32
    assert engine.where(engine.tensor([True, False]), 1, 2.0).dtype == np.float32


def test_changes_in_place_of_views_that_share_nothing_are_refused(engine: ModuleType) -> None:
    y = engine.tensor(X.astype(np.float32), device="jax")
    with pytest.raises(GradientError, match="a view of an array of jax's shares no memory"):
        y[1:].mul_(5)
    y[1:] = 0.0
    y[np.array([0])].mul_(5)
    assert float(y[1].sum()) == 0.0


def test_copies_do_not_keep_what_they_were_made_of(engine: ModuleType) -> None:
    for copied in (lambda x: x[[1, 0]], lambda x: x[x > 0], lambda x: x.T.reshape(-1), lambda x: x.index_select(0, np.array([0]))):
        x = engine.tensor(X)
        alive = weakref.ref(x.array)
        y = copied(x)
        del x
        assert alive() is None
        del y


def test_nothing_waits_for_the_collector(engine: ModuleType) -> None:
    class Cube(engine.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * t

    def step() -> None:
        x = engine.tensor(X, requires_grad=True)
        y = Cube.apply(x * 2)[0].sum() + x.T.reshape(-1)[[0, 1]].sum()
        y.backward()

    step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_hook_that_refers_to_its_tensor_is_garbage_with_it() -> None:
    def made() -> Any:
        x = revdiff.tensor(X, requires_grad=True)
        x.register_hook(lambda g: g * x.detach())
        h = x * 2
        h.retain_grad()
        (h * h).sum().backward(create_graph=True)
        return weakref.ref(x)

    references = [made() for _ in range(3)]
    gc.collect()
    assert [r() for r in references] == [None] * 3


def test_quotients_may_be_changed_in_place(engine: ModuleType) -> None:
    def normalised(x: Any) -> Any:
        p = x.exp()
        p = p / p.sum()
        p += 1e-3
        return p.log().sum()

    x = engine.tensor(X, requires_grad=True)
    normalised(x).backward()
    plain = engine.grad(lambda x: (x.exp() / x.exp().sum() + 1e-3).log().sum())(X)
    expect_close("gradient", x.grad.numpy(), plain, 1e-14)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_division_by_the_number_zero(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    (x / 0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [np.inf, np.inf])


def test_expanded_memory_refuses_to_be_written_to(engine: ModuleType) -> None:
    a = engine.zeros(1, 3).expand(2, 3)
    with pytest.raises(GradientError, match="more than one element of the written-to tensor"):
        a[0] = 1.0
    b = engine.ones(2, 3)
    b.expand(2, 3).mul_(2.0)
    assert float(b.sum()) == 12.0


def test_relu_in_place_and_unknown_keywords(engine: ModuleType) -> None:
    x = engine.tensor(X)
    assert engine.nn.functional.relu(x, inplace=True) is x
    np.testing.assert_array_equal(x.numpy(), np.maximum(X, 0))
    with pytest.raises(TypeError, match=r"^exp\(\) got an unexpected keyword argument 'base'$"):
        engine.exp(x, base=2)


def test_functions_know_what_is_needed_and_hand_through_what_is_no_tensor(engine: ModuleType) -> None:
    class Scaled(engine.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, factor: float) -> Any:
            ctx.factor = factor
            return [x * factor, ctx.needs_input_grad]

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.factor, None

        @staticmethod
        def jvp(ctx: Any, t: Any, _: None) -> Any:
            return t * ctx.factor

    _, needed = Scaled.apply(engine.tensor(X, requires_grad=True), 3.0)
    assert needed == (True, False)
    expect_close("jacobian", engine.jacobian(lambda x: Scaled.apply(x, 3.0)[0])(X[0]), 3 * np.eye(3), 0)


def test_a_layer_without_outputs_has_empty_gradients(engine: ModuleType) -> None:
    layer = engine.nn.Linear(3, 0)
    x = engine.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad.shape == (0, 3)
    assert layer.bias.grad.shape == (0,)
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((2, 3)))


# a rule that changes what it has made in place meets a tensor of an outer level


def test_a_normalisation_layer_that_is_no_argument_is_differentiated(engine: ModuleType) -> None:
    x = np.random.default_rng(0).standard_normal((4, 3))
    for layer in (engine.nn.LayerNorm(3, dtype=np.float64), engine.nn.BatchNorm1d(3, dtype=np.float64)):
        found = engine.jacobian(lambda v, layer=layer: layer(v))(x)
        layer.requires_grad_(False)
        expected = engine.jacobian(lambda v, layer=layer: layer(v))(x)
        np.testing.assert_allclose(found.detach().numpy() if hasattr(found, "detach") else found, expected, rtol=1e-12, atol=1e-14)


def test_second_derivatives_of_attention_in_the_queries_alone(engine: ModuleType) -> None:
    q, k, v = (np.random.default_rng(i).standard_normal((1, 3, 4)) for i in range(3))
    attend = engine.nn.functional.scaled_dot_product_attention
    slope = engine.grad(lambda q: (attend(q, k, v) ** 2).sum())
    numeric = [(slope(q + h) - slope(q - h)) / 2e-6 for h in 1e-6 * np.eye(q.size).reshape(-1, *q.shape)]
    found = engine.hessian(lambda q: (attend(q, k, v) ** 2).sum())(q)
    np.testing.assert_allclose(found.reshape(q.size, q.size), np.reshape(numeric, (q.size, q.size)), atol=1e-8)


def test_an_lstm_cell_with_a_state_of_an_outer_level() -> None:
    cell = dualdiff.nn.LSTMCell(3, 4, dtype=np.float64)
    cell.requires_grad_(False)
    h, c = dualdiff.tensor(np.zeros((2, 4))), dualdiff.tensor(np.ones((2, 4)))
    x = np.ones((2, 3))
    expected = dualdiff.jacobian(lambda x: cell(x, (h, c))[0])(x)
    c.requires_grad = True
    np.testing.assert_allclose(dualdiff.jacobian(lambda x: cell(x, (h, c))[0])(x).detach().numpy(), expected, rtol=1e-12)


# sparse Jacobians


def test_detection_draws_the_numbers_of_the_run_and_leaves_state_alone(engine: ModuleType) -> None:
    weight = np.arange(1.0, 10).reshape(3, 3)
    masked = lambda v: engine.nn.functional.dropout(engine.tensor(weight), 0.5) @ v
    engine.manual_seed(0)
    found = engine.jacobian(masked, sparsity="auto")(np.ones(3)).toarray()
    after = engine.rand(1).numpy()
    engine.manual_seed(0)
    np.testing.assert_array_equal(found, engine.jacobian(masked)(np.ones(3)))
    np.testing.assert_array_equal(after, engine.rand(1).numpy())
    norm = engine.nn.BatchNorm1d(3, dtype=np.float64).requires_grad_(False)
    engine.jacobian(lambda v: norm(v), sparsity="auto")(np.random.default_rng(0).standard_normal((4, 3)))
    assert int(norm.num_batches_tracked) == 1


def test_sparse_results_share_nothing(engine: ModuleType) -> None:
    jacobian = engine.jacobian(lambda v: v.relu() * v, sparsity=np.eye(3))
    first, second = jacobian(np.array([-1.0, 2.0, -3.0])), jacobian(np.array([1.0, 2.0, 3.0]))
    first.eliminate_zeros()
    np.testing.assert_array_equal(second.toarray(), np.diag([2.0, 4.0, 6.0]))
    np.testing.assert_array_equal(jacobian(np.array([1.0, 2.0, 3.0])).toarray(), np.diag([2.0, 4.0, 6.0]))


def test_a_check_finds_entries_that_are_not_finite(engine: ModuleType) -> None:
    for function in (lambda v: v * np.nan + v.sum(), lambda v: v.sum() * np.inf * np.ones(3)):
        with pytest.raises(GradientError, match="leaves out entries"):
            engine.jacobian(function, sparsity=np.eye(3), check=True)(np.ones(3))


def test_sparse_jacobians_of_nothing(engine: ModuleType) -> None:
    assert engine.jacobian(lambda v: v * 2, sparsity="auto")(np.ones(0)).shape == (0, 0)
    assert engine.jacobian(lambda v: v[:0] * 2, sparsity=np.zeros((0, 3)), check=True)(np.ones(3)).shape == (0, 3)


# what hooks see, and gradients that are kept


def test_the_hooks_of_a_tensor_asked_for_run_once() -> None:
    x, seen = revdiff.tensor(np.array([1.0, 2.0]), requires_grad=True), list[Any]()
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: seen.append(g) or g * 3)
    (g,) = revdiff.autograd.grad((h * h).sum(), [h])
    np.testing.assert_array_equal(g.numpy(), [12, 24])
    np.testing.assert_array_equal(h.grad.numpy(), [12, 24])
    assert len(seen) == 1


def test_retained_gradients_have_memory_of_their_own() -> None:
    x = revdiff.tensor(np.array([1.0, 2.0]), requires_grad=True)
    h = x + 0
    h.retain_grad()
    m = h + 1
    m.retain_grad()
    loss = (m * m).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    for kept in (h, m):
        np.testing.assert_array_equal(kept.grad.numpy(), [8, 12])


def test_zero_grad_passes_over_frozen_parameters(engine: ModuleType) -> None:
    layer = engine.nn.Linear(2, 2)
    layer.weight.requires_grad_(False)
    layer(engine.tensor(np.ones((1, 2), np.float32))).sum().backward()
    layer.zero_grad()
    assert layer.bias.grad is None


# sizes


def test_convolutions_of_no_large_images(engine: ModuleType) -> None:
    x, weight = np.zeros((0, 3, 128, 128), np.float32), np.ones((8, 3, 7, 7), np.float32)
    convolve = engine.nn.functional.conv2d
    assert convolve(engine.tensor(x), engine.tensor(weight)).shape == (0, 8, 122, 122)
    to_x, to_weight = engine.grad(lambda x, w: convolve(x, w).sum(), (0, 1))(x, weight)
    assert to_x.shape == x.shape
    np.testing.assert_array_equal(to_weight, np.zeros_like(weight))


def test_convolutions_of_no_images_in_groups_on_jax(engine: ModuleType) -> None:
    jax = pytest.importorskip("jax")
    x, weight = jax.numpy.zeros((0, 4, 10, 10)), jax.numpy.ones((4, 2, 3, 3))
    squares = lambda x, w: (engine.nn.functional.conv2d(x, w, groups=2) ** 2).sum()
    to_x, to_weight = jax.jit(engine.grad(squares, (0, 1)))(x, weight)
    assert to_x.shape == x.shape
    np.testing.assert_array_equal(to_weight, np.zeros(weight.shape))


def test_joining_abstract_arrays_takes_no_time_by_their_size(engine: ModuleType) -> None:
    part = engine.tensor(np.zeros((1, 1)), device="meta").expand(10**12, 3)
    assert engine.cat([part, part], dim=1).shape == (10**12, 6)
    assert engine.cat([part, part], dim=0).shape == (2 * 10**12, 3)
    with pytest.raises(RuntimeError, match=r"must match exactly|disagree|sizes"):
        engine.cat([part, part[:, :2]], dim=0)


def test_a_view_changed_in_place_after_its_base() -> None:
    for change in (lambda v: v.mul_(3.0), lambda v: v.__imul__(3.0)):
        x = revdiff.tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
        y = x * 1
        v = y[1:]
        y.mul_(-2.0)
        change(v)
        (y**2).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [8, -144, 216])  # y is -2 x, and its part -6 x
