"""Blocks of tangents: all directions together, factors kept apart, directions that merge, and variables seeded by what that costs."""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.errors import MemoryBudgetError
from diffcore.kernels.convolution import conv_unbiased
from diffcore.kernels.record import Call
from diffcore.ledger import Ledger
from dualdiff import blocks
from dualdiff.forms import Outer, Rows
from dualdiff.seeding import FACTORED, Family, Site

RNG = np.random.default_rng(12)
MODES = ("parameters", "activations", "auto")
IMAGES, LABELS = RNG.normal(size=(3, 2, 9, 8)), np.array([0, 2, 1])


def loss(net: Any, x: Any, y: Any) -> Any:
    return ops.cross_entropy(net(x), y)


def mlp(engine: ModuleType, *widths: int) -> Any:
    engine.manual_seed(len(widths))
    layers: list[Any] = []
    for d_in, d_out in itertools.pairwise(widths):
        layers += [engine.nn.Linear(d_in, d_out, dtype=np.float64), engine.nn.Tanh()]
    return engine.nn.Sequential(*layers[:-1])


def averaged(engine: ModuleType) -> Any:
    nn, of = engine.nn, {"dtype": np.float64}
    engine.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, **of), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, stride=(1, 2), groups=2, bias=False, **of), nn.Sigmoid(), nn.AvgPool2d(2, 1),
        nn.Flatten(), nn.Linear(18, 5, **of), nn.ReLU(), nn.Linear(5, 3, **of),
    )  # fmt: skip


def largest(engine: ModuleType) -> Any:
    nn, of = engine.nn, {"dtype": np.float64}
    engine.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 3, 2, dilation=2, **of), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2, padding=1, **of), nn.SiLU(),
        nn.MaxPool2d(3, 1), nn.Flatten(), nn.LayerNorm(16, **of), nn.Linear(16, 3, **of),
    )  # fmt: skip


def squeezed(engine: ModuleType) -> Any:
    """A residual connection, a global average and a slice."""
    nn, of = engine.nn, {"dtype": np.float64}
    engine.manual_seed(3)

    class Net(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 4, 3, padding=1, **of), nn.Conv2d(4, 4, 3, padding=1, **of)
            self.gate, self.last = nn.Conv2d(4, 4, 1, **of), nn.Linear(6, 3, **of)

        def forward(self, x: Any) -> Any:
            h = self.first(x).tanh()
            h = h + self.second(h).tanh()
            h = h * self.gate(h).sigmoid()
            return self.last(ops.cat([h.mean((2, 3)), h[:, 1:3, 4, 2]], 1))

    return Net()


NETS: dict[str, Callable[[ModuleType], Any]] = {"averaged": averaged, "largest": largest, "squeezed": squeezed}


def close(found: Any, expected: Any) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-12 * max(1e-2, np.abs(value).max()), err_msg=name)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seeding", MODES)
def test_convolutional_networks(name: str, seeding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = NETS[name](dualdiff)
    _, expected = revdiff.value_and_grad(loss)(NETS[name](revdiff), IMAGES, LABELS)
    step = dualdiff.value_and_grad(loss, seeding=seeding)
    close(step(net, IMAGES, LABELS)[1], expected)
    close(step(net, IMAGES, LABELS)[1], expected)  # by cost, where that is for "auto" to choose
    monkeypatch.setattr(blocks, "TILE", 1)
    monkeypatch.setattr(blocks, "LEAST", 2)
    close(step(net, IMAGES, LABELS)[1], expected)
    close(step(net, IMAGES[:1], LABELS[:1])[1], revdiff.value_and_grad(loss)(NETS[name](revdiff), IMAGES[:1], LABELS[:1])[1])


@pytest.mark.parametrize("name", NETS)
def test_convolutional_networks_in_chunks(name: str) -> None:
    net = NETS[name](dualdiff)
    _, expected = revdiff.value_and_grad(loss)(NETS[name](revdiff), IMAGES, LABELS)
    with pytest.raises(MemoryBudgetError) as caught:
        dualdiff.value_and_grad(loss, seeding="activations", memory=1)(net, IMAGES, LABELS)
    for budget in (8 * caught.value.least, 64 * caught.value.least):
        close(dualdiff.value_and_grad(loss, seeding="activations", memory=budget)(net, IMAGES, LABELS)[1], expected)


@pytest.mark.parametrize("tile", [1, 4000, 1 << 19])
def test_tiles_of_any_size_give_the_same(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "TILE", tile)
    monkeypatch.setattr(blocks, "LEAST", 1)
    x, y = RNG.normal(size=(6, 7)), RNG.integers(4, size=6)
    widths = (7, 11, 9, 12, 4)
    _, expected = revdiff.value_and_grad(loss)(mlp(revdiff, *widths), x, y)
    for seeding in MODES:
        close(dualdiff.value_and_grad(loss, seeding=seeding)(mlp(dualdiff, *widths), x, y)[1], expected)


# ------------------------------------------------------------------------------------------------ forms


def carried(seeding: str, *widths: int) -> list[Any]:
    """What the result of each layer carries."""
    found: list[Any] = []
    x, y = RNG.normal(size=(5, widths[0])), RNG.integers(widths[-1], size=5)

    def followed(net: Any, x: Any, y: Any) -> Any:
        for layer in net:
            x = layer(x)
            found.append(x.carried)
        return ops.cross_entropy(x, y)

    dualdiff.value_and_grad(followed, seeding=seeding)(mlp(dualdiff, *widths), x, y)
    return found


def test_all_layers_before_share_one_block() -> None:
    *_, last = carried("activations", 4, 5, 6, 7, 8, 3)
    kinds = {seed: form for seed, form in last.items() if type(seed) is Family}
    (block,) = [form for form in kinds.values() if type(form) is Rows]
    assert [site.count for site in block.members] == [5, 6, 7]
    assert block.array.shape == (5 + 6 + 7, 5, 3)
    assert [site.count for site in kinds[FACTORED].members] == [8]
    assert [type(seed) for seed in last if type(seed) is not Family] == [Site]  # of the last layer itself
    *_, last = carried("parameters", 4, 5, 6, 3)
    (block,) = last.values()
    assert block.array.shape == (4 * 5 + 5 + 5 * 6 + 6 + 6 * 3 + 3, 5, 3)


def test_an_elementwise_kernel_touches_no_block() -> None:
    layers = carried("activations", 4, 5, 6, 7, 3)
    before, after = layers[4], layers[5]
    for seed, form in before.items():
        if type(form) is Rows:
            assert after[seed].array is form.array
            assert after[seed].scale.shape == (5, 7)
        if type(form) is Outer:
            assert after[seed].left is form.left
            assert after[seed].right is form.right


def test_a_gate_adds_up_what_scales_one_block() -> None:
    """`h * sigmoid(h)` as two kernels: both operands carry the same tangents."""
    x, a, b = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(6, 5))
    seen: list[Any] = []

    def gated(a: Any, b: Any) -> Any:
        h = ops.linear(ops.linear(ops.linear(x, a).tanh(), b), b.T.tanh() @ b @ b.T)
        out = h * h.sigmoid()
        seen.append((h.carried, out.carried))
        return out.sum()

    expected = revdiff.grad(gated_plain(x), (0, 1))(a, b)
    for one, other in zip(dualdiff.grad(gated, (0, 1), seeding="activations")(a, b), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)
    before, after = seen[-1]
    shared = [seed for seed, form in before.items() if type(form) is Rows]
    assert shared
    assert all(after[seed].array is before[seed].array for seed in shared if type(seed) is Family and seed.examples)


def gated_plain(x: Any) -> Callable[..., Any]:
    def plain(a: Any, b: Any) -> Any:
        h = ops.linear(ops.linear(ops.linear(x, a).tanh(), b), b.T.tanh() @ b @ b.T)
        return (h * h.sigmoid()).sum()

    return plain


@pytest.mark.parametrize("rows", [slice(0, 84), slice(5, 6), slice(20, 61), slice(83, 84)])
@pytest.mark.parametrize(
    "params",
    [
        {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1},
        {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2), "groups": 1},
        {"stride": (1, 3), "padding": ((1, 1), (2, 2)), "dilation": (2, 1), "groups": 2},
    ],
)
def test_a_diagonal_through_a_convolution_is_copies_of_the_filter(params: dict[str, Any], rows: slice) -> None:
    """Direction `f` is the response to an image that is one at `f`."""
    x, weight = RNG.normal(size=(3, 2, 6, 7)), RNG.normal(size=(4, 2 // params["groups"], 3, 2))
    scale = RNG.normal(size=x.shape)
    out = conv_unbiased(x, weight, **params)
    call = Call(conv_unbiased, (x, weight), out, params, (x.shape, weight.shape), out.shape, ())
    left, right = conv_unbiased.diagonal(call, 0, scale, rows, True)
    units = np.eye(84)[rows].reshape((-1, *x.shape[1:]))
    np.testing.assert_array_equal(right, conv_unbiased(units, weight, **params))
    np.testing.assert_array_equal(left, scale.reshape(3, 84)[:, rows])


def test_a_layer_over_many_places_is_copies_of_its_matrix() -> None:
    """No product with an identity: the arithmetic of a direction is that of the result, not that of the layer."""
    x, w, v = (np.zeros(shape) for shape in ((4, 5, 6), (7, 6), (8, 7)))
    f = lambda w: ops.linear(ops.linear(x, w), v).sum()
    found = dualdiff.tensor(w, device="meta", requires_grad=True)
    with Ledger() as ledger:
        ops.linear(ops.linear(dualdiff.tensor(x, device="meta"), found), dualdiff.tensor(v, device="meta"))
    assert ledger.flops["tangent"] <= 2 * (5 * 7) * 5 * 8 + 5 * 7 * 5
    np.testing.assert_allclose(dualdiff.grad(f, seeding="activations")(w + 1), revdiff.grad(f)(w + 1))


# ------------------------------------------------------------------------------------------------ directions that merge


def test_pooling_merges_directions() -> None:
    """One direction for all features that a pooled one is made of, however they are pooled."""
    x = RNG.normal(size=(3, 1, 8, 8))
    for pool, size in ((dualdiff.nn.AvgPool2d(2), 4 * 4), (dualdiff.nn.MaxPool2d(4), 2 * 2), (dualdiff.nn.AdaptiveAvgPool2d(1), 1)):
        net = dualdiff.nn.Sequential(
            dualdiff.nn.Conv2d(1, 2, 3, padding=1), dualdiff.nn.Tanh(), pool, dualdiff.nn.Flatten(), dualdiff.nn.Linear(2 * size, 3)
        )
        count = dualdiff.directions(loss, seeding="activations")(net, x.astype(np.float32), LABELS)
        assert count == 2 * size + 3


def test_steps_of_a_sequence_have_directions_of_their_own() -> None:
    """A product for all steps at once is one site; each step carries the directions of its own part of it."""
    x, w = RNG.normal(size=(3, 4, 2)), RNG.normal(size=(5, 2))
    sizes: list[int] = []

    def f(w: Any) -> Any:
        h, state = ops.linear(x, w), 0.0
        for step in range(4):
            state = (h[:, step] + state).tanh() @ np.eye(5)
            sizes.append(sum(seed.count for key, form in state.carried.items() for seed in getattr(form, "members", (key,))))
        return (state * state).sum()

    found = dualdiff.grad(f, seeding="activations")(w)
    assert sizes == [5, 10, 15, 20]
    sizes.clear()
    plain = lambda w: run(ops.linear(x, w))

    def run(h: Any) -> Any:
        state = 0.0
        for step in range(4):
            state = (h[:, step] + state).tanh() @ np.eye(5)
        return (state * state).sum()

    np.testing.assert_allclose(found, revdiff.grad(plain)(w), rtol=1e-12)


# ------------------------------------------------------------------------------------------------ by cost


def recurrent(steps: int) -> tuple[Callable[..., Any], np.ndarray, np.ndarray]:
    x, w, u = RNG.normal(size=(4, steps, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(5, 5)) / 3

    def f(w: Any, u: Any) -> Any:
        state: Any = np.zeros((4, 5))
        for step in range(steps):
            state = (ops.linear(x[:, step], w) + ops.linear(state, u)).tanh()
        return (state * state).sum()

    return f, w, u


def test_a_weight_of_many_steps_takes_no_more_directions_than_it_has_elements() -> None:
    f, w, u = recurrent(2)
    assert dualdiff.directions(f, (0, 1))(w, u) == dualdiff.directions(f, (0, 1), seeding="activations")(w, u) == 2 * 10
    f, w, u = recurrent(20)
    assert dualdiff.directions(f, (0, 1), seeding="activations")(w, u) == 20 * 10
    assert dualdiff.directions(f, (0, 1))(w, u) == w.size + u.size
    expected, step = revdiff.grad(f, (0, 1))(w, u), dualdiff.grad(f, (0, 1))
    for _ in range(2):
        for one, other in zip(step(w, u), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


def test_a_filter_takes_its_own_directions_and_a_wide_layer_its_features() -> None:
    net = dualdiff.nn.Sequential(
        dualdiff.nn.Conv2d(1, 2, 3, bias=False), dualdiff.nn.Tanh(), dualdiff.nn.Conv2d(2, 2, 3), dualdiff.nn.Tanh(), dualdiff.nn.Flatten(),
        dualdiff.nn.Linear(2 * 8 * 8, 6), dualdiff.nn.Tanh(), dualdiff.nn.Linear(6, 3),
    )  # fmt: skip
    x = RNG.normal(size=(3, 1, 12, 12)).astype(np.float32)
    # The directions of the second filter would be dense from its result on, those of its result from the next layer on.
    assert dualdiff.directions(loss)(net, x, LABELS) == 2 * 9 + 2 * 8 * 8 + 6 + 3


def test_the_choice_is_made_when_arguments_are_met_again() -> None:
    """A function that is called once runs once."""
    f, w, u = recurrent(8)
    calls: list[bool] = []

    def counted(w: Any, u: Any) -> Any:
        calls.append(type(w.array) is np.ndarray)
        return f(w, u)

    step = dualdiff.grad(counted, (0, 1))
    for _ in range(3):
        step(w, u)
    assert calls == [True, False, True, True]


def test_a_function_of_values_goes_by_numbers_of_directions() -> None:
    x = RNG.normal(size=(4, 3))
    f = lambda w: (ops.linear(x, w) if float(w.detach().sum()) > 0 else ops.linear(x, w).tanh()).sum()
    w = np.abs(RNG.normal(size=(5, 3)))
    step = dualdiff.grad(f)
    for sign in (1, 1, -1):
        np.testing.assert_allclose(step(sign * w), revdiff.grad(f)(sign * w), rtol=1e-13)


# ------------------------------------------------------------------------------------------------ parameters, and memory


def test_parameters_are_put_back_whatever_happens() -> None:
    net = mlp(dualdiff, 3, 4, 2)
    before = [(p.level, p.carried, p.variable) for p in net.parameters()]

    def fails(net: Any) -> Any:
        assert all(p.level > 0 for p in net.parameters())
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        dualdiff.value_and_grad(fails)(net)
    assert [(p.level, p.carried, p.variable) for p in net.parameters()] == before
    value, gradient = dualdiff.value_and_grad(lambda net: net[0].weight.sum() + net[2].bias[0])(net)
    assert isinstance(value, np.ndarray | np.generic)
    assert (gradient["0.weight"] == 1).all()
    (_, (handed, _)), _ = dualdiff.value_and_grad(lambda net: (net[0].weight.sum(), (net[0].weight, net[0])), has_aux=True)(net)
    np.testing.assert_array_equal(handed, net[0].weight.detach().numpy())
    assert [(p.level, p.carried, p.variable) for p in net.parameters()] == before


@pytest.mark.parametrize("seeding", ["activations", "parameters"])
def test_the_peak_is_the_budget_and_the_primal_pass_down_to_one_direction(seeding: str, peak: Callable[[Callable[[], Any]], int]) -> None:
    """By the allocator, the gradients included. The interpreter's own objects are apart."""
    widths = (24, 30, 20, 10) if seeding == "parameters" else (200, 160, 120, 10)
    net, batch = mlp(dualdiff, *widths), 512 if seeding == "parameters" else 96
    x, y = RNG.normal(size=(batch, widths[0])), RNG.integers(10, size=batch)

    with dualdiff.no_grad():
        primal = peak(lambda: loss(net, dualdiff.tensor(x), y))
    with pytest.raises(MemoryBudgetError) as caught:
        dualdiff.value_and_grad(loss, seeding=seeding, memory=1)(net, x, y)
    least = caught.value.least
    for budget in (least, 5 * least, 40 * least) if seeding == "activations" else (60 * least,):
        step = dualdiff.value_and_grad(loss, seeding=seeding, memory=budget)
        assert peak(lambda step=step: step(net, x, y)) <= budget + primal + 100_000  # type: ignore[misc]


def test_the_operations_of_a_compiled_step_grow_with_the_depth_and_not_with_its_square() -> None:
    jax = pytest.importorskip("jax")

    def operations(depth: int, seeding: str) -> int:
        weights = [jax.numpy.ones((4, 4), "float32") for _ in range(depth)]

        def f(weights: list[Any]) -> Any:
            h: Any = jax.numpy.ones((3, 4), "float32")
            for w in weights:
                h = ops.linear(h, w).tanh()
            return h.sum()

        return len(jax.make_jaxpr(dualdiff.grad(f, seeding=seeding))(weights).eqns)

    for seeding in ("activations", "parameters"):
        assert operations(16, seeding) <= 2.2 * operations(8, seeding)


def test_a_scale_of_no_axes_goes_with_the_block_that_is_moved() -> None:
    weight, x = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 4))
    factor = np.array(3.0)

    def f(engine: Any) -> Callable[[Any], Any]:
        def moved(w: Any) -> Any:
            hidden = ops.tanh(ops.linear(ops.tanh(ops.linear(x, w)), weight.T))
            return ops.sum(ops.transpose(ops.reshape(ops.mul(hidden, factor), (3, 2, 2)), 1, 2) ** 2)

        return engine.grad(moved)  # type: ignore[no-any-return]

    np.testing.assert_allclose(f(dualdiff)(weight), f(revdiff)(weight), rtol=1e-12)
