"""Structured Jacobians of random programs that rearrange and mix examples: parts of the whole Jacobian, or an error."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import revdiff
from diffcore import ops
from diffcore.errors import GradientError, ShapeError

PROGRAMS = 240
LONGEST = 6
LARGEST = 96
"""Elements of one value."""


class Program(NamedTuple):
    """Steps one after another, each with the positions of the values it takes; called, the last value, and no step that it does not need:

    forward mode asks of every operation whether it keeps examples apart, since it does not know what comes of it.
    """

    x: np.ndarray
    steps: list[tuple[str, Callable[..., Any], tuple[int, ...]]]

    def __call__(self, x: Any) -> Any:
        wanted = {len(self.steps)}
        for i in range(len(self.steps), 0, -1):
            wanted |= set(self.steps[i - 1][2]) if i in wanted else set()
        values = [x]
        for i, (_, step, taken) in enumerate(self.steps, 1):
            values.append(step(*(values[j] for j in taken)) if i in wanted else None)
        return values[-1]


def shape_of(rng: np.random.Generator, size: int) -> tuple[int, ...]:
    """A shape of so many elements."""
    shape = []
    while size > 1 and rng.random() < 0.8:
        shape.append(int(rng.choice([d for d in range(1, size + 1) if size % d == 0])))
        size //= shape[-1]
    return (*map(int, rng.permutation([*shape, size])),)


def convolved(rng: np.random.Generator, shape: tuple[int, ...]) -> Callable[..., Any]:
    """A convolution in groups of any number, of rows or of what all rows are laid along as channels; or by what is convolved as filters."""
    whole = shape if len(shape) == 3 else (1, *shape)
    rows, channels = whole[:2]
    groups = int(rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    filters = rng.normal(size=(groups * 2, channels // groups, 1 + (whole[2] > 1)))
    kind = rng.integers(3)
    if kind == 0:
        return lambda v: ops.conv1d(ops.reshape(v, whole), filters, groups=groups, padding=1)
    if kind == 1:
        turned = rng.normal(size=(channels, 2, 2))
        return lambda v: ops.conv_transpose1d(ops.reshape(v, whole), turned, groups=groups)
    parts = int(rng.choice([n for n in range(1, rows + 1) if rows % n == 0]))
    given = rng.normal(size=(2, channels * parts, whole[2] + 1))
    return lambda v: ops.conv1d(given, ops.reshape(v, whole), groups=parts)


def chosen(rng: np.random.Generator, v: np.ndarray) -> tuple[str, Callable[..., Any], int]:
    """A step from `v`, perhaps together with another value: its name, the function, and how many values it takes."""
    axis = int(rng.integers(v.ndim))
    n = v.shape[axis]
    positions = rng.integers(0, n, size=int(rng.integers(1, 5)))
    whole = rng.integers(0, n, size=v.shape)
    order = tuple(map(int, rng.permutation(v.ndim)))
    shape = shape_of(rng, v.size)
    weight = rng.normal(size=(v.shape[-1], int(rng.integers(2, 4))))
    groups = int(rng.choice([g for g in range(1, v.shape[1] + 1) if v.shape[1] % g == 0])) if v.ndim > 1 else 1
    labels = "abcd"[: v.ndim]
    kept = "".join(rng.permutation(list(labels))[: int(rng.integers(0, v.ndim + 1))])
    part = (slice(None),) * axis
    steps: list[tuple[str, Callable[..., Any], int]] = [
        ("sin", ops.sin, 1),
        ("square", lambda a: a * a, 1),
        ("add", lambda a, b: a + b, 2),
        ("mul", lambda a, b: a * b, 2),
        *[(f"reshape {shape}", lambda a: ops.reshape(a, shape), 1)] * 4,
        *[(f"permute {order}", lambda a: ops.permute(a, order), 1)] * 3,
        (f"flip {axis}", lambda a: ops.flip(a, (axis,)), 1),
        (f"roll {axis}", lambda a: ops.roll(a, 1, axis), 1),
        (f"sum {axis}", lambda a: ops.sum(a, axis), 1),
        (f"amax {axis}", lambda a: ops.amax(a, axis, keepdim=True), 1),
        (f"cumsum {axis}", lambda a: ops.cumsum(a, axis), 1),
        (f"softmax {axis}", lambda a: ops.softmax(a, axis), 1),
        (f"sort {axis}", lambda a: ops.sort(a, axis)[0], 1),
        ("product", lambda a: a @ weight, 1),
        ("with itself", lambda a: a @ ops.swapaxes(a, -1, -2), 1),
        (f"einsum {labels}->{kept}", lambda a: ops.einsum(f"{labels}->{kept}", a), 1),
        *[("convolution", convolved(rng, v.shape) if v.ndim in (2, 3) else ops.cos, 1)] * 3,
        (f"group_norm {groups}", lambda a: ops.group_norm(a, groups) if v.ndim > 1 else ops.tanh(a), 1),
        ("layer_norm", lambda a: ops.layer_norm(a, v.shape[-1:]), 1),
        (f"take {axis} {positions}", lambda a: a[(*part, positions)], 1),
        (f"slice {axis}", lambda a: a[(*part, slice(0, 2))], 1),
        (f"gather {axis}", lambda a: ops.gather(a, axis, whole), 1),
        (f"scatter_add {axis}", lambda a: ops.scatter_add(a * 2, axis, whole, a), 1),
        (f"cat {axis}", lambda a, b: ops.cat([a, b], axis), 2),
        (f"stack {axis}", lambda a, b: ops.stack([a, ops.cos(b)], axis), 2),
        (f"repeat {axis}", lambda a: ops.repeat_interleave(a, 2, axis), 1),
        ("pad", lambda a: ops.pad(a, (1, 0)), 1),
        ("diagonal", lambda a: ops.diagonal(a, 0, 0, 1) if v.ndim > 1 else ops.exp(a), 1),
    ]
    return steps[int(rng.integers(len(steps)))]


def program(seed: int) -> Program:
    """A random program; its result has the examples in front wherever there is an axis of as many."""
    rng = np.random.default_rng(seed)
    batch = int(rng.integers(2, 5))
    made = Program(rng.uniform(-1, 1, (batch, *map(int, rng.integers(1, 4, size=int(rng.integers(0, 3)))))), [])
    values = [made.x]
    for _ in range(4 * LONGEST):
        i = len(values) - 1 if rng.random() < 0.8 else int(rng.integers(len(values)))
        if len(made.steps) == LONGEST or not values[i].ndim:
            break
        name, step, count = chosen(rng, values[i])
        taken = (i, int(rng.integers(len(values))))[:count]
        try:
            out = step(*(values[j] for j in taken))
        except (ValueError, IndexError, TypeError):  # which does not fit
            continue
        if 0 < out.size <= LARGEST and np.abs(out).max() < 100:
            values.append(out)
            made.steps.append((name, step, taken))
    last = len(values) - 1
    shape = values[last].shape
    if shape[:1] == (batch,):
        return made
    if batch in shape:
        made.steps.append(("in front", lambda a: ops.movedim(a, shape.index(batch), 0), (last,)))
    elif values[last].size % batch == 0:
        made.steps.append(("in front", lambda a: ops.reshape(a, (batch, -1)), (last,)))
    return made


def told(made: Program) -> str:
    return f"x {made.x.shape}\n" + "\n".join(f"v{i} = {name} of {taken}" for i, (name, _, taken) in enumerate(made.steps, 1))


@pytest.fixture(scope="module")
def programs() -> list[tuple[Program, np.ndarray]]:
    """Programs and their whole Jacobians."""
    made = [program(seed) for seed in range(PROGRAMS)]
    return [(each, revdiff.jacobian(each)(each.x)) for each in made]


def test_structured_jacobians_are_parts_of_the_whole(engine: ModuleType, programs: list[tuple[Program, np.ndarray]]) -> None:
    found = {"examples": 0, "elements": 0}
    for made, whole in programs:
        x, out = made.x, whole.shape[: whole.ndim - made.x.ndim]
        n, batch = int(np.prod(out)), len(x)
        matrix = whole.reshape(n, x.size)
        np.testing.assert_allclose(engine.jacobian(made, sparsity="auto")(x).toarray(), matrix, rtol=1e-9, atol=1e-10, err_msg=told(made))
        try:
            rows = engine.jacobian(made, per_example=True)(x)
        except (GradientError, ShapeError):
            pass
        else:
            blocks = whole.reshape(batch, n // batch, batch, x.size // batch)
            assert not np.abs(np.moveaxis(blocks, 2, 1)[~np.eye(batch, dtype=bool)]).max(initial=0) > 1e-12, told(made)
            wanted = np.stack([blocks[b, :, b] for b in range(batch)]).reshape(rows.shape)
            np.testing.assert_allclose(rows, wanted, rtol=1e-9, atol=1e-10, err_msg=told(made))
            found["examples"] += 1
        try:
            diagonal = engine.jacobian(made, structure="diagonal")(x)
        except (GradientError, ShapeError):
            pass
        else:
            np.testing.assert_allclose(np.diag(diagonal.reshape(-1)), matrix, rtol=1e-9, atol=1e-10, err_msg=told(made))
            found["elements"] += 1
    assert found["examples"] > PROGRAMS // 8
    assert found["elements"] > 0


def test_whole_jacobians_of_random_programs_are_jax_s(programs: list[tuple[Program, np.ndarray]], x64: None) -> None:
    jax = pytest.importorskip("jax")
    for made, whole in programs[:: PROGRAMS // 6]:
        theirs = jax.jit(jax.jacfwd(made))(jax.numpy.array(made.x))
        np.testing.assert_allclose(whole, theirs, rtol=1e-9, atol=1e-10, err_msg=told(made))
