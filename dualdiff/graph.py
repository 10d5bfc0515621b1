"""The computation graph of a function. Forward mode keeps none, so a tensor alone cannot show where it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffcore import graph as shared
from diffcore.errors import GradientError
from diffcore.graph import Graph
from dualdiff.tensor import Tensor


def graph(source: Callable[..., Any], *args: Any) -> Graph:
    """The graph of the function `source` at `args`; `print(graph)` lists it, `graph.dot()` is for Graphviz.

    Raises `GradientError` for a tensor: forward mode carries derivatives and keeps no history.
    """
    if isinstance(source, Tensor):
        raise GradientError(
            "graph: in forward mode a tensor carries its derivatives and keeps no history: pass the function, `dualdiff.graph(f, *args)`"
        )
    return shared.graph(source, *args)
