"""The examples run as they stand, and what they print is what other means compute."""

import os
import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from .conftest import ROOT

NAMES = ("reverse_in_ten_lines", "forward_in_ten_lines", "linear_regression", "custom_layer", "custom_kernel", "hessian_vector_product")


PROGRAM = """
import runpy
from diffcore.arrays import random
import revdiff

def show(title, arrays):
    print("##", title)
    for array in arrays:
        print(*(float(v).hex() for v in array.detach().numpy().ravel()))

state = random.default_generator().bit_generator.state
for name in NAMES:
    random.default_generator().bit_generator.state = state
    print("##", name)
    runpy.run_module("compare.examples." + name, run_name="__main__", alter_sys=True)
random.default_generator().bit_generator.state = state
nn = revdiff.nn
show("net", nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double().parameters())
from compare.examples import custom_layer
show("layer", custom_layer.trained(revdiff, steps=0)[0].parameters())
"""
"""Every example as it stands, from the generator of a fresh process, and the parameters that two of them begin with, exactly."""


@cache
def everything() -> dict[str, str]:
    """What each example prints; in a process of its own, for a custom kernel is registered for good."""
    program = PROGRAM.replace("NAMES", repr(NAMES))
    words = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in done.stdout.split("## ")[1:]}


def printed(name: str) -> str:
    return everything()[name]


def weights(name: str, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    arrays = [np.array([float.fromhex(each) for each in line.split()]) for line in printed(name).splitlines()]
    return [array.reshape(shape) for array, shape in zip(arrays, shapes, strict=True)]


def test_an_example_is_run_by_its_name():
    words = [sys.executable, "-W", "error", "-m", "compare.examples.custom_layer"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed("custom_layer")


def numbers(line: str) -> list[float]:
    return [float(each) for each in re.findall(r"(?<![\w.])-?\d+\.\d+(?:e-?\d+)?", line)]


def line_of(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


def test_all_examples_are_here_and_named_in_the_readme():
    there = {path.stem for path in (ROOT / "compare" / "examples").glob("*.py")} - {"__init__"}
    assert there == set(NAMES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"compare/examples/{name}.py" not in readme] == []


@pytest.mark.parametrize("name", ["reverse_in_ten_lines", "forward_in_ten_lines"])
def test_ten_lines(name):
    source = (ROOT / "compare" / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert len([line for line in source.splitlines()[1:] if line]) == 10
    loss, accuracy = numbers(printed(name))
    assert (loss, accuracy) == pytest.approx(digits_by_hand(), rel=1e-9)


@cache
def digits_by_hand():
    """The same training with a pass written out in numpy, from the same initial weights."""
    from sklearn.datasets import load_digits

    parameters = weights("net", [(32, 64), (32,), (10, 32), (10,)])
    x, y = load_digits(return_X_y=True)
    x, y = x[:512] / 16, y[:512]
    speeds = [0.0, 0.0, 0.0, 0.0]
    for _ in range(60):
        loss, gradients = by_hand(parameters, x, y)
        speeds = [0.9 * v + g for v, g in zip(speeds, gradients, strict=True)]
        parameters = [p - 0.5 * v for p, v in zip(parameters, speeds, strict=True)]
    w1, b1, w2, b2 = parameters
    return loss, ((np.tanh(x @ w1.T + b1) @ w2.T + b2).argmax(axis=1) == y).mean()


def by_hand(parameters, x, y):
    w1, b1, w2, b2 = parameters
    hidden = np.tanh(x @ w1.T + b1)
    logits = hidden @ w2.T + b2
    logits -= logits.max(axis=1, keepdims=True)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(chances[np.arange(len(y)), y]).mean()
    g = (chances - np.eye(10)[y]) / len(y)
    h = (g @ w2) * (1 - hidden**2)
    return loss, [h.T @ x, h.sum(axis=0), g.T @ hidden, g.sum(axis=0)]


def test_linear_regression():
    from diffcore.data import synthetic

    text = printed("linear_regression")
    x, y = synthetic.linear_regression(1000, 2, weight=[2.0, -3.4], bias=4.2, noise=0.01, seed=0)
    exact = np.linalg.lstsq(np.hstack([x, np.ones((1000, 1))]), y, rcond=None)[0].ravel()
    assert numbers(line_of(text, "closed form")) == pytest.approx(exact, abs=1e-6)
    w = np.zeros(3)
    order = np.random.default_rng(0)
    for _ in range(3):
        for rows in np.split(order.permutation(1000), 100):
            inputs = np.hstack([x[rows], np.ones((10, 1))])
            w -= 0.03 * inputs.T @ (inputs @ w - y[rows].ravel()) / 10
    for name in ("revdiff", "dualdiff"):
        assert numbers(line_of(text, name)) == pytest.approx(w, abs=1e-6)
    assert np.abs(w - exact).max() < 0.01


def test_custom_layer():
    torch = pytest.importorskip("torch")
    text = printed("custom_layer")
    shapes = [(2, 8), (16, 2), (16,), (), (1, 16), (1,)]
    parameters = [torch.tensor(array).requires_grad_() for array in weights("layer", shapes)]
    x = torch.tensor(np.random.default_rng(0).normal(size=(64, 8)))
    y = x[:, :1] * x[:, 1:2]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    losses = []
    for _ in range(100):
        down, up, bias, slope, weight, shift = parameters
        hidden = x @ down.T @ up.T + bias
        loss = (torch.nn.functional.linear(torch.where(hidden > 0, hidden, slope * hidden), weight, shift) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    for name in ("revdiff", "dualdiff"):
        assert numbers(line_of(text, name)) == pytest.approx([losses[0], losses[-1]], abs=1e-6)
    assert losses[-1] < losses[0] / 4
    assert numbers(line_of(text, "gradients differ"))[0] < 1e-14
    assert "(0): LowRank(rank=2)" in text
    assert "0.down, 0.up, 0.bias, 0.slope, 1.weight, 1.bias" in text


def test_custom_kernel():
    text = printed("custom_kernel")
    x = np.array([0.0, 1.0, 2.0])
    value = np.exp(-(x**2) / 8)
    assert numbers(line_of(text, "value")) == pytest.approx(value, abs=1e-6)
    assert numbers(line_of(text, "gradient")) == pytest.approx(-x / 4 * value, abs=1e-6)
    assert numbers(line_of(text, "Hessian's diagonal")) == pytest.approx((x**2 / 16 - 0.25) * value, abs=1e-6)
    assert "transcendentals 1000" in line_of(text, "revdiff   operations")
    for told in ("pushforward and pullback are adjoint", "revdiff gives the Jacobian", "dualdiff gives the Jacobian"):
        assert told in text


def test_hessian_vector_product():
    x, v = np.array([-1.2, 1.0, 0.5, 2.0]), np.array([1.0, 0.0, -1.0, 0.5])
    hessian = np.zeros((4, 4))
    for i in range(3):
        hessian[i, i] += 2 - 400 * (x[i + 1] - 3 * x[i] ** 2)
        hessian[i + 1, i + 1] += 200
        hessian[i, i + 1] = hessian[i + 1, i] = -400 * x[i]
    lines = printed("hessian_vector_product").splitlines()
    assert len(lines) == 5
    for line in lines:
        assert numbers(line) == pytest.approx(hessian @ v, abs=1e-6)
