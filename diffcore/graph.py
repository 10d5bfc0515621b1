"""The computation graph, shown: operators are nodes, the values between them edges.

    print(revdiff.graph(lambda x, w: (x @ w).tanh().sum(), x, w))

    x: float64[4, 3]
    w: float64[3, 2]
    %0: float64[4, 2] = matmul(x, w)
    %1: float64[4, 2] = tanh(%0)
    %2: float64[] = sum(%1, axis=(-2, -1))
    return %2
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffcore import tree
from diffcore.arrays import is_array
from diffcore.dispatch import Boxed, new_level
from diffcore.kernels.record import Kernel
from diffcore.tensor import TensorSurface


@dataclass
class Operation:
    """One operator: its name, what it reads (names of values, or constants as text), its parameters, and the value it makes."""

    name: str
    inputs: tuple[str, ...]
    params: dict[str, Any]
    value: str
    kind: str


@dataclass
class Graph:
    """Operations in the order in which they ran. `str(graph)` is a listing, `graph.dot()` the same for Graphviz.

    `inputs` maps the names of variables to their kinds (dtype and shape), `outputs` are the names of the results.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __str__(self) -> str:
        lines = [f"{name}: {kind}" for name, kind in self.inputs.items()]
        for op in self.operations:
            given = ", ".join([*op.inputs, *(f"{key}={_short(value)}" for key, value in op.params.items())])
            lines.append(f"{op.value}: {op.kind} = {op.name}({given})")
        return "\n".join([*lines, f"return {', '.join(self.outputs)}"])

    def dot(self) -> str:
        """The graph in the language of Graphviz: boxes for operators, ellipses for variables, edges labelled with kinds."""
        lines = ["digraph {", "  rankdir=TB;"]
        made = {op.value: (f"op{i}", op.kind) for i, op in enumerate(self.operations)}
        for i, (name, kind) in enumerate(self.inputs.items()):
            made[name] = (f"in{i}", kind)
            lines.append(f"  in{i} [label={_quoted(name)}];")
        for i, op in enumerate(self.operations):
            lines.append(f"  op{i} [shape=box, label={_quoted(op.name)}];")
            lines += [f"  {made[x][0]} -> op{i} [label={_quoted(made[x][1])}];" for x in op.inputs if x in made]
        for i, name in enumerate(self.outputs):
            lines.append(f"  out{i} [shape=none, label={_quoted('result' if len(self.outputs) == 1 else f'result {i}')}];")
            if name in made:
                lines.append(f"  {made[name][0]} -> out{i} [label={_quoted(made[name][1])}];")
        return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def kind_of(x: Any) -> str:
    """The dtype and shape of a value, as in `float64[2, 3]`."""
    return f"{x.dtype}{list(x.shape)}"


def _short(value: Any) -> str:
    if is_array(value) and value.ndim:
        return f"<{kind_of(value)}>"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_short, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, slice):
        shown = [("" if part is None else str(part)) for part in (value.start, value.stop)]
        return ":".join([*shown, *([] if value.step is None else [str(value.step)])])
    return "..." if value is Ellipsis else str(value)


def constant_text(x: Any) -> str:
    """How an operand that is no variable is shown: numbers as they are, arrays by their kind."""
    return f"<{kind_of(x)}>" if is_array(x) and x.ndim else _short(x)


class _Named(TensorSurface):
    """A value that carries its name and the graph it belongs to; what is done with it is written down."""

    __slots__ = ()
    engine = "graph"

    def _like(self, primal: Any) -> _Named:
        return _Named(primal, self.level)

    def _leaf(self) -> None:
        return None

    def _become(self, variable: bool) -> None:
        self.carried = None

    @staticmethod
    def follow(kernel: Kernel, primals: list[Any], carried: list[Any], mask: int, out: Any, aux: Any, params: dict[str, Any]) -> Any:
        graph: Graph = next(c for c in carried if c is not None)[0]
        inputs = tuple(constant_text(x) if c is None else c[1] for x, c in zip(primals, carried, strict=True))
        name = f"%{len(graph.operations)}"
        graph.operations.append(Operation(kernel.name, inputs, params, name, kind_of(out)))
        return graph, name


_Named.box = _Named


class _Mode:
    """A graph is always followed."""

    enabled = True


_Named._mode = _Mode()  # type: ignore[assignment]  # only asked whether it is enabled


def graph(function: Callable[..., Any], *args: Any) -> Graph:
    """The graph of `function(*args)`: every operation on the arguments (arrays, tensors, or nested structures of them).

    The function runs once; operations that do not depend on an argument are constants and not shown.
    """
    level, found = new_level(), Graph()

    def named(name: str, value: Any) -> Any:
        leaves, build = tree.flatten(value)
        made = []
        for i, leaf in enumerate(leaves):
            x = leaf if isinstance(leaf, Boxed) or is_array(leaf) else np.asarray(leaf)
            own = name if len(leaves) == 1 else f"{name}[{i}]"
            found.inputs[own] = kind_of(x)
            made.append(_Named(x, level, (found, own)))
        return build(made)

    outs, _ = tree.flatten(function(*[named(name, x) for name, x in zip(_names(function, len(args)), args, strict=True)]))
    for y in outs:
        found.outputs.append(y.carried[1] if isinstance(y, _Named) and y.carried is not None else constant_text(y))
    return found


def _names(function: Callable[..., Any], count: int) -> Sequence[str]:
    """The names of the function's parameters, or `x0, x1, ...` where they are not to be had."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:count] if len(names) >= count else [f"x{i}" for i in range(count)]
