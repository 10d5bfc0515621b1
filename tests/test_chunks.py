"""`memory=`: the same derivative in chunks, within the budget, by a plan that never touches data."""

import itertools
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.budget import parse_bytes
from diffcore.dispatch import Boxed
from diffcore.errors import AbstractValueError, GradientError, MemoryBudgetError

RNG = np.random.default_rng(6)
X, LABELS = RNG.normal(size=(16, 12)), RNG.integers(5, size=16)


def net_of(engine: ModuleType = dualdiff, *widths: int) -> Any:
    engine.manual_seed(1)
    layers: list[Any] = []
    for d_in, d_out in itertools.pairwise(widths or (12, 10, 8, 5)):
        layers += [engine.nn.Linear(d_in, d_out, dtype=np.float64), engine.nn.Tanh()]
    return engine.nn.Sequential(*layers[:-1])


def loss(net: Any, x: Any, y: Any) -> Any:
    return ops.cross_entropy(net(x), y)


class Counted:
    """A function that counts its calls on real arrays and on abstract ones."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.real, self.abstract = function, 0, 0

    def __call__(self, *args: Any) -> Any:
        out = self.function(*args)
        below = out
        while isinstance(below, Boxed):
            below = below.primal
        if type(below) is AbstractArray:
            self.abstract += 1
        else:
            self.real += 1
        return out


def equal(found: dict[str, Any], expected: dict[str, Any], rtol: float = 1e-13) -> None:
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=1e-15, err_msg=name)


def least_of(function: Callable[..., Any], *args: Any, seeding: str) -> int:
    with pytest.raises(MemoryBudgetError) as caught:
        dualdiff.value_and_grad(function, seeding=seeding, memory=1)(*args)
    return caught.value.least


@pytest.mark.parametrize("seeding", ["parameters", "activations", "auto"])
def test_any_budget_gives_the_same_gradient(seeding: str) -> None:
    net = net_of()
    value, whole = dualdiff.value_and_grad(loss, seeding=seeding)(net, X, LABELS)
    least = least_of(loss, net, X, LABELS, seeding=seeding)
    counts = []
    for budget in (least, least + 1, least + 777, 2 * least, 3 * least, 10 * least, 50 * least, 10**9):
        counted = Counted(loss)
        found_value, found = dualdiff.value_and_grad(counted, seeding=seeding, memory=budget)(net, X, LABELS)
        np.testing.assert_array_equal(found_value, value)
        equal(found, whole)
        counts.append(counted.real)
    assert counts == sorted(counts, reverse=True), "more memory never takes more runs"
    assert counts[-1] == 1
    assert counts[0] > 5


def test_each_chunk_is_one_run_and_the_plan_touches_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from dualdiff import plans as module

    plans: list[int] = []
    original = module.plan

    def counting(*args: Any) -> Any:
        made = original(*args)
        plans.append(made.runs)
        return made

    monkeypatch.setattr(module, "plan", counting)
    counted = Counted(loss)
    dualdiff.value_and_grad(counted, seeding="parameters", memory="100KB")(net_of(), X, LABELS)
    assert len(plans) == 1
    assert counted.real == plans[0] > 1
    assert counted.abstract > 1


def test_a_plan_allocates_next_to_nothing() -> None:
    """The textbook's tangents of this net take gigabytes; asking what they would cost takes a few hundred kilobytes of bookkeeping."""
    net = net_of(dualdiff, 400, 300, 10)
    x, y = RNG.normal(size=(16, 400)), RNG.integers(10, size=16)
    tracemalloc.start()
    try:
        least_of(loss, net, x, y, seeding="parameters")
        assert tracemalloc.get_traced_memory()[1] < 5 * 8 * net[0].weight.numel()  # indices of the directions
    finally:
        tracemalloc.stop()


def test_without_a_budget_nothing_is_planned() -> None:
    counted = Counted(loss)
    dualdiff.value_and_grad(counted, seeding="parameters")(net_of(), X, LABELS)
    assert (counted.real, counted.abstract) == (1, 0)


@pytest.mark.parametrize("memory", ["20KB", "100KB", "1MB"])
@pytest.mark.parametrize("seeding", ["parameters", "activations", "auto"])
def test_chunked_jacobians(seeding: str, memory: str) -> None:
    net = net_of()
    f = lambda net, x: net(x).mean(0)
    expected = revdiff.jacobian(f)(net_of(revdiff), X)
    try:
        found = dualdiff.jacobian(f, seeding=seeding, memory=memory)(net, X)
    except MemoryBudgetError as error:
        assert parse_bytes(memory) < error.least  # noqa: PT017 - a budget this small may be refused, but then rightly
        found = dualdiff.jacobian(f, seeding=seeding, memory=error.least)(net, X)
    equal(found, expected, rtol=1e-11)


def test_chunks_of_structures_and_of_several_arguments() -> None:
    w, b = RNG.normal(size=(6, 12)), RNG.normal(size=6)
    f = lambda p, x: (ops.linear(x, p["w"], p["b"]).tanh() * x[:, :6]).sum() + (p["w"] * p["w"]).sum() * p["b"][0]
    whole = dualdiff.grad(f, (0, 1), seeding="parameters")({"w": w, "b": b}, X)
    for seeding in ("parameters", "auto"):
        least = least_of(f, {"w": w, "b": b}, X, seeding=seeding)
        for budget in (least, 2 * least, 7 * least):
            counted = Counted(f)
            found = dualdiff.grad(counted, (0, 1), seeding=seeding, memory=max(budget, 40_000))({"w": w, "b": b}, X)
            equal(found[0], whole[0], rtol=1e-12)
            np.testing.assert_allclose(found[1], whole[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seeding", ["parameters", "activations", "auto"])
def test_chunks_where_examples_mix_and_weights_are_shared(seeding: str) -> None:
    a = RNG.normal(size=(12, 12)) / 4

    def f(a: Any, b: Any) -> Any:
        h = ops.linear(X, a, b).tanh()
        h = h - h.mean(0, keepdim=True)
        return (ops.linear(h, a) ** 2).mean() + 0.1 * (a * a).sum()

    b = RNG.normal(size=12)
    expected = revdiff.grad(f, (0, 1))(a, b)
    for memory in ("700KB", "1MB", "5MB"):
        found = dualdiff.grad(f, (0, 1), seeding=seeding, memory=memory)(a, b)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


def test_chunks_nest_under_other_transforms() -> None:
    f = lambda w: (ops.linear(X, w).tanh() ** 2).mean()
    w = RNG.normal(size=(3, 12))
    along = RNG.normal(size=w.shape)
    expected = revdiff.hvp(f, w, along)
    chunked = dualdiff.grad(f, seeding="parameters", memory="30KB")
    np.testing.assert_allclose(dualdiff.jvp(chunked, (w,), (along,))[1], expected, rtol=1e-11)
    np.testing.assert_allclose(revdiff.vjp(chunked, w)[1](along)[0], expected, rtol=1e-11)


def test_closed_over_arrays_of_jax_take_part(x64: None) -> None:
    import jax.numpy as jnp

    x, w = jnp.asarray(X), jnp.asarray(RNG.normal(size=(3, 12)))
    f = lambda w: ((x @ w.T).tanh() * (1.0 + x[:, :3])).sum() + (w * x[:3]).sum()
    found = dualdiff.grad(f, memory="4KB", seeding="parameters")(w)
    np.testing.assert_allclose(found, revdiff.grad(f)(w), rtol=1e-12)


def test_values_cannot_steer_a_planned_function() -> None:
    f = lambda w: (w * w).sum() if w.sum() > 0 else w.sum()
    with pytest.raises(AbstractValueError, match="reads one, so its cost cannot be planned"):
        dualdiff.grad(f, memory="1MB")(X)


# ------------------------------------------------------------------------------------------------ the budget


@pytest.mark.parametrize("seeding", ["parameters", "activations"])
@pytest.mark.parametrize("budget", [600_000, 2_000_000])
def test_the_budget_is_kept_by_the_allocator_too(seeding: str, budget: int, peak: Callable[[Callable[[], Any]], int]) -> None:
    """`tracemalloc` sees numpy's buffers: beyond the primal pass and the gradients at most the budget is alive, and half of it is used."""
    net = net_of(dualdiff, 60, 50, 40, 10)
    x, y = RNG.normal(size=(32, 60)), RNG.integers(10, size=32)
    parameters = sum(p.numel() for p in net.parameters()) * 8

    with dualdiff.no_grad():
        primal = peak(lambda: loss(net, dualdiff.tensor(x), y))
    transform = dualdiff.value_and_grad(loss, seeding=seeding, memory=budget)
    whole = peak(lambda: dualdiff.value_and_grad(loss, seeding=seeding)(net, x, y))
    found = peak(lambda: transform(net, x, y))
    slack = 4 * parameters + 200_000  # gradients so far, a part being placed and added, indices of directions, and Python's own objects
    assert found <= primal + budget + slack
    if whole > 2 * budget + slack:
        assert found < whole / 1.5
        assert found >= budget / 2


@pytest.mark.parametrize("seeding", ["parameters", "activations", "auto"])
@pytest.mark.parametrize("budget", [1, 100, "1KB"])
def test_a_budget_too_small_states_the_least_that_works(seeding: str, budget: Any) -> None:
    net = net_of()
    with pytest.raises(MemoryBudgetError, match=rf"memory` \(={parse_bytes(budget)} bytes\).*at least \d+ bytes would do") as caught:
        dualdiff.value_and_grad(loss, seeding=seeding, memory=budget)(net, X, LABELS)
    least = caught.value.least
    assert str(least) in str(caught.value)
    _, found = dualdiff.value_and_grad(loss, seeding=seeding, memory=least)(net, X, LABELS)
    equal(found, revdiff.value_and_grad(loss)(net_of(revdiff), X, LABELS)[1], rtol=1e-11)
    with pytest.raises(MemoryBudgetError):
        dualdiff.value_and_grad(loss, seeding=seeding, memory=least - 1)(net, X, LABELS)
    assert all(p.requires_grad and p.level == 0 for p in net.parameters())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (1, 1),
        ("1", 1),
        ("64MB", 64 * 10**6),
        ("64 mb", 64 * 10**6),
        ("1.5 GiB", 3 * 2**29),
        ("2kB", 2000),
        ("3KiB", 3072),
        (" 7 B ", 7),
        ("1GB", 10**9),
        ("2TB", 2 * 10**12),
        ("1 TiB", 2**40),
        ("12345678901234567890", 12345678901234567890),
        ("1.000000001GB", 10**9 + 1),
        (np.int64(4096), 4096),
        (np.array(4096), 4096),
    ],
)
def test_budgets_are_read_as_people_write_them(text: Any, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    "memory",
    [
        *("12 parsecs", "", "MB", "-5MB", "0", "0MB", "0.0001KB", "1e6", "1,000", "5 iB", "inf", "nan", "64 M", "9" * 5000, b"64MB"),
        *(0, -1, True, False, 1.5, 1e6, float("inf"), float("nan"), [64], np.int64(0), np.float64(64), np.bool_(True), np.ones(2, int)),
    ],
)
def test_budgets_that_are_none_are_refused(memory: Any) -> None:
    with pytest.raises(ValueError, match=r"memory` \(=.*\) must be a positive whole number of bytes, or a text like '64MB'"):
        dualdiff.value_and_grad(loss, memory=memory)(net_of(), X, LABELS)


def test_a_function_without_variables_needs_no_chunks() -> None:
    counted = Counted(lambda w, x: (x * x).sum())
    gradient = dualdiff.grad(counted, memory=1)(RNG.normal(size=3), X)
    np.testing.assert_array_equal(gradient, np.zeros(3))
    assert counted.real == 1


S = np.eye(4) + 1


@pytest.mark.parametrize("seeding", ["auto", "activations", "parameters"])
@pytest.mark.parametrize("memory", ["1MB", "20KB"])
@pytest.mark.parametrize(
    ("function", "shape", "dtype"),
    [
        (lambda w: (S @ w).tanh().sum(), (4,), "float64"),
        (lambda w: (w.reshape(2, 2).exp().sum() + (S @ w).tanh().sum()), (4,), "float64"),
        (lambda w: dualdiff.nn.functional.linear(S, w.reshape(5, 4)).tanh().sum(), (20,), "float64"),
        (lambda w: dualdiff.nn.functional.linear(S, w.flatten(1)).tanh().sum(), (5, 2, 2), "float64"),
        (lambda w: dualdiff.nn.functional.linear(S, w.double()).tanh().sum(), (5, 4), "float32"),
        (lambda b: (S + b.reshape(1, 4)).tanh().sum(), (4,), "float64"),
        (lambda w: w.reshape(()), (1,), "float64"),
    ],
    ids=["matrix times vector", "two uses", "reshaped weight", "flattened weight", "cast weight", "reshaped bias", "the variable itself"],
)
def test_variables_reshaped_or_cast_before_their_site_keep_their_gradient(
    function: Any, shape: tuple[int, ...], dtype: str, memory: str, seeding: str
) -> None:
    w = np.random.default_rng(3).normal(size=shape).astype(dtype)
    expected = dualdiff.grad(function, seeding="parameters")(w)
    assert np.abs(expected).max() > 0
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(dualdiff.grad(function, seeding=seeding, memory=memory)(w), expected, rtol=tolerance)
    np.testing.assert_allclose(dualdiff.jacobian(function, seeding=seeding, memory=memory)(w), expected, rtol=tolerance)


def test_runs_of_a_chunked_jacobian_free_their_tangents() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20_000, 3)), rng.normal(size=(3, 16))

    def function(x: Any) -> Any:
        return dualdiff.tensor(a) @ (dualdiff.tensor(b) @ x).tanh()

    x, one = rng.normal(size=16), 20_000 * 8
    jacobian = dualdiff.jacobian(function, memory=8 * one + 10_000)
    expected = a @ ((1 - np.tanh(b @ x) ** 2)[:, None] * b)
    np.testing.assert_allclose(jacobian(x), expected, rtol=1e-12)  # and the chunks are planned
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    found = jacobian(x)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak - found.nbytes - a.nbytes <= 8 * one + 3 * one  # a chunk, beside the values of two runs and what reads `a`


def test_the_jacobian_of_the_variable_itself_is_whole_in_chunks() -> None:
    assert np.array_equal(dualdiff.jacobian(lambda w: w, memory="1KB")(np.ones(9)), np.eye(9))


def test_a_function_that_leaves_its_plan_is_an_error_and_not_a_wrong_gradient() -> None:
    calls: list[int] = []

    def function(w: Any) -> Any:
        calls.append(1)
        planned = isinstance(w.array, AbstractArray)
        return (S @ w).sum() if planned else (S @ w).sum() + ((S * 2) @ (w * 1)).sum()

    with pytest.raises(GradientError, match="took another path than when it was planned"):
        dualdiff.grad(function, seeding="activations", memory="1MB")(np.ones(4))
    assert calls


def test_every_chunk_draws_the_same_random_numbers():
    x = np.random.default_rng(0).normal(size=(6, 5))
    w = np.random.default_rng(1).normal(size=(7, 5))
    f = lambda w: (ops.dropout(ops.linear(x, w).tanh(), 0.5) ** 2).sum()
    gradients, following = [], []
    for memory in (None, "2KB", "4KB"):
        dualdiff.manual_seed(3)
        gradients.append(dualdiff.grad(f, memory=memory)(w))
        following.append(float(dualdiff.rand(1)))
    assert following[0] == following[1] == following[2]
    for gradient in gradients[1:]:
        np.testing.assert_allclose(gradient, gradients[0], rtol=1e-12)


def test_a_plan_is_made_once_for_arguments_of_the_same_shapes() -> None:
    counted = Counted(loss)
    net, step = net_of(), dualdiff.value_and_grad(counted, seeding="parameters", memory="100KB")
    step(net, X, LABELS)
    planned, runs = counted.abstract, counted.real
    assert planned > 1
    _, found = step(net, -X, LABELS[::-1])
    assert (counted.abstract, counted.real) == (planned, 2 * runs)
    equal(found, dualdiff.value_and_grad(loss)(net, -X, LABELS[::-1])[1], rtol=1e-12)
    _, found = step(net, X[:7], LABELS[:7])
    assert counted.abstract > planned
    equal(found, dualdiff.value_and_grad(loss)(net, X[:7], LABELS[:7])[1], rtol=1e-12)


@pytest.mark.parametrize("seeding", ["parameters", "activations"])
def test_a_function_that_takes_another_path_later_is_planned_anew(seeding: str) -> None:
    """The path hangs on something that is no argument: first more seeds than were planned, then a seed of another size, then fewer."""
    a, b = RNG.normal(size=(12, 12)), RNG.normal(size=(4, 12))
    paths = {
        "short": lambda a, b: ops.linear(X, a).tanh().sum(),
        "long": lambda a, b: ops.linear(ops.linear(X, a).tanh(), b).tanh().sum(),
        "other": lambda a, b: ops.linear(ops.linear(X, b).tanh(), a[:, :4]).tanh().sum(),
    }
    path = "short"
    step = dualdiff.grad(lambda a, b: paths[path](a, b), (0, 1), seeding=seeding, memory="1MB")
    for path in ("short", "long", "other", "short"):
        expected = revdiff.grad(paths[path], (0, 1))(a, b)
        for one, other in zip(step(a, b), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


def test_a_flag_among_the_arguments_has_a_plan_of_its_own() -> None:
    w = RNG.normal(size=(5, 12))
    step = dualdiff.grad(lambda w, twice, options: ops.linear(X, w).sum() * (2 if twice else 1) * options["k"], memory="10KB")
    for twice, k in ((False, 3.0), (True, 3.0), (True, [4.0][0])):
        np.testing.assert_allclose(step(w, twice, {"k": k}), np.tile(X.sum(0), (5, 1)) * (2 if twice else 1) * k, rtol=1e-12)


def test_what_a_module_keeps_moves_once_a_call_however_many_runs() -> None:
    class Counting(dualdiff.nn.Module):
        """Keeps a running mean, in place and by a new tensor."""

        def __init__(self) -> None:
            super().__init__()
            dualdiff.manual_seed(0)
            self.inner = dualdiff.nn.Linear(12, 9, dtype=np.float64)
            self.register_buffer("mean", dualdiff.zeros(9, dtype=np.float64))
            self.register_buffer("count", dualdiff.tensor(0))

        def forward(self, x: Any) -> Any:
            h = self.inner(x)
            if self.training:
                with dualdiff.no_grad():
                    self.mean.mul_(0.9).add_(0.1 * h.detach().mean(0))
                    self.count = self.count + 1
            return h.tanh().sum()

    expected, net = Counting(), Counting()
    for _ in range(3):
        dualdiff.value_and_grad(lambda net, x: net(x))(expected, X)
    counted = Counted(lambda net, x: net(x))
    step = dualdiff.value_and_grad(counted, seeding="parameters", memory="40KB")
    for _ in range(3):
        step(net, X)
    assert counted.real > 3
    np.testing.assert_array_equal(net.mean.numpy(), expected.mean.numpy())
    assert int(net.count) == 3
    planned = counted.abstract
    net.eval()
    step(net, X)
    assert counted.abstract > planned
    assert int(net.count) == 3


@pytest.mark.parametrize("seeding", ["activations", "parameters", "auto"])
def test_changes_in_place_through_views_go_in_chunks(seeding: str) -> None:
    def changed(net: Any, x: Any) -> Any:
        h = net(x)
        squares, h = h * h, h.clone()
        h[:, :4] += squares[:, 4:]
        view = h[:, 2:6]
        part = view[:, 1:]
        part *= squares[:, :3]
        h[:, 7] = h[:, 1] * 2.0
        part -= 1.0
        return (h * view.sum(dim=1, keepdim=True)).tanh().sum()

    value, expected = revdiff.value_and_grad(changed)(net_of(revdiff, 12, 8), X)
    step = dualdiff.value_and_grad(changed, seeding=seeding)(net_of(dualdiff, 12, 8), X)
    equal(step[1], expected)
    least = least_of(changed, net_of(dualdiff, 12, 8), X, seeding=seeding)
    for memory in (least, 2 * least, 100 * least):
        found, gradient = dualdiff.value_and_grad(changed, seeding=seeding, memory=memory)(net_of(dualdiff, 12, 8), X)
        assert found == value
        equal(gradient, expected)


def test_a_view_made_without_gradients_is_still_refused_in_chunks() -> None:
    def changed(net: Any, x: Any) -> Any:
        h = net(x).clone()
        with dualdiff.no_grad():
            view = h[:, :4]
        view[:, 1:] *= 2.0
        return h.sum()

    for memory in (None, "1MB"):
        with pytest.raises(GradientError, match="created in no_grad mode"):
            dualdiff.value_and_grad(changed, memory=memory)(net_of(dualdiff, 12, 8), X)


def normed(engine: ModuleType) -> Any:
    """Convolutions before batch norm, whose examples mix there, and layers behind that keep them apart."""
    engine.manual_seed(0)
    nn = engine.nn
    layers = [nn.Conv2d(2, 4, 3, dtype=np.float64), nn.BatchNorm2d(4, dtype=np.float64), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(64, 6, dtype=np.float64), nn.Tanh(), nn.Linear(6, 3, dtype=np.float64))


@pytest.mark.parametrize("seeding", ["activations", "auto"])
def test_sites_before_a_kernel_that_mixes_examples_go_down_to_one_direction(seeding: str) -> None:
    def squares(net: Any, x: Any) -> Any:
        return (net(x) ** 2).sum()

    x = RNG.normal(size=(5, 2, 6, 6))
    value, expected = revdiff.value_and_grad(squares)(normed(revdiff), x)
    least = least_of(squares, normed(dualdiff), x, seeding=seeding)
    assert least <= least_of(squares, normed(dualdiff), x, seeding="parameters")
    gradients = sum(array.nbytes for array in expected.values())
    largest = 8 * 5 * 4 * 4 * 4
    assert gradients <= least < gradients + largest, "one direction beside the gradients, and not one of each element"
    counts = []
    for memory in (least, 4 * least, 10**9):
        counted = Counted(squares)
        found, gradient = dualdiff.value_and_grad(counted, seeding=seeding, memory=memory)(normed(dualdiff), x)
        np.testing.assert_allclose(found, value, rtol=1e-13)
        for name, array in expected.items():
            np.testing.assert_allclose(gradient[name], array, rtol=1e-11, atol=1e-11, err_msg=name)
        counts.append(counted.real)
    parameters = Counted(squares)
    dualdiff.value_and_grad(parameters, seeding="parameters", memory=4 * least)(normed(dualdiff), x)
    assert counts[0] > counts[1] > counts[2] == 1
    assert counts[1] <= parameters.real
