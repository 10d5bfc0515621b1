"""Which package may import which, and what an import costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "diffcore": {"diffcore"},
    "revdiff": {"revdiff", "diffcore"},
    "dualdiff": {"dualdiff", "diffcore"},
    "compare": {"compare", "revdiff", "dualdiff", "diffcore"},
}
HEAVY = ("jax", "jaxlib", "matplotlib", "networkx", "sklearn", "scipy", "torch", "click", "rich", "jinja2", "pandas")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top package of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.lineno, (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    own = set(MAY_IMPORT)
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files
        for line, name in imported(path)
        if name in own and name not in MAY_IMPORT[package]
    ]
    assert wrong == []


def modules_after(statement: str) -> set[str]:
    """Top-level modules loaded by `statement` in a fresh interpreter."""
    script = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


USE = """
x = {0}.tensor([1.0, 2.0], requires_grad=True)
(x.tanh() * x).sum().backward()
net = {0}.nn.Sequential({0}.nn.Linear(2, 3), {0}.nn.Tanh())
{0}.value_and_grad(lambda net, x: net(x).mean())(net, {0}.tensor([[1.0, 2.0]]))
{0}.jacobian(lambda x: x * x)(x.detach())
"""


@pytest.mark.parametrize(("package", "other"), [("revdiff", "dualdiff"), ("dualdiff", "revdiff")])
def test_an_engine_loads_nothing_heavy_even_when_used_on_numpy(package: str, other: str) -> None:
    loaded = modules_after(f"import {package}\n{USE.format(package)}")
    assert package in loaded
    assert loaded & {*HEAVY, other, "compare"} == set()
