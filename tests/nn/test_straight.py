"""Chains written out as code: every kernel's lines are its rules, and the code does what the layers do one by one."""

from __future__ import annotations

import ast
import dataclasses
import linecache
import re
import sys

import numpy as np
import pytest

import revdiff
import revdiff.straight
from diffcore.kernels import OURS
from diffcore.kernels.record import Call, Inline, Kernel, register, registered
from diffcore.nn.chain import KernelCall, Step
from revdiff.chains import CHAIN
from revdiff.straight import inline_of, straight
from tests.nn.stacks import gradients, linear, numbers, one_by_one, stack

INLINE = [kernel for kernel in registered().values() if kernel in OURS and kernel.inline is not None]


def _same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def _closed(y):
    """Whether `y` came out of a chain in one."""
    return y.carried.kernel is CHAIN


class _Closed:
    """What the code of a chain reads of a node."""

    def __init__(self, code, kept, shape):
        self.aux, self.parents, self.shape = (code, kept), [], shape


def test_what_small_networks_are_made_of_is_inline():
    assert {"linear", "linear_unbiased", "tanh", "sigmoid", "relu", "silu", "mish", "softsign", "log_sigmoid"} <= {k.name for k in INLINE}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("kernel", INLINE, ids=lambda kernel: kernel.name)
def test_the_lines_of_a_kernel_are_its_rules(kernel, needed, dtype):
    """Value and cotangents by the code, and by the kernels' own rules: alone, before one that keeps its operand, and one that does not."""
    rng = np.random.default_rng(1)
    shapes = ((3, 4), (5, 4), (5,))[: len(kernel.operands)]
    x, *parameters = ((rng.uniform(0.1, 0.9, shape) + (kernel.name == "acosh")).astype(dtype) for shape in shapes)
    features = 5 if parameters else 4
    linear, tanh = registered()["linear_unbiased"], registered()["tanh"]
    for after in ((), (linear,), (tanh, linear)):
        arrays = parameters + [rng.standard_normal((2, features)).astype(dtype)] * bool(after)
        steps, stop = [], 0
        for one in (kernel, *after):
            steps.append(Step(one, stop, stop + len(one.operands) - 1))
            stop = steps[-1].stop
        if not arrays and not needed:
            continue
        code = straight(tuple(steps), needed, 2)
        given = revdiff.tensor(x, requires_grad=needed)
        tensors = [revdiff.tensor(a, requires_grad=True) for a in arrays]
        out, shape, found, parents, kept = code.forward(x, given.level, given.carried, tensors)
        assert (shape, found) == (out.shape, out.dtype)
        assert parents == [given.carried, *(t.carried for t in tensors)]

        calls, value = [], x
        for step in steps:
            operands = [value, *arrays[step.start : step.stop]]
            value = step.kernel.compute(np, *operands)
            calls.append(Call(step.kernel, operands, value, {}, tuple(a.shape for a in operands), value.shape, ()))
        np.testing.assert_array_equal(out, value)
        assert out.dtype == value.dtype == dtype
        recorded = code.calls(_Closed(code, kept, shape))
        for step, made, call in zip(code.recorded, recorded, calls[-len(recorded) :], strict=True):
            plan = step.kernel.plan(sum(need << i for i, need in enumerate(step.needs)), len(step.needs))
            assert [p is None for p in made.primals] == [i in plan.drop for i in range(len(call.primals))]
            assert (made.out is not None) == plan.keep_out
            assert made.shape == call.shape
        if code.recorded[0].kernel is kernel:
            assert (code.kept[0].call is None) == (bool(after) or not kernel.deferred)  # what stands in line is no call

        g = rng.standard_normal(out.shape).astype(dtype)
        held = [g, x, out, *arrays]
        before = [a.copy() for a in held]
        below, gradients = code.pullback(_Closed(code, kept, shape), g)
        expected, cotangent = [None] * len(arrays), g.copy()
        for step, call in zip(reversed(steps), reversed(calls), strict=True):
            needs = (needed or step.start > 0, *[True] * (step.stop - step.start))
            if any(needs):
                cotangent, *expected[step.start : step.stop] = step.kernel.pullback(call, cotangent, needs)
        for ours, theirs in zip([below, *gradients], [cotangent if needed else None, *expected], strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_array_equal(ours, theirs)
                assert ours.dtype == dtype
        for now, old in zip(held, before, strict=True):
            np.testing.assert_array_equal(now, old)  # nothing that others may hold is changed


def test_the_code_of_a_sequence_is_written_once_for_all_networks():
    first, second = stack("Tanh"), stack("Tanh")
    one, other = first(revdiff.tensor(numbers())), second(revdiff.tensor(numbers()))
    assert one.carried.aux[0] is other.carried.aux[0]
    with_input = first(revdiff.tensor(numbers(), requires_grad=True))
    assert with_input.carried.aux[0] is not one.carried.aux[0]


def test_steps_without_lines_are_called():
    neg, tanh = registered()["neg"], registered()["tanh"]
    assert neg.inline is None
    code = straight((Step(tanh, 0, 0), Step(neg, 0, 0), Step(tanh, 0, 0)), True, 2)
    x = numbers()
    value, shape, _, _, kept = code.forward(x, 1, None, [])
    np.testing.assert_array_equal(value, np.tanh(-np.tanh(x)))
    below, gradients = code.pullback(_Closed(code, kept, shape), np.ones_like(value))
    np.testing.assert_allclose(below, -(1 - value**2) * (1 - np.tanh(x) ** 2), rtol=1e-12)
    assert gradients == []


def test_what_follows_a_step_without_lines_may_have_other_axes():
    """The lines of `linear` are for two axes, which is known of what comes out of steps with lines alone."""
    lift = Kernel("lift", ("x",), lambda xp, x: x[None], pullback=lambda call, g, needs: (g[0],), keeps=(frozenset(),))
    linear, weight, x = registered()["linear_unbiased"], numbers(3, 4), numbers()
    code = straight((Step(linear, 0, 1), Step(lift, 1, 1), Step(linear, 1, 2)), True, 2)
    assert [kept.call is None for kept in code.kept] == [True, False, False]
    first = numbers(4, 4)
    tensors = [revdiff.tensor(a, requires_grad=True) for a in (first, weight)]
    out, shape, _, _, kept = code.forward(x, tensors[0].level, None, tensors)
    np.testing.assert_array_equal(out, (x @ first.T)[None] @ weight.T)
    below, gradients = code.pullback(_Closed(code, kept, shape), np.ones_like(out))
    np.testing.assert_allclose(below, np.ones((5, 3)) @ weight @ first, rtol=1e-12)
    np.testing.assert_allclose(gradients[0], (np.ones((5, 3)) @ weight).T @ x, rtol=1e-12)
    np.testing.assert_allclose(gradients[1], np.ones((3, 5)) @ (x @ first.T), rtol=1e-12)


# What is written: lines of kernels of `diffcore`, and nothing of anyone's.

VARIABLES = re.compile(r"[vacosgpn]\d+|(kernel|step|stand_in)\d+")
WORDS = {"forward", "pullback", "level", "what", "parameters", "node", "kind", "dtype", "type", "len", "g", "partial"}
WORDS |= {"np", "ndarray", "AbstractArray", "called", "times"}
ATTRIBUTES = {"primal", "carried", "level", "shape", "dtype", "kind", "mT", "matmul", "add", "reduce", "sum", "multiply", "base"}
ATTRIBUTES |= {"compute", "pullback", "aux", "parents"}


def _strange(text, uses):
    """The names, attributes, constants and keywords of `text` that neither this package's writer nor the kernels' lines have."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Lambda | ast.ClassDef | ast.JoinedStr | ast.Global):
            yield type(node).__name__
        names = [node.id] if isinstance(node, ast.Name) else [node.arg] if isinstance(node, ast.arg) else []
        names += [node.name] if isinstance(node, ast.FunctionDef) else []
        yield from (n for n in names if n not in WORDS and not VARIABLES.fullmatch(n) and n.rstrip("0123456789") not in uses)
        if isinstance(node, ast.Attribute) and node.attr not in ATTRIBUTES:
            yield node.attr
        if isinstance(node, ast.keyword) and node.arg not in {"out", "axis"}:
            yield str(node.arg)
        if isinstance(node, ast.Constant) and node.value not in {None, True, False, 2, "f"}:
            yield repr(node.value)


@pytest.fixture
def executed(monkeypatch):
    """Every text that is run, newly written."""
    texts = []

    def run(code, names):
        (text,) = ("".join(linecache.getlines(code.co_filename)),)
        texts.append(text)
        assert compile(text, code.co_filename, "exec").co_code == code.co_code
        exec(code, names)

    monkeypatch.setattr(revdiff.straight, "exec", run, raising=False)
    straight.cache_clear()
    return texts


@pytest.mark.parametrize("ndim", [2, 3])
def test_every_text_is_made_of_lines_of_kernels(executed, ndim):
    kernels = [kernel for kernel in OURS if len(kernel.operands) == 1 and kernel.pullback is not None and not kernel.variadic]
    linear = registered()["linear"]
    uses = {name for kernel in INLINE for name in kernel.inline.uses}
    assert uses == {"compute", "partial"}
    for kernel in sorted(kernels, key=lambda k: k.name):
        straight((Step(linear, 0, 2), Step(kernel, 2, 2), Step(linear, 2, 4)), ndim == 2, ndim)
    assert len(executed) == len(kernels) > 40
    assert {name for text in executed for name in _strange(text, uses)} == set()


def test_names_of_users_never_reach_the_text(executed):
    evil = "x); raise SystemExit('evil') #"
    plain = stack("Tanh")
    gradients(plain, plain, numbers())

    class Evil(revdiff.nn.Linear):
        pass

    Evil.__name__ = Evil.__qualname__ = evil
    tanh = revdiff.nn.Tanh()
    tanh.evil = evil
    net = revdiff.nn.Sequential({"evil_one": Evil(4, 4, dtype=np.float64), "evil_two": tanh, "evil_three": linear(4, 3, np.float64)})
    net.evil = revdiff.nn.Parameter(revdiff.tensor(numbers()))
    y = net(revdiff.tensor(numbers(), requires_grad=True))
    assert _closed(y)
    assert y.carried.aux[0].source == executed[0]  # that of the plain one, so nothing new has been written
    assert len(executed) == 1
    assert "evil" not in executed[0]


def _step_of(kernel):
    class Layer(revdiff.nn.Module):
        def forward(self, x):
            return kernel(x)

        def _kernel_call(self):
            return KernelCall(kernel)

    return Layer()


def test_lines_of_kernels_of_users_are_ignored(executed, monkeypatch):
    """A kernel that is registered, or made from one of ours, is called: its lines are not run."""
    monkeypatch.setattr("diffcore.kernels.record._registry", registered())
    tanh = registered()["tanh"]
    lines = Inline(("{out} = evil",), {"x": ("evil",)}, {"evil": None}, same_shape=True)
    ours = register(dataclasses.replace(tanh, name="mine", inline=lines))
    assert registered()["mine"] is ours
    for kernel in (ours, dataclasses.replace(tanh, inline=lines), Kernel("tanh", ("x",), tanh.compute, inline=lines)):
        assert inline_of(kernel) is None
    net = revdiff.nn.Sequential(linear(4, 4, np.float64), _step_of(ours), linear(4, 3, np.float64))
    assert _closed(net(revdiff.tensor(numbers())))
    theirs = revdiff.nn.Sequential(net[0], revdiff.nn.Tanh(), net[2])
    _same(gradients(net, net, numbers()), gradients(theirs, theirs, numbers()))
    assert len(executed) > 1
    assert not any("evil" in text for text in executed)


def test_functions_of_users_are_layers_of_their_own(executed):
    class Double(revdiff.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Layer(revdiff.nn.Module):
        def forward(self, x):
            return Double.apply(x)

    y = Double.apply(revdiff.tensor(numbers(), requires_grad=True))
    assert inline_of(y.grad_fn.kernel) is None
    net = revdiff.nn.Sequential(linear(4, 4, np.float64), revdiff.nn.Tanh(), Layer(), revdiff.nn.Tanh(), linear(4, 3, np.float64))
    _same(gradients(net, net, numbers()), gradients(net, one_by_one(net), numbers()))
    assert not any("Double" in text for text in executed)


def test_the_package_of_kernels_is_complete_when_it_is_imported():
    assert {*registered().values()} >= OURS
    assert all(sys.modules[kernel.compute.__module__].__name__.startswith("diffcore.") for kernel in INLINE)
