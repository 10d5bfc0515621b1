"""Random programs over the op set: built step by step from small choices, with every value kept where its derivatives are tame.

`build(choose)` asks `choose(n)` for a number below `n` each time it has a choice, so that any source of choices will do: a generator, or
a testing library that makes failing programs smaller. The simplest choice is always 0. An op is added in one line of `OPS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from diffcore import ops

Choose = Callable[[int], int]
Shape = tuple[int, ...]
Domain = Callable[..., Any]
"""Of the operands: whether (everywhere) the op is smooth there and its derivatives are of ordinary size."""
Parameters = Callable[..., dict[str, Any] | None]
"""`parameters(choose, *operands)`: keyword arguments that fit the operands, or `None` where none do."""

SHAPES: tuple[Shape, ...] = ((), (2,), (3,), (2, 3), (3, 2), (2, 2), (1, 3), (2, 1, 3))
LARGEST = 10.0
"""No value of a program is larger."""
MOST_ELEMENTS = 36
APART = 1e-3
"""How far from a kink an operand must be."""


class Op(NamedTuple):
    """An op that programs are made of: `function(*operands, **parameters)`."""

    name: str
    function: Callable[..., Any]
    arity: int = 1
    domain: Domain = lambda *operands: True
    parameters: Parameters = lambda choose, *operands: {}


class Step(NamedTuple):
    """One application: the op, the positions of the values it takes, and its parameters."""

    op: Op
    operands: tuple[int, ...]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class RandomProgram:
    """A program: called with its inputs, it gives its last value. It prints as one line a step."""

    inputs: tuple[Any, ...]
    steps: tuple[Step, ...]

    def __call__(self, *inputs: Any) -> Any:
        values = list(inputs)
        for step in self.steps:
            values.append(step.op.function(*(values[i] for i in step.operands), **step.parameters))
        return values[-1]

    def __repr__(self) -> str:
        lines = [f"v{i} = np.array({np.asarray(x).tolist()})  # {np.shape(x)}" for i, x in enumerate(self.inputs)]
        for i, step in enumerate(self.steps, len(self.inputs)):
            words = [f"v{j}" for j in step.operands] + [f"{name}={value!r}" for name, value in step.parameters.items()]
            lines.append(f"v{i} = {step.op.name}({', '.join(words)})")
        return "\n".join(lines)


def build(choose: Choose, depth: int = 8) -> RandomProgram:
    """A program of at most `depth` steps and three inputs, without steps that its result does not need.

    Of the ops chosen, half more than there may be steps, some do not fit what is there and are passed over.
    """
    draws = np.random.default_rng(choose(1 << 16))
    inputs = [np.asarray(draws.uniform(-1.5, 1.5, SHAPES[choose(len(SHAPES))])) for _ in range(1 + choose(3))]
    values: list[Any] = list(inputs)
    steps: list[Step] = []
    for _ in range(1 + choose(3 * depth // 2)):
        step = _step(choose, values)
        if step is not None and len(steps) < depth:
            steps.append(step[0])
            values.append(step[1])
    return RandomProgram(tuple(inputs), tuple(_needed(steps, len(inputs))))


def _step(choose: Choose, values: list[Any]) -> tuple[Step, Any] | None:
    """A step that goes on from `values`, and what it gives; `None` where the op that was chosen does not fit."""
    op = OPS[choose(len(OPS))]
    operands = tuple(len(values) - 1 - choose(len(values)) for _ in range(op.arity))  # 0 is the latest
    chosen = [values[i] for i in operands]
    with np.errstate(all="ignore"):
        if not np.all(op.domain(*chosen)):
            return None
        parameters = op.parameters(choose, *chosen)
        if parameters is None:
            return None
        try:
            out = np.asarray(op.function(*chosen, **parameters))
        except (ValueError, IndexError):  # shapes that do not fit
            return None
    tame = out.size <= MOST_ELEMENTS and np.isfinite(out).all() and np.abs(out).max(initial=0) <= LARGEST
    return (Step(op, operands, parameters), out) if tame else None


def _needed(steps: list[Step], inputs: int) -> list[Step]:
    """`steps` without those that the last one does not depend on, renumbered."""
    if not steps:
        return []
    wanted = {inputs + len(steps) - 1}
    for i in reversed(range(len(steps))):
        if inputs + i in wanted:
            wanted.update(steps[i].operands)
    place = {i: i for i in range(inputs)}
    kept: list[Step] = []
    for i, step in enumerate(steps, inputs):
        if i in wanted:
            place[i] = inputs + len(kept)
            kept.append(step._replace(operands=tuple(place[j] for j in step.operands)))
    return kept


# domains


def _positive(x: Any) -> Any:
    return x > 0.3


def _away(x: Any) -> Any:
    return np.abs(x) > 0.3


def _not_at_0(x: Any) -> Any:
    return np.abs(x) > APART


def _below(limit: float) -> Domain:
    return lambda x: x < limit


def _divisor(x: Any, y: Any) -> Any:
    return bool(np.all(_away(y)))


def _distinct(x: Any, y: Any) -> Any:
    try:
        return np.all(np.abs(x - y) > APART)
    except ValueError:
        return False


def _one_largest(x: Any) -> Any:
    """No two elements near each other, so that no maximum is near a tie."""
    return x.size < 2 or np.diff(np.sort(x, axis=None)).min() > APART


def _matrix(x: Any, *_: Any) -> Any:
    return x.ndim > 1


# parameters


def _axis(choose: Choose, x: Any) -> int:
    return int(choose(2 * x.ndim)) - x.ndim


def an_axis(choose: Choose, x: Any) -> dict[str, Any] | None:
    """`dim`, of either sign."""
    return {"dim": _axis(choose, x)} if x.ndim else None


def some_axes(choose: Choose, x: Any) -> dict[str, Any]:
    """`dim` (one, all or none named) and `keepdim`."""
    return {"dim": None if not x.ndim or choose(3) == 0 else _axis(choose, x), "keepdim": bool(choose(2))}


def a_shape(choose: Choose, x: Any) -> dict[str, Any]:
    """Another shape of as many elements."""
    n = x.size
    found = [(n,), (1, n), (n, 1), *((k, n // k) for k in (2, 3, 6) if n % k == 0 and n), (-1,)]
    return {"shape": found[choose(len(found))]}


def a_permutation(choose: Choose, x: Any) -> dict[str, Any]:
    """An order of the axes."""
    rest, order = list(range(x.ndim)), list[int]()
    while rest:
        order.append(rest.pop(choose(len(rest))))
    return {"dims": tuple(order)}


def an_index(choose: Choose, x: Any) -> dict[str, Any] | None:
    """An index of the first axis, of the last, or of both."""
    if not x.ndim:
        return None
    n = x.shape[0]
    first = (0, -1, slice(0, 1), slice(None, None, -1), np.array([n - 1, 0, 0]), slice(None))
    found = [(part,) for part in first] + [(..., part) for part in (0, slice(None, None, 2), None)]
    return {"index": found[choose(len(found))]}


def a_wider_shape(choose: Choose, x: Any) -> dict[str, Any]:
    """A shape that `x` is broadcast to."""
    return {"shape": ((2, *x.shape), (1, *x.shape), (3, *x.shape))[choose(3)]}


def _reshaped(x: Any, shape: Shape) -> Any:
    return ops.reshape(x, shape)


def _mask_of(x: Any, y: Any) -> Any:
    """`x` where it is above `y`, else half of `y`."""
    return ops.where(ops.add(x, 0.0) > y, x, 0.5 * y)


OPS: tuple[Op, ...] = (
    Op("neg", ops.neg),
    Op("add", ops.add, 2),
    Op("mul", ops.mul, 2),
    Op("sub", ops.sub, 2),
    Op("div", ops.div, 2, _divisor),
    Op("tanh", ops.tanh),
    Op("sigmoid", ops.sigmoid),
    Op("exp", ops.exp, 1, _below(2.0)),
    Op("log", ops.log, 1, _positive),
    Op("sqrt", ops.sqrt, 1, _positive),
    Op("relu", ops.relu, 1, _not_at_0),
    Op("abs", ops.abs, 1, _not_at_0),
    Op("square", lambda x: ops.pow(x, 2)),
    Op("reciprocal", lambda x: ops.pow(x, -1), 1, _away),
    Op("pow", ops.pow, 2, lambda x, y: np.all(_positive(x))),
    Op("maximum", ops.maximum, 2, _distinct),
    Op("minimum", ops.minimum, 2, _distinct),
    Op("where above", _mask_of, 2, _distinct),
    Op("sum", ops.sum, 1, parameters=some_axes),
    Op("mean", ops.mean, 1, parameters=some_axes),
    Op("amax", ops.amax, 1, _one_largest, some_axes),
    Op("logsumexp", ops.logsumexp, 1, parameters=some_axes),
    Op("softmax", ops.softmax, 1, parameters=an_axis),
    Op("log_softmax", ops.log_softmax, 1, parameters=an_axis),
    Op("max", lambda x, dim: ops.max(x, dim).values, 1, _one_largest, an_axis),
    Op("matmul", ops.matmul, 2, lambda x, y: min(x.ndim, y.ndim) > 0),
    Op("linear", ops.linear, 2, lambda x, w: x.ndim > 0 and w.ndim == 2),
    Op("reshape", _reshaped, 1, parameters=a_shape),
    Op("permute", lambda x, dims: ops.permute(x, dims), 1, _matrix, a_permutation),
    Op("getitem", ops.getitem, 1, parameters=an_index),
    Op("broadcast_to", ops.broadcast_to, 1, parameters=a_wider_shape),
)
"""What programs are made of, the simplest first."""
