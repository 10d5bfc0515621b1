"""Networks of the user's own: a function in a file of theirs."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compare.errors import InputError, one_line, suggestion

TAKES = ("outputs", "width", "depth")
"""Parameters that a `build` may have beside `nn`: it is called with what they are to be."""


def is_file(name: str) -> bool:
    """Whether `name` is meant to be a file's, `FILE.py` or `FILE.py:FUNCTION`, and not a network's."""
    return name.partition(":")[0].endswith(".py") or "/" in name


def load(name: str) -> Callable[..., Any]:
    """The function `FILE.py:FUNCTION` (`build` by default). Raises `InputError` in one line, with the line where the file went wrong."""
    place, _, function = name.partition(":")
    function = function or "build"
    path = Path(place)
    if not path.is_file():
        raise InputError(f"network {name!r}: there is no file {place!r}")
    module = _run(path)
    build = getattr(module, function, None)
    if not callable(build):
        names = [key for key, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module.__name__]
        there = f"its functions are {', '.join(names)}." if names else "it has no functions."
        raise InputError(f"network {name!r}: {place} has no function {function!r}: {there}{suggestion(function, names)}")
    return build


def takes(name: str, build: Callable[..., Any]) -> frozenset[str]:
    """Those of `TAKES` that `build` has parameters for. Raises `InputError` for one that cannot be called as `build(nn)`."""
    try:
        parameters = inspect.signature(build).parameters
    except (TypeError, ValueError):
        return frozenset()
    if not parameters:
        raise InputError(f"network {name!r}: the function must take the layers as its argument, as in `def build(nn): ...`")
    first, *others = parameters.values()
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD, first.VAR_POSITIONAL):
        raise InputError(f"network {name!r}: the function must take the layers as its first argument, as in `def build(nn): ...`")
    strange = [p.name for p in others if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in TAKES]
    if strange:
        raise InputError(
            f"network {name!r}: the function wants `{strange[0]}`, and it is called with `nn` and those of {', '.join(TAKES)} that it names"
        )
    return frozenset(p.name for p in others if p.name in TAKES)


def _run(path: Path) -> Any:
    """The module of a file, which is run as Python imports one, with its folder to import from."""
    name = f"diffmodes_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}{_line(error, path)}: {type(error).__name__}: {_message(error)}") from None
    finally:
        sys.path.pop(0)
    return module


def _line(error: BaseException, path: Path) -> str:
    """The innermost line of the file itself, after a colon."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}" if error.lineno else ""
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == path.resolve()]
    return f":{own[-1]}" if own else ""


def _message(error: BaseException) -> str:
    return one_line(error.msg if isinstance(error, SyntaxError) else error)
