"""The ledger counts operations exactly, by phase, kernel and layer, and in loops; its bytes are in `test_ledger_bytes`."""


import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels.elementwise import equal
from diffcore.ledger import MOMENTS, Ledger, spans, state, thinned

F4 = np.dtype(np.float32)


def abstract(*shape, dtype=F4):
    return AbstractArray(shape, dtype)


def cost(function, *operands):
    """(flops, transcendentals) of `function`, all phases together."""
    with Ledger() as ledger:
        function(*operands)
    return sum(ledger.flops.values()), sum(ledger.transcendentals.values())


# operations

COUNTS = {
    "matmul": (lambda: ops.matmul(abstract(3, 4), abstract(4, 5)), 2 * 3 * 4 * 5, 0),
    "matmul of stacks": (lambda: ops.matmul(abstract(7, 3, 4), abstract(7, 4, 5)), 2 * 7 * 3 * 4 * 5, 0),
    "stack times matrix": (lambda: ops.matmul(abstract(7, 3, 4), abstract(4, 5)), 2 * 7 * 3 * 4 * 5, 0),
    "inner product": (lambda: ops.matmul(abstract(6), abstract(6)), 2 * 6, 0),
    "linear": (lambda: ops.linear(abstract(8, 3), abstract(5, 3), abstract(5)), 2 * 8 * 3 * 5 + 8 * 5, 0),
    "linear without bias": (lambda: ops.linear(abstract(8, 3), abstract(5, 3)), 2 * 8 * 3 * 5, 0),
    "add": (lambda: ops.add(abstract(3, 4), abstract(3, 4)), 12, 0),
    "add with broadcasting": (lambda: ops.add(abstract(3, 1), abstract(4)), 12, 0),
    "mul by a number": (lambda: ops.mul(abstract(3, 4), 2.0), 12, 0),
    "neg": (lambda: ops.neg(abstract(5)), 5, 0),
    "relu": (lambda: ops.relu(abstract(5)), 5, 0),
    "comparison": (lambda: equal(abstract(5), 0), 5, 0),
    "exp": (lambda: ops.exp(abstract(3, 4)), 0, 12),
    "log": (lambda: ops.log(abstract(7)), 0, 7),
    "tanh": (lambda: ops.tanh(abstract(7)), 0, 7),
    "sqrt": (lambda: ops.sqrt(abstract(7)), 0, 7),
    "pow": (lambda: ops.pow(abstract(7), 3), 0, 7),
    "sum": (lambda: ops.sum(abstract(3, 4)), 12, 0),
    "sum over an axis": (lambda: ops.sum(abstract(3, 4), 0), 12, 0),
    "mean": (lambda: ops.mean(abstract(3, 4), 1), 12 + 3, 0),
    "max": (lambda: ops.amax(abstract(3, 4), 1), 12, 0),
    "argmax": (lambda: ops.argmax(abstract(3, 4), 1), 12, 0),
    "reshape": (lambda: ops.reshape(abstract(3, 4), (2, 6)), 0, 0),
    "transpose": (lambda: ops.transpose(abstract(3, 4), 0, 1), 0, 0),
    "broadcast": (lambda: ops.broadcast_to(abstract(4), (3, 4)), 0, 0),
    "cast": (lambda: ops.astype(abstract(3, 4), np.float64), 0, 0),
    "slice": (lambda: ops.getitem(abstract(3, 4), slice(1, 3)), 0, 0),
    "integers": (lambda: ops.getitem(abstract(3, 4), np.array([0, 2])), 0, 0),
    "nothing": (lambda: ops.mul(abstract(0, 4), 2.0), 0, 0),
}


@pytest.mark.parametrize(("program", "flops", "transcendentals"), COUNTS.values(), ids=COUNTS)
def test_operations(program, flops, transcendentals):
    assert cost(program) == (flops, transcendentals)


def test_reverse_mode_of_a_linear_layer():
    """The adjoint is two products for the loss's two operands: 3x the primal's, and 2x where the input is a constant."""
    n, i, o = 8, 3, 5
    primal = 2 * n * i * o

    def loss(x, w):
        return ops.sum(ops.linear(x, w))

    with Ledger() as ledger:
        revdiff.grad(loss, (0, 1))(abstract(n, i), abstract(o, i))
    assert ledger.flops == {"primal": primal + n * o, "adjoint": 2 * primal}
    with Ledger() as ledger:
        revdiff.grad(loss, 1)(abstract(n, i), abstract(o, i))
    assert ledger.flops == {"primal": primal + n * o, "adjoint": primal}
    assert ledger.by_kernel["primal", "linear_unbiased"] == primal
    assert ledger.by_kernel["adjoint", "linear_unbiased"] == primal


def test_forward_mode_of_a_linear_layer():
    """One direction in the weight costs one product more: 2x the primal, not 3x, because the input's zero tangent is never made."""
    n, i, o = 8, 3, 5
    with Ledger() as ledger:
        dualdiff.jvp(lambda w: ops.linear(abstract(n, i), w), (abstract(o, i),), (abstract(o, i),))
    assert ledger.flops == {"primal": 2 * n * i * o, "tangent": 2 * n * i * o}


def test_directions_multiply_the_tangent_alone():
    k, n, i, o = 6, 8, 3, 5
    x, v = abstract(n, i), abstract(k, n, i)
    with Ledger() as ledger:
        pushed = ops.matmul(v, abstract(i, o))
    assert (tuple(pushed.shape), ledger.flops["primal"]) == ((k, n, o), k * 2 * n * i * o)
    with Ledger() as ledger:
        dualdiff.forward_gradient(lambda x: ops.sum(ops.matmul(x, abstract(i, o))), directions=k, rng=0)(x)
    assert ledger.flops["primal"] >= 2 * n * i * o + n * o
    assert ledger.by_kernel["tangent", "matmul"] == k * 2 * n * i * o


def test_phases_and_kernels_add_up():
    with Ledger() as ledger:
        revdiff.grad(lambda x: ops.sum(ops.tanh(x)))(abstract(10))
    assert set(ledger.flops) == {"primal", "adjoint"}
    assert ledger.transcendentals["primal"] == 10
    assert not ledger.transcendentals["adjoint"]
    for phase, count in ledger.flops.items():
        assert count == sum(n for (p, _), n in ledger.by_kernel.items() if p == phase)


def test_a_phase_can_be_named():
    with Ledger() as ledger, ledger.phase("update"):
        ops.add(abstract(3), abstract(3))
    assert ledger.flops == {"update": 3}


def test_nothing_is_booked_outside_a_ledger():
    with Ledger() as ledger:
        pass
    ops.add(abstract(3), abstract(3))
    assert not ledger.flops
    assert state.ledger is None


def test_an_inner_ledger_gives_back_to_the_outer():
    with Ledger() as outer:
        ops.add(abstract(3), abstract(3))
        with Ledger() as inner:
            ops.add(abstract(5), abstract(5))
        ops.add(abstract(3), abstract(3))
    assert (outer.flops["primal"], inner.flops["primal"]) == (6, 5)


def test_an_error_inside_leaves_no_ledger_behind():
    with pytest.raises(ValueError), Ledger():
        ops.add(abstract(3), abstract(4))
    assert state.ledger is None
    assert (state.phase, state.kernel, state.role) == ("primal", "", "workspace")


# by layer, and where the peak is


class Net:
    """A network of either engine, with a line of its own for each of its layers."""

    @staticmethod
    def of(nn):
        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Linear(3, 50, bias=False, device="meta")
                self.rest = nn.Sequential(nn.Tanh(), nn.Linear(50, 2, bias=False, device="meta"))

            def forward(self, x):
                hidden = self.first(x)
                return self.rest(hidden).sum()

        return Own()


@pytest.mark.parametrize("engine", [revdiff, dualdiff], ids=["revdiff", "dualdiff"])
def test_operations_are_told_by_layer_and_sum_to_the_total(engine):
    net, x = Net.of(engine.nn), engine.tensor(abstract(8, 3))
    with Ledger(located=True) as ledger:
        engine.value_and_grad(lambda net, x: net(x))(net, x)
    entries = ledger.entries(net)
    for phase, total in ledger.flops.items():
        assert sum(entry.flops for entry in entries if entry.phase == phase) == total
    assert sum(entry.transcendentals for entry in entries) == ledger.transcendentals["primal"] == 8 * 50
    primal = {(entry.layer, entry.kernel): entry.flops for entry in entries if entry.phase == "primal"}
    assert primal == {
        ("first", "linear_unbiased"): 2 * 8 * 3 * 50,
        ("rest.0", "tanh"): 0,
        ("rest.1", "linear_unbiased"): 2 * 8 * 50 * 2,
        ("", "sum"): 16,
    }
    # A diagonal tangent meets a matrix as a pair of factors, so that forward mode multiplies nothing before the sum.
    phase, layers = {"revdiff": ("adjoint", {"first", "rest.0", "rest.1"}), "dualdiff": ("tangent", {"", "rest.0"})}[engine.__name__]
    assert {entry.layer for entry in entries if entry.phase == phase and entry.flops} == layers


@pytest.mark.parametrize("engine", [revdiff, dualdiff], ids=["revdiff", "dualdiff"])
def test_the_peak_is_told_with_its_line_and_layer(engine):
    net, x = Net.of(engine.nn), engine.tensor(abstract(8, 3))
    with Ledger(located=True) as ledger:
        engine.value_and_grad(lambda net, x: net(x))(net, x)
    phase, kernel, place = ledger.peak_at
    assert (phase, kernel) == {"revdiff": ("adjoint", "tanh"), "dualdiff": ("tangent", "sum")}[engine.__name__]
    assert place.file == __file__
    assert place.function == "forward"
    assert place.layer() is {"revdiff": net.rest[0], "dualdiff": net}[engine.__name__]


def test_places_are_not_noted_unless_wanted():
    with Ledger() as ledger:
        ops.tanh(abstract(5))
    assert ledger.peak_at.place is None
    assert ledger.entries() == [("primal", "", "tanh", 0, 5)]


# loops that are not run to their end


def test_what_is_done_so_many_times_counts_so_often_and_lives_once():
    with Ledger() as ledger:
        x = abstract(10)
        with ledger.times(3):
            np.exp(x + x)
            with ledger.times(5):
                np.add(x, x, out=x)
        assert x + x is not x
    assert (ledger.flops["primal"], ledger.transcendentals["primal"]) == (3 * 10 + 15 * 10 + 10, 30)
    assert ledger.by_kernel["primal", ""] == ledger.flops["primal"]
    assert ledger.peak == 120
    assert ledger.repeats == 1


def test_an_error_inside_a_loop_ends_its_counting():
    with Ledger() as ledger, pytest.raises(ValueError, match="broadcast"), ledger.times(7):
        abstract(3) + abstract(4)
    assert ledger.repeats == 1


@pytest.mark.parametrize("count", [0, 1, 6, 7, 12, 13, 18, 20, 600])
def test_spans_of_abstract_arrays_are_those_of_others_the_second_for_all_like_it(count):
    whole = [(start, min(start + 6, count)) for start in range(0, count, 6)]
    assert list(spans(count, 6, np.zeros(1))) == whole
    found = []
    with Ledger() as ledger:
        for span in spans(count, 6, abstract(1)):
            found += [(span[1] - span[0], None)] * ledger.repeats
    assert found == [(stop - start, None) for start, stop in whole]
    with_no_ledger = list(spans(count, 6, abstract(1)))
    assert len(with_no_ledger) <= 3
    assert with_no_ledger[-1:] == whole[-1:] or count % 6 == 0


def test_a_long_timeline_is_thinned_and_keeps_its_peak():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 10**6, 3 * MOMENTS)
    with Ledger() as ledger:
        kept = abstract(1)
        for n in sizes:
            abstract(int(n))
    assert MOMENTS // 2 <= len(ledger.timeline) <= MOMENTS
    assert max(sum(roles.values()) for _, roles in ledger.timeline) == ledger.peak == 4 * int(sizes.max()) + 4
    assert ledger.timeline[0] == ("primal", {"workspace": 4})
    del kept


def test_thinned_moments_are_the_first_and_the_highest_around():
    moments = [(i * 7919) % 10007 for i in range(9999)]
    found = thinned(moments, 2000, lambda moment: moment)
    assert len(found) == 2000
    assert found[0] == moments[0]
    places = [moments.index(moment) for moment in found]
    assert places == sorted(places)
    assert max(found) == max(moments)
    assert thinned(moments, 9999, lambda moment: moment) == moments


class Rebinding(revdiff.nn.Module):
    """A network whose variable stands for one value after the other, as in most code."""

    def __init__(self):
        super().__init__()
        self.first = revdiff.nn.Linear(30, 40, device="meta")

    def forward(self, x):
        x = self.first(x)
        for _ in range(3):
            x = x.exp().sum(dim=-1, keepdim=True) + x
        return x.sum()


def test_noting_places_keeps_nothing_alive():
    net = Rebinding()
    peaks = []
    for located in (False, True):
        with Ledger(located=located) as ledger, revdiff.no_grad():
            net(revdiff.tensor(abstract(50, 30)))
        peaks.append((ledger.peak, ledger.peak_roles))
    assert peaks[0] == peaks[1]
