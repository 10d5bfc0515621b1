"""Nested dicts, lists and tuples of arrays, flattened and rebuilt. Dicts are taken in insertion order."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from diffcore.errors import GradientError


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


def leaves_as(tree: Any, like: Any, what: str, *, missing: bool = False) -> list[Any]:
    """The leaves of `tree` in the order of those of `like`. Raises `GradientError` naming `what` and where their structures differ.

    With `missing`, a `None` in `tree` stands for `None` at every leaf that `like` has there.
    """
    leaves: list[Any] = []
    _pair(tree, like, what, "", leaves, missing)
    return leaves


def _pair(tree: Any, like: Any, what: str, path: str, leaves: list[Any], missing: bool) -> None:
    if tree is None and missing:
        leaves += [None] * len(flatten(like)[0])
    elif isinstance(like, dict) and isinstance(tree, dict) and like.keys() == tree.keys():
        for key in like:
            _pair(tree[key], like[key], what, f"{path}[{key!r}]", leaves, missing)
    elif isinstance(like, list | tuple) and isinstance(tree, list | tuple) and len(like) == len(tree):
        for i, (value, pattern) in enumerate(zip(tree, like, strict=True)):
            _pair(value, pattern, what, f"{path}[{i}]", leaves, missing)
    elif isinstance(like, dict | list | tuple) or isinstance(tree, dict | list | tuple) or (like is None) != (tree is None):
        where = f"at {path}, " if path else ""
        raise GradientError(f"{what}: the structures differ: {where}expected {_shown(like)}, got {_shown(tree)}")
    elif like is not None:
        leaves.append(tree)


def _shown(node: Any) -> str:
    if isinstance(node, dict):
        return f"a dict of {', '.join(builtins.map(repr, node)) or 'nothing'}"
    if isinstance(node, list | tuple):
        return f"a {type(node).__name__} of length {len(node)}"
    return "None" if node is None else "an array"


def map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with `function` applied to each leaf."""
    leaves, build = flatten(tree)
    return build([function(leaf) for leaf in leaves])
