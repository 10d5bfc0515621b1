"""Whose line it was: an error that came up while a network ran, told by the operation and the line of code that called it."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from pathlib import Path
from typing import NamedTuple

import compare
import diffcore
import dualdiff
import revdiff
from compare.errors import InputError, one_line
from compare.planning.booking import shortened
from diffcore.errors import AbstractValueError, UnknownCostError

_OURS = tuple(str(Path(str(package.__file__)).parent) + os.sep for package in (diffcore, dualdiff, revdiff, compare))
_LIBRARIES = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))
"""Where what is installed lies: a user's line may call one of the packages through it."""
_READS = {
    "__bool__": "bool",
    "__float__": "float",
    "__int__": "int",
    "__index__": "index",
    "__complex__": "complex",
    "__contains__": "in",
    "__format__": "format",
    "__iter__": "iteration",
    "__array__": "np.asarray",
    "__getitem__": "x[mask]",
    "__setitem__": "x[mask] = ...",
    "_no_value": "value",
}
"""What a read of a value is called by people, by the name of the method that does it. (Only of a mask does an index read values.)"""
_WRAPPERS = ("inner", "method", "writing")
"""Functions that stand before the one that was called."""


class Blame(NamedTuple):
    """The line of code outside of the packages, and the function of theirs that it called, if it did."""

    line: str
    text: str
    called: str


def blame(error: BaseException) -> Blame | None:
    """Where `error` came from; None when no line outside of the packages was on the way."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [number for number, frame in enumerate(frames) if not frame.filename.startswith(_OURS)]
    if not theirs or isinstance(error, SyntaxError):
        return None
    own = [number for number in theirs if not frames[number].filename.startswith(_LIBRARIES)]
    last = (own or theirs)[-1]
    frame = frames[last]
    called = next((frame.name for frame in frames[last + 1 :] if frame.name not in _WRAPPERS), "")
    text = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return Blame(f"{shortened(frame.filename)}:{frame.lineno}", text, called)


def unplannable(name: str, error: BaseException) -> InputError:
    """The error for a network that does not run on shapes alone, in one line: what it did, in which operation, on which line."""
    found = blame(error)
    where = f" at {found.line} (`{found.text}`)" if found else ""
    if isinstance(error, AbstractValueError):
        read = f" by `{_READS.get(found.called, found.called)}`" if found and found.called else ""
        return InputError(f"network {name!r} cannot be planned: it reads a value{read}{where}, and a plan has shapes alone")
    if isinstance(error, UnknownCostError):
        called = f" `{found.called}`" if found and found.called else ""
        return InputError(f"network {name!r} cannot be planned: operation{called}{where} has no cost: {one_line(error)}")
    return InputError(f"network {name!r} fails{where}: {one_line(type(error).__name__)}: {one_line(error)}")
