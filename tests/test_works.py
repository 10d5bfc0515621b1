"""A ledger counts every numpy call and every operation of an engine, with what each does and how it walks memory."""

from collections import Counter

import numpy as np
import pytest
from scipy import special

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.works import STILL
from diffcore.errors import ShapeError
from diffcore.kernels.convolution import conv_transpose, conv_unbiased, conv_weight
from diffcore.ledger import Ledger, Work, did, state

F4 = "float32"


def abstract(*shape, dtype=F4):
    return AbstractArray(shape, np.dtype(dtype))


def told(program, function=None):
    """The work of `program`, allocations and views left out; of one function where that is named."""
    with Ledger(works=True) as ledger:
        program()
    return {
        work: count
        for work, count in ledger.work.items()
        if (work.function == function if function else work.function not in ("allocate", "view", "make"))
    }


WALKS = {
    "one loop over what lies alike": (lambda: abstract(6, 5) + abstract(6, 5), Work("add", F4, (30, 1, 360, 0))),
    "a number is no operand": (lambda: abstract(6, 5) * 2, Work("multiply", F4, (30, 1, 240, 0))),
    "a loop per row with a row": (lambda: abstract(6, 5) + abstract(5), Work("add", F4, (30, 6, 260, 0))),
    "a loop per row with a column": (lambda: abstract(6, 5) + abstract(6, 1), Work("add", F4, (30, 6, 264, STILL))),
    "a transpose lies as it is walked": (lambda: np.exp(abstract(6, 5).T), Work("exp", F4, (30, 1, 240, 0))),
    "every other element": (lambda: np.tanh(abstract(30)[::2]), Work("tanh", F4, (15, 1, 120, 1))),
    "in place": (lambda: np.add(x := abstract(7), 1, out=x), Work("add", F4, (7, 1, 56, 0))),
    "the last axis is reduced by itself": (lambda: abstract(6, 5).sum(axis=1), Work("add.reduce", F4, (30, 6, 144, 0))),
    "the first by rows": (lambda: abstract(6, 50).sum(axis=0), Work("add.reduce rows", F4, (300, 6, 1400, 0))),
    "all at once": (lambda: abstract(6, 5).sum(), Work("add.reduce", F4, (30, 1, 124, 0))),
    "products of matrices": (lambda: abstract(3, 6, 5) @ abstract(5, 4), Work("matmul", F4, (3, 6, 4, 5))),
    "a matrix and a vector": (lambda: abstract(6, 5) @ abstract(5), Work("matmul", F4, (1, 6, 1, 5))),
    "a copy": (lambda: abstract(6, 5).copy(), Work("copy", F4, (30, 1, 240, 0))),
    "a copy that strides": (lambda: abstract(6, 5).T.copy(), Work("copy", F4, (30, 5, 240, 1))),
    "a reshape that copies": (lambda: abstract(6, 5).T.reshape(30), Work("copy", F4, (30, 5, 240, 1))),
    "a cast": (lambda: abstract(6).astype("float64"), Work("cast", "float64", (6, 1, 72, 0))),
    "a gather": (lambda: abstract(6, 5)[np.array([1, 3])], Work("gather", F4, (10,))),
    "a part that is written": (lambda: abstract(6, 5).__setitem__((slice(2), slice(3)), abstract(3)), Work("put", F4, (6, 2, 36, 0))),
    "elements that are written": (lambda: abstract(6).__setitem__(np.array([1, 3]), 2.0), Work("scatter", F4, (2,))),
    "zeros": (lambda: np.zeros_like(abstract(6)), Work("fill", F4, (6, 1, 24, 0))),
    "a concatenation": (lambda: np.concatenate([abstract(2, 3), abstract(4, 3)]), Work("concatenate", F4, (2,))),
    "a part of a concatenation": (lambda: np.concatenate([abstract(6, 5), abstract(6, 4)], axis=1), Work("put", F4, (24, 6, 192, 0))),
    "a part of a stack": (lambda: np.stack([abstract(6, 5), abstract(6, 5)[:, ::-1]], axis=1), Work("put", F4, (30, 6, 240, 0))),
    "a choice": (lambda: np.where(abstract(6, dtype=bool), abstract(6), 0), Work("where", F4, (6, 1, 54, 0))),
    "no elements": (lambda: abstract(0, 3) + 1, Work("add", F4, (0, 0, 0, 0))),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_call_is_told_by_how_it_walks(name):
    program, work = WALKS[name]
    found = told(program)
    assert found[work] == 1, found


def test_parts_of_a_large_buffer_are_fetched_from_where_it_lies():
    large = abstract(1 << 14, 8)  # 2**19 bytes
    part = large[:64]
    found = told(lambda: np.add(part, large[64:128], out=abstract(64, 8)), "far")
    assert {work.dims: count for work, count in found.items()} == {(3 << 11, 1 << 19): 2 * 2048}
    assert told(lambda: np.exp(large), "far") == {}  # all of it: what the call touches is told by itself
    assert told(lambda: np.exp(abstract(64, 8)[:2]), "far") == {}  # near whatever is done
    found = told(lambda: large.T[:, :1024] @ abstract(1024, 4), "far")
    assert {work.dims: count for work, count in found.items()} == {(3 << 14, 1 << 19): 4 * 8 * 1024}
    assert told(lambda: part @ abstract(8, 4), "matmul") == {Work("matmul", F4, (1, 64, 4, 8)): 1}


def test_calls_on_each_part_of_a_buffer_in_turn_fetch_it_once():
    large, other = abstract(1 << 14, 8), abstract(64, 8)  # 2**19 bytes, in parts of 2**11

    def program():
        for start in range(0, 1 << 14, 64):
            part = large[start : start + 64]
            np.multiply(part, 2, out=part)
            np.add(part, other, out=part)

    assert sum(told(program, "far").values()) == 1 << 19
    assert sum(told(lambda: (program(), state.ledger.next_operation(), program()), "far").values()) == 1 << 20


def far(program):
    return {work.dims: count for work, count in told(program, "far").items()}


@pytest.mark.parametrize("engine", [revdiff, dualdiff])
def test_what_other_work_has_put_out_of_the_caches_is_fetched(engine):
    """A MiB that is read again after so much else comes from as far away as that is large; what was made just now is near."""

    def program(others):
        x = engine.tensor(abstract(1 << 18))
        y = ops.exp(x)
        for _ in range(others):
            ops.exp(engine.tensor(abstract(1 << 18)))  # touches 2 MiB
        return x, y

    assert far(lambda: ops.add(*program(1))) == {}  # 2 MiB: less than it touches itself
    assert far(lambda: ops.add(*program(4))) == {(3 << 20, 1 << 23): 2 << 20}  # both, after 8 MiB
    assert far(lambda: ops.exp(program(40)[0].reshape(512, 512))) == {(1 << 21, 1 << 26): 1 << 20}


def test_residuals_are_fetched_from_where_the_pass_has_left_them():
    def program():
        x = revdiff.tensor(abstract(1 << 18), requires_grad=True)
        y = x
        for _ in range(8):
            y = y.tanh()
        y.sum().backward()

    assert sum(far(program).values()) == 7 << 20  # the last is read soon after it was made


def test_elements_of_a_large_buffer_each_lie_in_a_line_of_their_own():
    large, near, at = abstract(1 << 12, 1 << 10), abstract(64, 8), abstract(50, dtype=np.intp)  # 2**24 bytes, and 2**11

    def program():
        large[at, at] = abstract(50)
        large[at] = abstract(50, 1 << 10)
        large[:, at]
        near[at, at]

    names = "scatter far", "scatter", "gather far", "gather"
    counted = {(work.function, work.dims): n for name in names for work, n in told(program, name).items()}
    assert counted == {
        ("scatter far", (50,)): 1,
        ("scatter", (50 << 10,)): 1,  # whole rows
        ("gather far", (50 << 12,)): 1,
        ("gather", (50,)): 1,
    }


def test_random_numbers_are_told():
    x = revdiff.tensor(abstract(6, 5))
    assert told(lambda: revdiff.nn.functional.dropout(x, 0.5), "draw") == {Work("draw", F4, (30,)): 1}


def test_nothing_is_counted_unless_wanted():
    with Ledger() as ledger:
        abstract(3) + 1
        did("add", F4, 3)
    assert not ledger.work
    did("add", F4, 3)  # without a ledger


def test_buffers_are_told():
    assert told(lambda: abstract(6, 5) + 1, "allocate") == {Work("allocate", "", (120,)): 2}


@pytest.mark.parametrize("engine", [revdiff, dualdiff])
def test_operations_of_the_engine(engine):
    net = engine.nn.Sequential(engine.nn.Linear(3, 4, device="meta"), engine.nn.Tanh(), engine.nn.Linear(4, 2, device="meta"))
    optimizer = engine.optim.SGD(net.parameters(), lr=0.1)
    loss = engine.value_and_grad(lambda net, x: (net(x) ** 2).sum())

    def step():
        _, gradients = loss(net, abstract(5, 3))
        for name, parameter in net.named_parameters():
            parameter.grad = gradients[name]
        optimizer.step()

    found = Counter[str]()
    for work, count in told(step).items():
        found[f"{work.function} {work.of}"] += count
    assert found["apply linear"] >= 2
    assert found["update SGD"] == 4
    if engine is revdiff:
        assert found["record linear"] == found["pullback linear"] == 2
        assert found["pullback tanh"] == 1
    else:
        assert found["push tanh"] >= 1


def test_a_pass_that_stands_for_several_counts_as_often():
    with Ledger(works=True) as ledger, ledger.times(3):
        np.exp(abstract(4))
    assert ledger.work[Work("exp", F4, (4, 1, 32, 0))] == 3


@pytest.mark.parametrize("kernel", ["conv", "max_pool", "avg_pool"])
def test_operations_and_bytes_are_the_same_however_it_is_counted(kernel):
    """What is rehearsed is booked nowhere but in the work."""
    programs = {
        "conv": lambda x: ops.conv2d(x, revdiff.Tensor(abstract(4, 3, 3, 3)), None, 1, 1),
        "max_pool": lambda x: ops.max_pool2d(x, 2),
        "avg_pool": lambda x: ops.avg_pool2d(x, 2),
    }
    seen = []
    for works in (False, True):
        with Ledger(works=works) as ledger:
            revdiff.grad(lambda x: (programs[kernel](x) ** 2).sum())(abstract(9, 3, 20, 20))
        seen.append((ledger.flops, ledger.peak, ledger.timeline))
    assert seen[0] == seen[1]
    assert ledger.work


def test_columns_of_a_convolution_are_copied_image_by_image():
    """All columns of 9 images of 3 channels, 9 taps and 18 x 18 windows (18 x 20 with those that are dropped) are copied once."""
    found = told(lambda: ops.conv2d(abstract(9, 3, 20, 20), abstract(40, 3, 3, 3)))
    copied = sum(count * work.dims[0] for work, count in found.items() if work.function == "put" and work.dims[0] % 27 == 0)
    assert 9 * 27 * 18 * 18 <= copied <= 9 * 27 * 20 * 20


@pytest.mark.parametrize(("taps", "padding", "case"), [(1, 0, "conv pointwise"), (1, 1, "conv"), (2, 0, "conv")])
def test_convolutions_that_need_no_columns_are_told_apart(taps, padding, case):
    x, weight = revdiff.tensor(abstract(2, 3, 6)), revdiff.tensor(abstract(4, 3, taps), requires_grad=True)
    applied = told(lambda: revdiff.nn.functional.conv1d(x, weight, revdiff.tensor(abstract(4)), padding=padding), "apply")
    assert applied == {Work("apply", case, ()): 1}
    same = {kernel: case.replace("conv", kernel) for kernel in ("conv_transpose", "conv_weight")}
    rules = told(lambda: revdiff.grad(lambda x, w: revdiff.nn.functional.conv1d(x, w, padding=padding).sum(), (0, 1))(x, weight), "kernel")
    assert {work.of for work in rules} >= {*same.values()}


def test_a_convolution_with_windows_beyond_its_input_is_none_of_points():
    options = {"stride": (1,), "padding": ((0, 1),), "dilation": (1,), "groups": 1}
    x, weight, g = abstract(2, 3, 6), abstract(4, 3, 1), abstract(2, 4, 7)
    assert conv_weight.cased((x, g), options | {"taps": (1,)}) == "conv_weight"
    assert conv_transpose.cased((g, weight), options | {"size": (6,)}) == "conv_transpose"
    assert conv_unbiased.cased((x, weight), options) == "conv_unbiased"
    options |= {"padding": ((0, 0),)}
    assert conv_weight.cased((x, abstract(2, 4, 6)), options | {"taps": (1,)}) == "conv_weight pointwise"


@pytest.mark.parametrize("works", [False, True])
def test_errors_are_those_of_the_value(works):
    options = {"stride": (1, 1), "padding": ((0, 0),) * 2, "dilation": (1, 1), "groups": 1}
    with Ledger(works=works), pytest.raises(ShapeError, match=r"^conv_unbiased: .*`x` \(2, 3, 4\), `weight` \(4, 3, 1, 1\)"):
        conv_unbiased(abstract(2, 3, 4), abstract(4, 3, 1, 1), **options)


@pytest.mark.parametrize("function", [special.j0, special.gammaln, special.expit, np.tanh])
def test_functions_that_are_not_numpy_s_are_counted_apart(function):
    with Ledger() as ledger:
        function(abstract(80))
    assert ledger.transcendentals.total() == 80
    assert ledger.flops.total() == 0


def test_runs_of_checkpointed_segments_are_told_by_what_they_keep():
    net = revdiff.nn.Sequential(*[revdiff.nn.Linear(3, 3, device="meta") for _ in range(4)])
    loss = revdiff.value_and_grad(lambda net, x: revdiff.checkpoint(net, x, schedule="revolve", snapshots=1).sum())
    found = told(lambda: loss(net, revdiff.tensor(abstract(5, 3))), "segment")
    assert found == {Work("segment", "first", ()): 3, Work("segment", "again", ()): 3, Work("segment", "load", ()): 3}
