"""Where operations are called: the line of the user's code, and the layer. Noted per recorded operation, while somebody wants to know."""

from __future__ import annotations

import linecache
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from diffcore.watch import watch

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OURS = tuple(os.path.join(_ROOT, package, "") for package in ("diffcore", "revdiff", "dualdiff"))


class Place(NamedTuple):
    """The innermost line outside of the packages, and the innermost layer that was being called (a weak reference), if any."""

    file: str
    line: int
    function: str
    layer: weakref.ref[Any] | None

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        return f"{self.file}:{self.line} in {self.function}" + (f": `{text}`" if text else "")


class _Wanted(threading.local):
    count = 0

    def __init__(self) -> None:
        self.layers: list[Any] = []
        """Modules that are being called, the innermost last."""


_wanted = _Wanted()
_places: weakref.WeakKeyDictionary[Any, Place] = weakref.WeakKeyDictionary()


def want(number: int) -> None:
    """One more asks for the places of what this thread records from now on (`1`), or one less (`-1`)."""
    _wanted.count += number
    watch.add(number)


@contextmanager
def noting() -> Iterator[None]:
    """Places are noted inside."""
    want(1)
    try:
        yield
    finally:
        want(-1)


def note(node: Any) -> None:
    """Remember where `node` is being recorded, if that is wanted."""
    if _wanted.count:
        _places[node] = here()


def place_of(node: Any) -> Place | None:
    """Where `node` was recorded, if that was noted."""
    return _places.get(node)


def noted(module: Any, args: Any, kwargs: Any) -> Any:
    """`module.forward`, while which `module` is known to be called.

    The locals of frames, which would tell it too, are not asked for: that would keep them alive until a frame returns.
    """
    _wanted.layers.append(module)
    try:
        return module.forward(*args, **kwargs)
    finally:
        _wanted.layers.pop()


class _IsOurs(dict[str, bool]):
    """Whether a file is one of the packages': a plan asks for every operation, and for all the frames that have called it."""

    def __missing__(self, file: str) -> bool:
        found = self[file] = file.startswith(_OURS)
        return found


_is_ours = _IsOurs()


def here() -> Place:
    """The place that is calling."""
    frame: FrameType = sys._getframe(1)
    while _is_ours[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    layer = weakref.ref(_wanted.layers[-1]) if _wanted.layers else None
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, layer)
