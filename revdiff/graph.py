"""The computation graph of a function, or the part of the tape that a tensor hangs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diffcore import graph as shared
from diffcore.errors import GradientError
from diffcore.graph import Graph, Operation
from revdiff.chains import open_chain
from revdiff.node import Node
from revdiff.tensor import Tensor


def graph(source: Tensor | Callable[..., Any], *args: Any) -> Graph:
    """The graph of the function `source` at `args`, or of a recorded tensor: all operations between the leaves and it.

    `print(graph)` lists it, `graph.dot()` is for Graphviz. Raises `GradientError` for a tensor without history or with a freed graph.
    """
    if not isinstance(source, Tensor):
        return shared.graph(source, *args)
    if source.node is None:
        raise GradientError("graph: the tensor does not require grad and has no history: nothing was recorded")
    found, names = Graph(), dict[Node, str]()
    for node in sorted(reached("graph", [source.node]), key=lambda node: node.order):
        if node.kernel is None:
            names[node] = f"x{len(found.inputs)}"
            found.inputs[names[node]] = shared.kind_of(node)
        else:
            names[node] = f"%{len(found)}"
            inputs = tuple("constant" if p is None else names[p] for p in node.parents)
            found.operations.append(Operation(node.kernel.name, inputs, node.params, names[node], shared.kind_of(node)))
    found.outputs.append(names[source.node])
    return found


def reached(asker: str, roots: Sequence[Node]) -> set[Node]:
    """All nodes that a backward pass from `roots` would visit. Raises `GradientError` in the name of `asker` for a freed graph."""
    seen, waiting = set(roots), list(roots)
    while waiting:
        node = waiting.pop()
        if open_chain(node).parents is None:
            raise GradientError(f"{asker}: this graph was freed by a backward pass: ask before it, or keep it with retain_graph=True")
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return seen
