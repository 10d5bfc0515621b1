"""Nested dicts, lists and tuples of arrays, flattened and rebuilt. Dicts are taken in insertion order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffcore.arrays import is_array
from diffcore.dispatch import Boxed


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of `tree` and a function that rebuilds the same structure around as many values. `None` has no leaves."""
    leaves: list[Any] = []
    build = _visit(tree, leaves)
    return leaves, lambda values: build(iter(values))


def _visit(tree: Any, leaves: list[Any]) -> Callable[[Any], Any]:
    if isinstance(tree, dict):
        parts = {key: _visit(value, leaves) for key, value in tree.items()}
        return lambda values: {key: build(values) for key, build in parts.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        fields = [_visit(value, leaves) for value in tree]
        return lambda values: type(tree)(*[build(values) for build in fields])
    if isinstance(tree, list | tuple):
        items = [_visit(value, leaves) for value in tree]
        return lambda values: type(tree)([build(values) for build in items])
    if tree is None:
        return lambda values: None
    leaves.append(tree)
    return next


def map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with `function` applied to each leaf."""
    leaves, build = flatten(tree)
    return build([function(leaf) for leaf in leaves])


def is_value(leaf: Any) -> bool:
    """Whether a leaf is an array, a tensor or a floating-point number: something a function can be differentiated by."""
    return isinstance(leaf, Boxed | float) or is_array(leaf)
