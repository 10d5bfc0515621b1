"""A ledger that recalls calls on shapes books what one does that runs them all, to the byte."""

import copy

import numpy as np
import pytest

import dualdiff
import revdiff
from compare.planning.booking import Book
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels import registered
from diffcore.kernels.families import elementwise
from diffcore.kernels.normalisation import normalise
from diffcore.kernels.reduction import sum as total
from diffcore.ledger import Ledger
from diffcore.recalled import Recalled, Unbooked
from diffcore.testing.scenarios import rows_of
from dualdiff import chunks, plans


class Plain(Book):
    """With or without calls to recall, counting every numpy call too."""

    def __init__(self, recalled=None, *, works=True):
        super().__init__(recalled)
        self.works = works


def abstract(*shape, dtype="float32"):
    return AbstractArray(shape, np.dtype(dtype))


def told(ledger):
    counts = ledger.flops, ledger.transcendentals, ledger.products, ledger.surplus, ledger.work, ledger.live
    made = [(phase, nbytes) for (phase, _), nbytes in ledger.made.items()]  # layer by layer
    at = ledger.peak_at.phase, ledger.peak_at.kernel
    roles = {role: nbytes for role, nbytes in ledger.peak_roles.items() if nbytes}
    return [{key: n for key, n in count.items() if n} for count in counts], made, ledger.peak, roles, at, ledger.by_kernel


def book(program, recalled=None, works=True):
    with Plain(recalled, works=works) as ledger:
        kept = program()
        found = told(ledger)
        del kept
    return found, told(ledger)


def laid_out(result):
    """What is seen of a result: shapes, dtypes, strides, and what owns its buffer."""
    leaves = result if isinstance(result, tuple | list) else (result,)
    return [(x.shape, x.dtype, x.strides, x.base is None) if isinstance(x, AbstractArray) else x for x in leaves]


def programs(row):
    """The value of a row twice, and its derivatives by both engines, on shapes."""
    operands = row.operands()

    def shadows():
        return [AbstractArray(x.shape, x.dtype, strides=x.strides) if isinstance(x, np.ndarray) else x for x in operands]

    def scalar(*args):
        out = row.function(*args)
        return ops.sum(out * out)

    yield lambda: [row.function(*shadows()) for _ in range(2)]
    if row.variables and row.smooth:
        yield from (lambda engine=engine: engine.grad(scalar, row.variables)(*shadows()) for engine in (revdiff, dualdiff))


@pytest.mark.parametrize("kernel", registered())
def test_calls_that_are_recalled_book_what_they_do(kernel):
    recalled = Recalled()
    for row in rows_of(kernel)[:3]:
        for program in programs(row):
            try:
                plain = book(program)
            except Exception:  # there is nothing to plan: it looks at values
                continue
            for _ in range(2):
                assert book(program, recalled) == plain, row.id


class Forgetful(Recalled):
    """Remembers nothing."""

    def once(self, ledger, key, arrays, work):
        return False, work()

    def of_work(self):
        return {}


def layers(engine):
    nn = engine.nn
    block = [nn.Conv2d(3, 3, 3, padding=1, device="meta"), nn.BatchNorm2d(3, device="meta"), nn.ReLU()]
    return nn.Sequential(
        *block, *[copy.deepcopy(layer) for layer in block], nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4, device="meta"), nn.Tanh()
    )


def loss(net, x):
    return (net(x) ** 2).sum()


def evaluated(x, **options):
    net = layers(dualdiff).eval().requires_grad_(False)
    return dualdiff.jacobian(net, per_example=True, **options)(x)


def product(net, x):
    return dualdiff.jvp(revdiff.grad(lambda net: loss(net, x)), (net,), ({n: abstract(*p.shape) for n, p in net.named_parameters()},))


DERIVATIVES = {
    "forward by parameters": lambda x: dualdiff.value_and_grad(loss, seeding="parameters")(layers(dualdiff), x),
    "forward by activations": lambda x: dualdiff.value_and_grad(loss, seeding="activations")(layers(dualdiff), x),
    "forward by parameters in chunks": lambda x: dualdiff.value_and_grad(loss, seeding="parameters", memory=80_000)(layers(dualdiff), x),
    "forward by activations in chunks": lambda x: dualdiff.value_and_grad(loss, seeding="activations", memory=80_000)(layers(dualdiff), x),
    "forward gradient": lambda x: dualdiff.forward_gradient(loss, directions=3)(layers(dualdiff), x),
    "columns": evaluated,
    "columns in chunks": lambda x: evaluated(x, memory=50_000),
    "reverse": lambda x: revdiff.value_and_grad(loss)(layers(revdiff), x),
    "forward over reverse": lambda x: product(layers(revdiff), x),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_that_are_recalled_book_what_they_do(name):
    def program():
        return DERIVATIVES[name](abstract(8, 3, 4, 4))

    forgetful, recalled = Forgetful(), Recalled()
    plain = book(program, forgetful)
    assert book(program) == plain
    for _ in range(2):
        assert book(program, recalled) == plain
    assert book(program, recalled, works=False)[0][1:] == plain[0][1:]


def test_chunks_are_planned_alike_where_pushes_are_recalled():
    seen = []

    def program(recalled):
        seen.append([])
        with Plain(recalled, works=False):
            original = chunks.plan

            def noted(*args):
                found = original(*args)
                seen[-1].append((found.alike, found.met))
                return found

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(plans, "plan", noted)
                for budget in (40_000, 80_000, 300_000):
                    for seeding in ("parameters", "activations", "auto"):
                        dualdiff.grad(loss, seeding=seeding, memory=budget)(layers(dualdiff), abstract(8, 3, 4, 4))

    recalled = Recalled()
    recalled.work = "the same"
    for given in (Forgetful(), recalled):
        program(given)
    assert len(seen[0]) >= 6
    assert seen[0] == seen[1]


def test_a_call_that_is_met_again_is_not_run():
    runs = []

    def compute(xp, x, *, factor):
        runs.append(factor)
        return xp.exp(x) * factor

    kernel = elementwise("recalled", compute, x=lambda out: out)
    try:
        recalled = Recalled()
        for factor in (2, 2, 2.0, True, 2):
            book(lambda factor=factor: kernel(abstract(3, 4), factor=factor), recalled)
        assert runs == [2, 2.0, True]
        for x in (abstract(4, 3), abstract(3, 4, dtype="float64"), abstract(4, 3).T, abstract(3, 8)[:, ::2], abstract(3, 4)):
            book(lambda x=x: kernel(x, factor=2), recalled)
        assert len(runs) == 7
        with Ledger():  # which keeps a timeline
            kernel(abstract(3, 4), factor=2)
        assert len(runs) == 8
    finally:
        from diffcore.kernels import record

        del record._registry["recalled"]


def test_what_is_recalled_is_a_new_buffer_that_lives_until_it_is_dropped():
    recalled = Recalled()
    with Plain(recalled) as ledger:
        x = abstract(8, 8)
        first, second = ops.exp(x), ops.exp(x)
        assert first.storage is not second.storage
        assert ledger.alive == 3 * 256
        del first
        assert ledger.alive == 2 * 256
        del second, x
        assert ledger.alive == 0


def test_results_are_laid_out_alike_and_share_what_they_share():
    recalled = Recalled()

    def found(recalled):
        with Plain(recalled):
            x, weight, report = abstract(4, 5, 5, 3).transpose(0, 3, 1, 2), abstract(3, 1, 1), []
            made = normalise(x, weight, 0, axis=(0, 2, 3), eps=1e-5, centred=True, report=report)
            same = total(abstract(3, 1), axis=(1,), keepdims=True)
        return laid_out(made), laid_out(report), laid_out(same)

    plain = found(None)
    assert found(recalled) == found(recalled) == plain
    assert len(plain[1]) == 2


def test_what_is_one_array_is_one_again():
    recalled = Recalled()
    with Plain(recalled) as ledger:
        x, y = abstract(2, 3), abstract(2, 3)

        def work():
            made = np.exp(x)
            return made, [made, x], x.T

        known, (made, _, _) = recalled.once(ledger, "exp", [x], work)
        assert not known
        known, (first, (second, operand), turned) = recalled.once(ledger, "exp", [y], work)
        assert known
        assert first is second is not made
        assert operand is y
        assert (turned.storage is y.storage, turned.shape) == (True, (3, 2))
        assert ledger.alive == 4 * 24
        assert ledger.transcendentals["primal"] == 2 * 6


def test_operands_that_share_memory_are_told_from_others():
    recalled = Recalled()

    def shared():
        x = abstract(6, 6)
        return ops.where(abstract(6, 6, dtype="bool"), x, x)

    def apart():
        return ops.where(abstract(6, 6, dtype="bool"), abstract(6, 6), abstract(6, 6))

    for program in (shared, apart, shared, apart):
        assert book(program, recalled) == book(program)


def test_a_call_that_fails_books_what_it_has_done_and_is_not_remembered():
    recalled = Recalled()
    with Plain(recalled) as ledger:
        for _ in range(2):
            with pytest.raises(ValueError, match="disagree"):
                ops.matmul(abstract(2, 3), abstract(2, 3))
        assert ledger.flops.total() == 0
        assert ledger.alive == 0


def test_passes_of_a_loop_count_as_often_as_they_are_made():
    recalled = Recalled()

    def program(ledger):
        with ledger.times(5):
            return ops.exp(abstract(3, 4)), ops.matmul(abstract(3, 4), abstract(4, 2))

    for _ in range(2):
        with Plain(recalled) as ledger:
            program(ledger)
        assert ledger.transcendentals["primal"] == 5 * 12
        assert ledger.products["primal", "matmul"] == 5 * 2 * 3 * 4 * 2


@pytest.mark.parametrize("compiled", [False, True])
def test_convolutions_of_numpy_and_of_jax_are_not_mixed_up(compiled):
    recalled = Recalled()

    def program():
        return ops.conv2d(abstract(2, 3, 9, 9), abstract(4, 3, 3, 3), padding=1)

    def booked(recalled, compiled):
        with Plain(recalled) as ledger:
            ledger.compiled = compiled
            program()
        return told(ledger)

    booked(recalled, not compiled)
    assert booked(recalled, compiled) == booked(recalled, compiled) == booked(None, compiled)


def test_programs_of_which_nothing_is_booked_are_remembered_for_those_of_which_all_is():
    recalled = Recalled()

    def program():
        return DERIVATIVES["forward by activations"](abstract(8, 3, 4, 4))

    plain = book(program, works=False)
    with Unbooked(recalled) as ledger:
        program()
    assert (ledger.peak, ledger.flops.total(), ledger.live.total()) == (0, 0, 0)
    assert book(program, recalled, works=False) == plain
