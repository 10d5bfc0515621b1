"""Reading a file never runs code: nothing in the packages reads or writes pickles, or evaluates text.

One exception: `revdiff/straight.py` puts chains of layers down as functions, like the standard library's dataclasses. It reads no file: its
text is put together from its own lines, those that kernels of `diffcore` declare, and numbers, as the tests here make sure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {"_pickle", "cloudpickle", "dbm", "dill", "joblib", "marshal", "pickle", "pickletools", "shelve"}
"""What reads files by running what they say."""
KEYWORDS = {"allow_pickle", "pickle_module", "pickle_protocol"}
NUMPY = {"fromfile", "load", "save", "savez", "savez_compressed"}
"""Functions of numpy that may read or write pickles, or take the bytes of a file as they are."""
BUILT_IN = {"compile", "eval", "exec"}
STRAIGHT = "revdiff/straight.py"
"""The one file that may run text."""


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything in `source` that is not to be there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names if name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, word.arg) for word in node.keywords if word.arg in KEYWORDS)
            called = node.func
            if isinstance(called, ast.Name) and called.id in BUILT_IN | {"__import__"}:
                yield node.lineno, called.id
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in ("np", "numpy"):
                yield from [(node.lineno, f"numpy.{called.attr}")] if called.attr in NUMPY else []
            if ast.unparse(called) in ("importlib.import_module", "import_module") and node.args:
                yield from [(node.lineno, ast.unparse(node.args[0]))] if ast.unparse(node.args[0]).strip("'\"") in MODULES else []


@pytest.mark.parametrize("package", ["compare", "diffcore", "dualdiff", "revdiff"])
def test_no_package_pickles(package: str) -> None:
    files = sorted({*(ROOT / package).rglob("*.py")} - {ROOT / STRAIGHT})
    assert len(files) > 5
    found = [f"{path.relative_to(ROOT)}:{line}: {name}" for path in files for line, name in faults(path.read_text(encoding="utf-8"))]
    assert found == []


def test_one_file_runs_text_of_its_own_in_one_place() -> None:
    source = (ROOT / STRAIGHT).read_text(encoding="utf-8")
    assert sorted(name for _, name in faults(source)) == ["compile", "exec"]
    tree = ast.parse(source)
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "exec")
    assert ast.unparse(call) == "exec(compile(source, file, 'exec'), self._known)"  # the one holds the other
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called.isdisjoint({"open", "input", "Path", "read_text", "os.environ.get", "os.getenv"})
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported.isdisjoint({"os", "pathlib", "io", "json", "builtins", "diffcore.data", "diffcore.serialize"})


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, marshal as m",
        "from shelve import open",
        "import joblib.numpy_pickle",
        "np.load(path)",
        "read(path, allow_pickle=True)",
        "eval(text)",
        "importlib.import_module('pickle')",
    ],
)
def test_a_fault_is_found(source: str) -> None:
    assert len(list(faults(source))) == 1
    assert list(faults("json.loads(text)\nre.compile(text)\nx = 'pickle'")) == []
