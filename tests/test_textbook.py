"""Programs as textbooks write them, run with each engine in the place of torch, print and compute what they do with PyTorch.

They stand in `tests/textbook`, one per topic, and import nothing but torch and what PyTorch users have beside it. What an engine does not
have yet is found in the source (names below `torch`, methods of tensors, operators), and such a program waits for it.
"""

import ast
import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

PROGRAMS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "textbook").glob("*.py"))}
"""Sources by topic. What a program leaves in `results` is compared as numbers; what it prints, as text."""

SURFACE = """
    tensor zeros arange ones ones_like eye zeros_like from_numpy linspace FloatTensor float32 long int32 bool sqrt cos tanh sigmoid sin
    square exp log abs cosh is_tensor pow clamp relu sign sinh sum norm max sort cat unsqueeze repeat_interleave meshgrid stack matmul bmm
    mm dot mv normal rand randn distributions.multinomial.Multinomial no_grad is_grad_enabled nn.Linear nn.Sequential nn.ReLU nn.Module
    nn.Parameter nn.functional.relu nn.functional.one_hot nn.functional.softmax optim.SGD optim.Optimizer utils.data.DataLoader
    utils.data.TensorDataset load save device cuda.device_count
""".split()
"""The names below `torch` that introductory textbooks use, layers, initialisation and further optimizers apart."""
METHODS = """
    dtype zero_ type long abs fill_ float pow sub_ sum mean argmax cumsum norm max shape reshape permute unsqueeze numel T repeat squeeze
    dim repeat_interleave size transpose clone ndim t numpy item tolist normal_ grad data backward detach requires_grad_ detach_
    requires_grad to device cpu cuda sample parameters eval apply add_module named_parameters state_dict training load_state_dict zero_grad
    train weight bias _modules _parameters step param_groups
""".split()
"""The attributes of tensors, modules and optimizers that they use."""
OPERATORS = """
    __add__ __mul__ __truediv__ __pow__ __sub__ __matmul__ __mod__ __eq__ __ne__ __gt__ __lt__ __ge__ __neg__ __invert__ __iadd__ __isub__
    __imul__ __itruediv__ __getitem__ __setitem__ __iter__ __len__ __float__ __int__ __bool__ __format__
""".split()

BINARY = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.Div: "__truediv__",
    ast.Pow: "__pow__",
    ast.MatMult: "__matmul__",
    ast.Mod: "__mod__",
}
OTHER = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Gt: "__gt__",
    ast.Lt: "__lt__",
    ast.GtE: "__ge__",
    ast.USub: "__neg__",
    ast.Invert: "__invert__",
}
CALLS = {"len": "__len__", "float": "__float__", "int": "__int__", "bool": "__bool__"}


class Uses(ast.NodeVisitor):
    """What a program uses: `names` below `torch`, `attributes` of anything, `operators` as the methods they call."""

    def __init__(self, source: str) -> None:
        self.known = {"torch": ""}
        self.modules: set[str] = set()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.operators: set[str] = set()
        self.visit(ast.parse(source))

    def visit_Import(self, node: ast.Import) -> None:
        self.modules |= {alias.asname or alias.name for alias in node.names} - {"torch"}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module is not None and node.module.partition(".")[0] == "torch":
            for alias in node.names:
                path = ".".join([*node.module.split(".")[1:], alias.name])
                self.known[alias.asname or alias.name] = path + "."
                self.names.add(path)

    def path(self, node: ast.expr) -> str | None:
        """The dotted name of `node` below `torch`, where it is one."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            outer = self.path(node.value)
            return None if outer is None else f"{outer}{node.attr}."
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.path(node)
        if path is None:
            if not (isinstance(node.value, ast.Name) and node.value.id in self.modules):
                self.attributes.add(node.attr)
        else:
            self.names.add(path[:-1])
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.operators.add(BINARY.get(type(node.op), ""))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.operators.add(BINARY[type(node.op)].replace("__", "__i", 1))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.operators.add(OTHER.get(type(node.op), ""))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.operators |= {OTHER.get(type(op), "") for op in node.ops}
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.operators.add("__setitem__" if isinstance(node.ctx, ast.Store) else "__getitem__")
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self.operators.add("__iter__")
        self.generic_visit(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> None:
        self.operators.add("__format__")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.operators.add(CALLS.get(node.func.id, ""))
        self.generic_visit(node)


def missing(engine: ModuleType, torch: ModuleType, source: str) -> list[str]:
    """What the program uses of PyTorch and `engine` does not have."""
    uses, found = Uses(source), []
    for name in sorted(uses.names):
        at: Any = engine
        for part in name.split("."):
            at = getattr(at, part, None)
        if at is None:
            found.append(f"torch.{name}")
    containers = {name for kind in (dict, list, str) for name in dir(kind) if not name.startswith("_")}
    for name in sorted(uses.attributes - containers | uses.operators - {""}):
        if hasattr(torch.Tensor, name) and not hasattr(engine.Tensor, name):
            found.append(f"Tensor.{name}")
    return found


@contextlib.contextmanager
def in_place_of_torch(engine: ModuleType) -> Iterator[None]:
    """`import torch` and imports below it find `engine` and its modules."""

    def is_below(name: str, top: str) -> bool:
        return name == top or name.startswith(f"{top}.")

    before = {name: module for name, module in sys.modules.items() if is_below(name, "torch")}
    own = {name: module for name, module in sys.modules.items() if is_below(name, engine.__name__)}
    for name in before:
        del sys.modules[name]
    sys.modules.update({name.replace(engine.__name__, "torch", 1): module for name, module in own.items()})
    try:
        yield
    finally:
        for name in [name for name in sys.modules if is_below(name, "torch")]:
            del sys.modules[name]
        sys.modules.update(before)


def ran(source: str, name: str) -> tuple[str, dict[str, Any]]:
    """What the program printed, and its `results` as arrays."""
    space: dict[str, Any] = {"__name__": f"textbook.{name}"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, f"textbook/{name}.py", "exec"), space)
    results = {key: np.asarray(value) for key, value in space.get("results", {}).items()}
    return printed.getvalue(), results


NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]\d+)?")


def plain(text: str) -> str:
    """`text` without what the engines say in their own words: where a result comes from, and that dtypes are numpy's."""
    text = re.sub(r"(grad_fn|tangents)=<[^>]*>", "grad_fn=<>", text)
    return re.sub(r"\btorch\.((?:float|int|uint)\d+|bool)\b", r"\1", text)


def same_text(ours: str, theirs: str) -> None:
    """The same words, and numbers that agree to what is printed of them."""
    ours, theirs = plain(ours), plain(theirs)
    if ours == theirs:
        return
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=2e-4, atol=1.01e-4)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(engine: ModuleType, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch running the same source")
    lacking = missing(engine, torch, PROGRAMS[name])
    if lacking:
        pytest.skip(f"needs: {', '.join(lacking)}")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(action="ignore"):  # PyTorch would have the tensor detached before `float(loss)`
        expected, numbers = ran(PROGRAMS[name], name)
    with in_place_of_torch(engine):
        printed, results = ran(PROGRAMS[name], name)
    same_text(printed, expected)
    assert list(results) == list(numbers)
    for key, value in results.items():
        np.testing.assert_allclose(value, numbers[key], rtol=2e-4, atol=1e-5, err_msg=key)
        assert value.dtype == numbers[key].dtype, key


def test_programs_cover_what_textbooks_use() -> None:
    uses = [Uses(source) for source in PROGRAMS.values()]
    assert set(SURFACE) - {name for use in uses for name in use.names} == set()
    assert set(METHODS) - {name for use in uses for name in use.attributes} == set()
    assert set(OPERATORS) - {name for use in uses for name in use.operators} == set()


def test_what_is_missing_is_found(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    source = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
    assert missing(engine, torch, source + "torch.zeros(2).sum()\nnn.Linear(1, 2)\nF.relu(-torch.ones(1))[0]") == []
    source += "torch.fft.rfft(x).xlogy_(y)\nF.ctc_loss\nfrom torch.utils import tensorboard"
    source += "\nimport numpy as np\nnp.xlogy(1)\n{}.values()"
    names = ["torch.fft", "torch.fft.rfft", "torch.nn.functional.ctc_loss", "torch.utils.tensorboard"]
    assert missing(engine, torch, source) == [*names, "Tensor.xlogy_"]


def test_imports_below_an_engine_that_stands_for_torch(engine: ModuleType) -> None:
    source = """
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.nn import functional
from torch.utils import data
from torch.utils.data import DataLoader
from torch.distributions import multinomial
from torch.distributions.multinomial import Multinomial
from torch.autograd import no_grad
assert F is functional is nn.functional and data.DataLoader is DataLoader and multinomial.Multinomial is Multinomial
assert torch.nn is nn and torch.utils.data is data and torch.no_grad is no_grad and optim is torch.optim
results = {"one": torch.ones(1)}
"""
    outside = sys.modules.get("torch")
    with in_place_of_torch(engine):
        assert ran(source, "imports")[1] == {"one": 1.0}
    assert sys.modules.get("torch") is outside
    renamed = source.replace("import torch\n", f"import {engine.__name__} as torch\n").replace(
        "import torch.", f"import {engine.__name__}."
    )
    assert ran(renamed.replace("from torch", f"from {engine.__name__}"), "imports")[1] == {"one": 1.0}
