"""PyTorch's way of working: variables, `backward`, `.grad`, `no_grad`, graphs and their end."""

import copy
import gc
import pickle
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError, GradientError

A = np.array([0.5, -1.0, 2.0])
M = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]])


def variable(engine: ModuleType, values: Any = A) -> Any:
    return engine.tensor(values, requires_grad=True)


def exact(found: Any, expected: Any) -> None:
    assert not found.requires_grad
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14, atol=1e-15)


# ------------------------------------------------------------------------------------------------ backward


def test_a_scalar_delivers_its_gradient(engine: ModuleType) -> None:
    x = variable(engine)
    (x * x * x).sum().backward()
    exact(x.grad, 3 * A**2)
    assert x.grad.shape == x.shape
    assert x.grad.dtype == x.dtype == np.float64


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_element_of_any_rank_counts_as_a_scalar(engine: ModuleType, shape: tuple[int, ...]) -> None:
    x = variable(engine)
    (x * x).sum().reshape(shape).backward()
    exact(x.grad, 2 * A)


def test_a_leaf_can_be_its_own_output(engine: ModuleType) -> None:
    x = variable(engine, 3.0)
    x.backward()
    assert float(x.grad) == 1


def test_a_non_scalar_takes_a_cotangent(engine: ModuleType) -> None:
    x = variable(engine)
    v = np.array([1.0, 10.0, -100.0])
    x.tanh().backward(engine.tensor(v))
    exact(x.grad, v * (1 - np.tanh(A) ** 2))
    y = variable(engine)
    y.tanh().backward(v)
    exact(y.grad, v * (1 - np.tanh(A) ** 2))


def test_a_cotangent_is_taken_in_the_dtype_of_the_output(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    assert x.dtype == np.float32
    (x * x).backward(np.array([1, 1]))
    assert x.grad.dtype == np.float32
    exact(x.grad, [2, 4])


def test_a_gradient_has_the_dtype_of_its_variable(engine: ModuleType) -> None:
    x, y = engine.tensor([1.0, 2.0], requires_grad=True), variable(engine, A[:2])
    assert (x * y).dtype == np.float64
    (x * y + x.double()).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
    exact(x.grad, 1 + A[:2])
    exact(y.grad, [1, 2])


@pytest.mark.parametrize("given", [np.ones(2), np.ones((1, 3)), np.float64(1.0), np.ones(())])
def test_a_cotangent_of_another_shape_is_refused(engine: ModuleType, given: Any) -> None:
    x = variable(engine)
    with pytest.raises(GradientError, match=r"shape of .* and the output has a shape of \(3,\)"):
        (x * x).backward(given)
    assert x.grad is None


@pytest.mark.parametrize("given", ["ones", {"a": 1}, 1.0, [1.0, 1.0, 1.0]])
def test_a_cotangent_that_is_no_array_is_refused(engine: ModuleType, given: Any) -> None:
    x = variable(engine)
    with pytest.raises(TypeError, match=r"the cotangent must be a tensor or an array of shape \(3,\), got (str|dict|float|list)"):
        (x * x).backward(given)
    assert x.grad is None


def test_a_missing_cotangent_is_asked_for(engine: ModuleType) -> None:
    x = variable(engine)
    with pytest.raises(GradientError, match=r"implicitly created only for scalar outputs.*\(3,\)"):
        (x * x).backward()
    assert x.grad is None


def test_gradients_accumulate_until_they_are_zeroed(engine: ModuleType) -> None:
    x = variable(engine)
    for n in (1, 2, 3):
        (x * x).sum().backward()
        exact(x.grad, 2 * n * A)
    before = x.grad
    x.grad = None
    (x * x).sum().backward()
    exact(x.grad, 2 * A)
    exact(before, 6 * A)


def test_every_variable_gets_its_own(engine: ModuleType) -> None:
    x, y, unused = variable(engine), variable(engine, M), variable(engine)
    ((x * y).sum() + x.sum()).backward()
    exact(x.grad, M.sum(0) + 1)
    exact(y.grad, np.broadcast_to(A, M.shape))
    assert unused.grad is None


def test_gradients_of_two_variables_share_no_memory(engine: ModuleType) -> None:
    x, y = variable(engine), variable(engine)
    cotangent = np.ones(3)
    (x + y).backward(cotangent)
    for grad in (x.grad, y.grad):
        grad.numpy()[0] = 7.0
        assert cotangent[0] == 1
    x.grad.numpy()[1] = 8.0
    assert y.grad.numpy()[1] == 1


def test_a_gradient_can_be_written_to(engine: ModuleType) -> None:
    x = variable(engine)
    x.sum().backward()  # its cotangent is a broadcast view
    x.grad.numpy()[...] = 5.0
    exact(x.grad, [5.0, 5.0, 5.0])


def test_results_used_many_times_add_up(engine: ModuleType) -> None:
    x = variable(engine)
    y = x.tanh()
    z = y * y + y * x + y + y
    z.sum().backward()
    t, d = np.tanh(A), 1 - np.tanh(A) ** 2
    exact(x.grad, 2 * t * d + d * A + t + 2 * d)


def test_a_ladder_of_diamonds_is_walked_once_per_node(engine: ModuleType) -> None:
    x = variable(engine, 1.0)
    y = x
    for _ in range(60):  # 2^60 paths
        y = (y + y) * 0.5 + 0.0
    y.backward()
    assert float(x.grad) == 1


@pytest.mark.parametrize("make", [lambda x: x * 1.0 - x, lambda x: x - x, lambda x: 0.0 * x])
def test_cancelling_paths_give_zeros_rather_than_nothing(engine: ModuleType, make: Any) -> None:
    x = variable(engine)
    make(x).sum().backward()
    exact(x.grad, np.zeros(3))


def test_a_chain_of_five_thousand_operations(engine: ModuleType) -> None:
    x = variable(engine, np.array([0.1, 0.2]))
    y = x
    for _ in range(5000):
        y = y * 1.0001
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(2, 1.0001**5000), rtol=1e-11)


def test_a_long_chain_may_be_dropped_without_backward() -> None:
    x = variable(revdiff)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    del y
    (x * 2).sum().backward()
    exact(x.grad, [2, 2, 2])


# ------------------------------------------------------------------------------------------------ second passes


def test_a_second_pass_through_a_freed_graph_says_so() -> None:
    x = variable(revdiff)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GradientError, match=r"backward through the graph a second time.*retain_graph=True"):
        y.backward()
    exact(x.grad, 2 * A)


def test_a_freed_part_reached_from_a_new_graph_says_so() -> None:
    x = variable(revdiff)
    shared = x.tanh()
    shared.sum().backward()
    with pytest.raises(GradientError, match="second time"):
        (shared * 2).sum().backward()


def test_retain_graph_allows_more_passes(engine: ModuleType) -> None:
    x = variable(engine)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    exact(x.grad, 4 * A)
    y.backward()
    exact(x.grad, 6 * A)


def test_forward_mode_has_no_graph_to_free() -> None:
    x = variable(dualdiff)
    y = (x * x).sum()
    y.backward()
    y.backward()
    exact(x.grad, 4 * A)


def test_create_graph_gives_higher_derivatives() -> None:
    x = variable(revdiff)
    (first,) = revdiff.autograd.grad((x**4).sum(), x, create_graph=True)
    assert first.requires_grad
    np.testing.assert_allclose(first.detach().numpy(), 4 * A**3, rtol=1e-14)
    (second,) = revdiff.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = revdiff.autograd.grad(second.sum(), x)
    exact(third, 24 * A)
    assert x.grad is None


def test_backward_with_create_graph_leaves_a_gradient_to_differentiate() -> None:
    x = variable(revdiff)
    x.tanh().sum().backward(create_graph=True)
    penalty = (x.grad * x.grad).sum()
    x.grad = None
    penalty.backward()
    t = np.tanh(A)
    exact(x.grad, 2 * (1 - t**2) * (-2 * t * (1 - t**2)))


def test_forward_mode_says_what_to_use_in_place_of_create_graph() -> None:
    x = variable(dualdiff)
    with pytest.raises(GradientError, match=r"create_graph=True has no meaning in forward mode.*hvp"):
        (x * x).sum().backward(create_graph=True)
    assert x.grad is None


# ------------------------------------------------------------------------------------------------ autograd


def test_autograd_backward_takes_several_outputs() -> None:
    x = variable(revdiff)
    revdiff.autograd.backward([x.sum(), x * x], [None, np.array([1.0, 2.0, 3.0])])
    exact(x.grad, 1 + 2 * A * [1, 2, 3])


def test_autograd_backward_needs_a_cotangent_per_output() -> None:
    x = variable(revdiff)
    with pytest.raises(DiffError, match=r"2 .*1 "):
        revdiff.autograd.backward([x.sum(), x.sum()], [np.ones(())])
    with pytest.raises(GradientError, match="element 1 of tensors does not require grad"):
        revdiff.autograd.backward([x.sum(), revdiff.tensor(1.0)])
    assert x.grad is None


def test_autograd_grad_leaves_grad_alone() -> None:
    x, w = variable(revdiff), variable(revdiff)
    gx, gw = revdiff.autograd.grad((x * w * w).sum(), [x, w])
    exact(gx, A**2)
    exact(gw, 2 * A * A)
    assert x.grad is None
    assert w.grad is None


def test_autograd_grad_takes_results_as_inputs() -> None:
    x = variable(revdiff)
    h = x.tanh()
    gh, gx = revdiff.autograd.grad((h * h).sum(), [h, x])
    exact(gh, 2 * np.tanh(A))
    exact(gx, 2 * np.tanh(A) * (1 - np.tanh(A) ** 2))


def test_autograd_grad_of_an_unused_input() -> None:
    x, w = variable(revdiff), variable(revdiff)
    with pytest.raises(GradientError, match=r"not have been used in the graph.*allow_unused=True"):
        revdiff.autograd.grad((x * x).sum(), [x, w])
    gx, gw = revdiff.autograd.grad((x * x).sum(), [x, w], allow_unused=True)
    exact(gx, 2 * A)
    assert gw is None
    with pytest.raises(GradientError, match="does not require grad"):
        revdiff.autograd.grad((x * x).sum(), revdiff.tensor(A))


def test_autograd_grad_with_cotangents() -> None:
    x = variable(revdiff)
    (g,) = revdiff.autograd.grad([x * x, x.sum()], x, grad_outputs=[revdiff.tensor([1.0, 0.0, 2.0], dtype=np.float64), None])
    exact(g, 2 * A * [1, 0, 2] + 1)


# ------------------------------------------------------------------------------------------------ no_grad


def test_no_grad_as_context_and_decorator(engine: ModuleType) -> None:
    x = variable(engine)
    with engine.no_grad():
        assert not engine.is_grad_enabled()
        y = x * 2
        with engine.enable_grad():
            assert engine.is_grad_enabled()
            z = x * 3
        assert not engine.is_grad_enabled()
    assert engine.is_grad_enabled()
    assert not y.requires_grad
    assert z.requires_grad
    assert y.is_leaf

    @engine.no_grad()
    def twice(x: Any) -> Any:
        """Docstring."""
        return x * 2

    assert not twice(x).requires_grad
    assert twice.__doc__ == "Docstring."
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception(engine: ModuleType) -> None:
    x = variable(engine)
    with pytest.raises(ValueError), engine.no_grad():
        raise ValueError
    assert engine.is_grad_enabled()
    assert (x * 2).requires_grad


def test_one_switch_can_be_entered_twice(engine: ModuleType) -> None:
    switch = engine.no_grad()
    with switch:
        with switch:
            assert not engine.is_grad_enabled()
        assert not engine.is_grad_enabled()
    assert engine.is_grad_enabled()


def test_the_switches_of_the_engines_are_apart() -> None:
    with revdiff.no_grad():
        assert (variable(dualdiff) * 2).requires_grad
    with dualdiff.no_grad():
        assert (variable(revdiff) * 2).requires_grad


def test_variables_made_inside_no_grad_are_variables(engine: ModuleType) -> None:
    with engine.no_grad():
        x = variable(engine)
    assert x.requires_grad
    (x * x).sum().backward()
    exact(x.grad, 2 * A)


# ------------------------------------------------------------------------------------------------ leaves and constants


def test_leaves_and_results_know_what_they_are(engine: ModuleType) -> None:
    x, c = variable(engine), engine.tensor(A)
    y = x * c
    assert (x.is_leaf, x.requires_grad, x.grad_fn) == (True, True, None)
    assert (c.is_leaf, c.requires_grad, c.grad_fn) == (True, False, None)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    assert (c * c).is_leaf
    assert not (c * c).requires_grad
    if engine is revdiff:
        assert "MulBackward0" in repr(y.grad_fn)


@pytest.mark.parametrize("keep", [lambda x: x.reshape(3), lambda x: x.reshape(-1), lambda x: x.flatten(), lambda x: x + 0, lambda x: x[:]])
def test_a_result_equal_to_a_leaf_is_still_a_result(engine: ModuleType, keep: Any) -> None:
    x = variable(engine)
    y = keep(x)
    assert not y.is_leaf
    assert y.grad is None
    with pytest.raises(GradientError, match="leaf"):
        y.requires_grad = False
    with pytest.raises(GradientError, match="leaf"):
        y.grad = np.ones(3)
    (y * y).sum().backward()
    exact(x.grad, 2 * A)


def test_detach_shares_memory_and_forgets(engine: ModuleType) -> None:
    x = variable(engine)
    y = x.detach()
    assert not y.requires_grad
    assert np.shares_memory(y.numpy(), x.detach().numpy())
    (x * x.detach()).sum().backward()
    exact(x.grad, A)


def test_integers_cannot_be_variables(engine: ModuleType) -> None:
    for values in ([1, 2], True, np.array([1, 2], np.uint8)):
        with pytest.raises(GradientError, match="only Tensors of floating point dtype can require gradients, got"):
            engine.tensor(values, requires_grad=True)
        x = engine.tensor(values)
        with pytest.raises(GradientError, match="floating point"):
            x.requires_grad = True
        with pytest.raises(GradientError, match="floating point"):
            x.requires_grad_()
        assert not x.requires_grad
    with pytest.raises(GradientError, match="floating point"):
        engine.nn.Parameter([1, 2])


def test_requires_grad_can_be_switched_on_leaves_only(engine: ModuleType) -> None:
    x = engine.tensor(A)
    assert x.requires_grad_() is x
    y = x * 2
    with pytest.raises(GradientError, match="leaf"):
        y.requires_grad_(False)
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    assert y.requires_grad


def test_a_gradient_outlives_freezing(engine: ModuleType) -> None:
    x = variable(engine)
    (x * x).sum().backward()
    x.requires_grad_(True)
    exact(x.grad, 2 * A)


def test_a_gradient_can_be_assigned(engine: ModuleType) -> None:
    x = variable(engine)
    x.grad = engine.tensor([1.0, 2.0, 3.0], dtype=np.float64)
    (x * 1).sum().backward()
    exact(x.grad, [2, 3, 4])
    x.grad = np.zeros(3)
    exact(x.grad, [0, 0, 0])
    with pytest.raises(GradientError, match=r"assigned grad has shape \(2,\), the tensor \(3,\)"):
        x.grad = np.zeros(2)
    with pytest.raises(GradientError, match="not a leaf"):
        (x * 2).grad = np.zeros(3)
    exact(x.grad, [0, 0, 0])


def test_constants_refuse_backward(engine: ModuleType) -> None:
    for y in (engine.tensor(1.0), (variable(engine) > 0).sum(), variable(engine).argmax(), variable(engine).detach().sum()):
        with pytest.raises(GradientError, match="does not require grad"):
            y.backward()


def test_results_that_are_not_floating_point_are_constants(engine: ModuleType) -> None:
    x = variable(engine)
    for y in (x > 0, x == x, x.argmax(), x.sign(), x.long(), x.astype(np.int32)):
        assert not y.requires_grad
        assert y.is_leaf
    (x * (x > 0) + x.sign()).sum().backward()
    exact(x.grad, A > 0)


def test_values_change_through_data(engine: ModuleType) -> None:
    x = variable(engine)
    x.data = x.data * 2
    assert x.requires_grad
    assert x.is_leaf
    (x * x).sum().backward()
    exact(x.grad, 4 * A)


@pytest.mark.parametrize("values", [np.array([0.1, 0.7, 0.3, 4.0]), A.astype(np.float32), M])
def test_data_of_another_shape_or_dtype_makes_a_variable_of_that(engine: ModuleType, values: Any) -> None:
    x = variable(engine)
    (x * x).sum().backward()
    x.data = engine.tensor(values)
    x.grad = None
    assert x.is_leaf
    assert x.requires_grad
    (x * x * x).sum().backward()
    assert x.grad.dtype == values.dtype
    np.testing.assert_allclose(x.grad.numpy(), 3 * values**2, rtol=1e-15 if values.dtype == np.float64 else 1e-6)


def test_a_variable_can_be_copied_deeply(engine: ModuleType) -> None:
    x = variable(engine)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.is_leaf
    assert y.requires_grad
    assert not np.shares_memory(x.detach().numpy(), y.detach().numpy())
    (x * y).sum().backward()
    exact(x.grad, 3 * A)
    exact(y.grad, 3 * A)
    with pytest.raises(DiffError, match="leaf"):
        copy.deepcopy(x * x)


def test_a_variable_can_be_pickled(engine: ModuleType) -> None:
    x = variable(engine)
    y, c = pickle.loads(pickle.dumps((x, engine.tensor(A))))
    assert y.requires_grad
    assert not c.requires_grad
    (y * c).sum().backward()
    exact(y.grad, A)
    assert x.grad is None


# ------------------------------------------------------------------------------------------------ both engines, other levels


def test_tensors_of_both_engines_do_not_mix() -> None:
    r, d = variable(revdiff), variable(dualdiff)
    for mix in (lambda: r + d, lambda: d * r, lambda: revdiff.matmul(r, d), lambda: dualdiff.where(r > 0, d, r), lambda: r == d):
        with pytest.raises(GradientError, match=r"a (rev|dual)diff tensor and a (rev|dual)diff tensor cannot meet.*nest the engines"):
            mix()
    with pytest.raises(GradientError, match="cannot meet"):
        revdiff.tensor(d)
    exact((r + revdiff.tensor(d.detach())).detach(), 2 * A)
    exact(r.detach() + d.detach().numpy(), 2 * A)


def test_forward_mode_gives_jacobians_as_it_goes() -> None:
    x, w = variable(dualdiff), variable(dualdiff, M)
    y = w @ x.tanh()
    d = 1 - np.tanh(A) ** 2
    np.testing.assert_allclose(y.jacobian(x), M * d, rtol=1e-14)
    expected = np.einsum("ij,k->ijk", np.eye(2), np.tanh(A))
    np.testing.assert_allclose(y.jacobian(w), expected, rtol=1e-14)
    np.testing.assert_array_equal(x.jacobian(x), np.eye(3))
    assert x.jacobian(w).shape == (3, 2, 3)
    assert not x.jacobian(w).any()
    np.testing.assert_allclose(y.sum().jacobian(x), (M * d).sum(0), rtol=1e-14)


def test_a_jacobian_is_taken_with_respect_to_a_variable_of_this_engine() -> None:
    x = variable(dualdiff)
    for other in (x * 2, dualdiff.tensor(A), variable(revdiff), A):
        with pytest.raises(GradientError, match="leaf tensor that requires grad"):
            (x * x).jacobian(other)


def test_an_exception_in_a_transform_leaves_tensors_usable(engine: ModuleType) -> None:
    x = variable(engine)
    kept: list[Any] = []

    def broken(y: Any) -> Any:
        kept.append(y * x)
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        engine.value_and_grad(broken)(A)
    with pytest.raises(KeyError), engine.no_grad():
        engine.value_and_grad(broken)(A)
    assert engine.is_grad_enabled()
    (x * x).sum().backward()
    exact(x.grad, 2 * A)
    assert (kept[0] * 2).shape == (3,)  # a leaked tensor still computes


# ------------------------------------------------------------------------------------------------ memory


def array_of(tensor: Any) -> weakref.ref:
    return weakref.ref(tensor.detach().array)


def test_backward_frees_what_the_graph_held() -> None:
    gc.disable()
    try:
        x = variable(revdiff, np.ones(1000))
        h = x.tanh()
        y = (h * h).sum()
        inner = array_of(h)
        del h
        assert inner() is not None  # a residual of the product
        y.backward()
        assert inner() is None
    finally:
        gc.enable()


def test_branches_that_lead_nowhere_die_at_once(engine: ModuleType) -> None:
    gc.disable()
    try:
        x = variable(engine, np.ones(1000))
        dead = (x.tanh() * x).exp()
        inner = array_of(dead)
        alive = x * 2
        del dead
        assert inner() is None
        alive.sum().backward()
    finally:
        gc.enable()


def test_forward_mode_keeps_no_history() -> None:
    gc.disable()
    try:
        x = variable(dualdiff, np.ones(10))
        h = x.tanh()
        inner = array_of(h)
        y = (h * h).sum()
        del h
        assert inner() is None
        assert y.requires_grad
    finally:
        gc.enable()


def test_training_does_not_grow(engine: ModuleType) -> None:
    steps = 20
    net = engine.nn.Sequential(engine.nn.Linear(4, 3), engine.nn.Tanh(), engine.nn.Linear(3, 1))
    x = engine.tensor(np.ones((5, 4), np.float32))

    def step() -> None:
        net.zero_grad()
        net(x).mean().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(steps):
            step()
        assert len(gc.get_objects()) - before < steps  # nothing per step is left behind, not even a cycle
    finally:
        gc.enable()
