"""The computation graph of a function in both engines, and that of a recorded tensor."""

from types import ModuleType

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError

X, W = np.ones((4, 3)), np.ones((3, 2))


def test_operators_are_nodes_and_values_edges(engine: ModuleType) -> None:
    found = engine.graph(lambda x, w: (2.0 * x @ w).tanh()[:, 0].sum(), X, W)
    assert str(found).splitlines() == [
        "x: float64[4, 3]",
        "w: float64[3, 2]",
        "%0: float64[4, 3] = mul(2.0, x)",
        "%1: float64[4, 2] = matmul(%0, w)",
        "%2: float64[4, 2] = tanh(%1)",
        "%3: float64[4] = getitem(%2, index=(:, 0))",
        "%4: float64[] = sum(%3, axis=(-1,), keepdims=False)",
        "return %4",
    ]
    assert [op.name for op in found] == ["mul", "matmul", "tanh", "getitem", "sum"]
    assert len(found) == 5
    dot = found.dot()
    assert dot.startswith("digraph {")
    assert '  in1 -> op1 [label="float64[3, 2]"];' in dot.splitlines()
    assert dot.count("->") == 7


def test_structures_constants_and_several_results(engine: ModuleType) -> None:
    found = engine.graph(lambda p, x: (p["w"] * x, np.float64(1.0), x + X), {"w": X, "b": W}, engine.tensor(X))
    assert list(found.inputs) == ["p[0]", "p[1]", "x"]
    assert found.outputs == ["%0", "1.0", "%1"]
    assert [op.inputs for op in found] == [("p[0]", "x"), ("x", "<float64[4, 3]>")]


def test_inside_of_a_transform(engine: ModuleType) -> None:
    names = []
    engine.grad(lambda x: names.extend(op.name for op in engine.graph(lambda y: y * y, x)) or (x * x).sum())(X)
    assert names == ["mul"]


def test_a_recorded_tensor_shows_its_tape() -> None:
    x, w = revdiff.tensor(X, requires_grad=True), revdiff.tensor(W, requires_grad=True)
    h = x @ w
    y = (h * h + 1.0).sum()
    assert str(revdiff.graph(y)).splitlines() == [
        "x0: float64[4, 3]",
        "x1: float64[3, 2]",
        "%0: float64[4, 2] = matmul(x0, x1)",
        "%1: float64[4, 2] = mul(%0, %0)",
        "%2: float64[4, 2] = add(%1, constant)",
        "%3: float64[] = sum(%2, axis=(-2, -1), keepdims=False)",
        "return %3",
    ]
    assert y.grad_fn.name() == "SumBackward0"
    assert y.grad_fn.next_functions[0][0].name() == "AddBackward0"
    assert h.grad_fn.next_functions[0][0].name() == "AccumulateGrad"
    y.backward()
    with pytest.raises(GradientError, match="freed by a backward pass"):
        revdiff.graph(y)
    with pytest.raises(GradientError, match="has no history"):
        revdiff.graph(x.detach())


def test_forward_mode_keeps_no_graph() -> None:
    with pytest.raises(GradientError, match=r"keeps no history: pass the function, `dualdiff.graph\(f, \*args\)`"):
        dualdiff.graph(dualdiff.tensor(X, requires_grad=True) * 2)
