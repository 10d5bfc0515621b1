"""What a backward pass has been kept ready: every residual of a function or of a recorded tensor, with its bytes and where it comes from.

    print(revdiff.saved(net, x))

    keeps         layer  array          bytes   from
    linear.x      0      f32[64,784]  200,704 i train.py:12
    relu.out      1      f32[64,256]   65,536   train.py:12
    linear.x      2      f32[64,256]   65,536 = train.py:12
    ...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from diffcore import places, tree
from diffcore.aliasing import buffer_of
from diffcore.arrays import is_array, is_float
from diffcore.dispatch import Boxed
from diffcore.errors import GradientError
from diffcore.nn.module import Module
from diffcore.seeds import array_under
from diffcore.transforms import check_function
from revdiff import tape
from revdiff.checkpointing.lazy import Lazy, checkpointed
from revdiff.graph import reached
from revdiff.residuals import residuals
from revdiff.tensor import Tensor

COLUMNS = 80
"""The table is never wider."""

MARKS = {"residual": " ", "parameter": "p", "buffer": "b", "input": "i"}
_AGAIN = "="
_LEGEND = {
    "=": "listed above, counted once",
    "p": "a parameter or other variable",
    "b": "a buffer",
    "i": "an input",
}


@dataclass(frozen=True)
class Residual:
    """One array that one operation keeps for the backward pass.

    `op` is the operation, `name` what the array is to it (an operand, `out`, or a residual of its own); `layer` the dotted path of the
    layer that called it, `""` outside of all; `bytes` those of the memory that the array keeps alive, which may be larger than the array;
    `role` is `"residual"`, or `"parameter"`, `"buffer"` or `"input"` for what is alive anyway; `again` says that the memory has been listed
    before. `file`, `line` and `function` are the innermost line of code outside of the packages, where that is known.
    """

    op: str
    name: str
    layer: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    role: str
    again: bool
    file: str = ""
    line: int = 0
    function: str = ""


@dataclass
class Saved:
    """Every residual in `rows`, in the order of the operations; `str(saved)` is a table. Memory that is kept twice is counted once."""

    rows: list[Residual] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Residual]:
        return iter(self.rows)

    @property
    def total(self) -> int:
        """Bytes that are kept for the backward pass alone."""
        return sum(row.bytes for row in self.rows if row.role == "residual" and not row.again)

    @property
    def alive(self) -> int:
        """Bytes of the parameters, buffers and inputs that the backward pass reads, which are alive anyway."""
        return sum(row.bytes for row in self.rows if row.role != "residual" and not row.again)

    def to_dict(self) -> dict[str, Any]:
        """The totals and the rows as numbers and texts, for JSON."""
        return {"total": self.total, "alive": self.alive, "residuals": [asdict(row) for row in self.rows]}

    def __str__(self) -> str:
        heads = ("keeps", "layer", "array", "bytes", "from")
        cells = [_cells(row) for row in self.rows]
        widths = _widths([heads, *cells])
        lines = [_line(heads, " ", widths)]
        lines += [_line(parts, _mark(row), widths) for parts, row in zip(cells, self.rows, strict=True)]
        marks = sorted({_mark(row) for row in self.rows} - {" "})
        total, alive = f"{self.total:,d}", f"{self.alive:,d}"
        digits = max(len(total), len(alive))
        lines += [
            "",
            f"{total:>{digits}} bytes kept for the backward pass alone",
            f"{alive:>{digits}} bytes of parameters, buffers and inputs, alive anyway",
        ]
        return "\n".join([*lines, *(f"{mark}  {_LEGEND[mark]}" for mark in marks)])


def _mark(row: Residual) -> str:
    return _AGAIN if row.again else MARKS[row.role]


def _cells(row: Residual) -> tuple[str, ...]:
    place = f"{os.path.basename(row.file)}:{row.line}" if row.file else ""
    dtype = np.dtype(row.dtype) if row.dtype in np.sctypeDict else None
    kind = row.dtype if dtype is None or dtype.kind == "b" else f"{dtype.kind}{8 * dtype.itemsize}"
    return f"{row.op}.{row.name}", row.layer, f"{kind}[{','.join(map(str, row.shape))}]", f"{row.bytes:,d}", place


def _widths(cells: list[tuple[str, ...]]) -> list[int]:
    """The width of each column; texts are cut where the table would be too wide, in the widest of the columns that are only read."""
    widths = [max(len(parts[i]) for parts in cells) for i in range(5)]
    while sum(widths) + 9 > COLUMNS:
        widest = max((0, 1, 2, 4), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _line(parts: tuple[str, ...], mark: str, widths: list[int]) -> str:
    keeps, layer, array, amount, place = (_cut(part, width) for part, width in zip(parts, widths, strict=True))
    a, b, c, d, _ = widths
    return f"{keeps:<{a}}  {layer:<{b}}  {array:<{c}}  {amount:>{d}} {mark} {place}".rstrip()


def _cut(text: str, width: int) -> str:
    """The end of `text`, which tells more of a path than its beginning."""
    return text if len(text) <= width else "\N{HORIZONTAL ELLIPSIS}" + text[len(text) - width + 1 :]


def saved(source: Any, *inputs: Any) -> Saved:
    """Everything that is kept for the backward pass of `source(*inputs)`, or of the recorded tensor(s) `source`.

    **Arguments:** `source`: a module or a function, which runs once, as it would (batch statistics move, random numbers are drawn), or
    what it has returned: a tensor, or a structure of tensors; `inputs`: its arguments, or beside recorded tensors those that are to be told
    apart as inputs. Arrays among them are constants where a module or a tensor that requires grad is there to differentiate by, else
    variables, as in `vjp`. Abstract arrays (`device="meta"`) take no memory. Layers and lines of recorded tensors are not known, unless
    anomaly detection was on. Raises `GradientError` where nothing was recorded, and for a graph that a backward pass has freed.
    """
    if not callable(source) and any(isinstance(leaf, Boxed) or is_array(leaf) for leaf in tree.flatten(source)[0]):
        return _listed(source, _Alive(inputs))
    check_function("saved", "source", source, "a module, a function or recorded tensors")
    given, alive = _arguments(source, inputs), _Alive(())
    for x in (source, *given):
        alive.add(x)
    outer, tape.mode.enabled = tape.mode.enabled, True
    try:
        with places.noting():
            return _listed(source(*given), alive)
    finally:
        tape.mode.enabled = outer


def _arguments(source: Callable[..., Any], inputs: tuple[Any, ...]) -> list[Any]:
    """`inputs` with tensors in the place of arrays."""
    leaves = [leaf for x in inputs for leaf in tree.flatten(x)[0]]
    constant = any(isinstance(x, Module) or isinstance(x, Tensor) and x.requires_grad for x in (source, *leaves))

    def tensor_of(x: Any) -> Any:
        if isinstance(x, Boxed) or not is_array(x):
            return x
        made = Tensor(x)
        if not constant and is_float(x.dtype):
            made.requires_grad = True
        return made

    return [tree.map(tensor_of, x) for x in inputs]


class _Alive:
    """What is alive without the backward pass: the role of each buffer, and the paths of the layers."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self._roles: dict[int, tuple[str, Any]] = {}  # the buffer stays alive with its `id`
        self.paths: dict[int, str] = {}
        for x in inputs:
            self.add(x)

    def add(self, x: Any) -> None:
        """`x` and all in it."""
        for leaf in tree.flatten(x)[0]:
            if isinstance(leaf, Module):
                for path, module in leaf.named_modules():
                    self.paths.setdefault(id(module), path)
                self._note("parameter", leaf.parameters())
                self._note("buffer", leaf.buffers())
            elif isinstance(leaf, Boxed) or is_array(leaf):
                self._note("input", [leaf])

    def _note(self, role: str, tensors: Any) -> None:
        for x in tensors:
            buffer = buffer_of(array_under(x))
            self._roles.setdefault(id(buffer), (role, buffer))

    def variable(self, array: Any) -> None:
        """`array` is that of a variable."""
        self._note("parameter", [array])

    def role(self, buffer: Any) -> str:
        """What `buffer` is."""
        return self._roles.get(id(buffer), ("residual", None))[0]


def _listed(results: Any, alive: _Alive) -> Saved:
    """The rows of everything that `results` hang on."""
    roots = [y.node for y in tree.flatten(results)[0] if isinstance(y, Tensor) and y.node is not None]
    if not roots:
        raise GradientError(f"saved: nothing was recorded: {_missing(results)}")
    nodes = [node for node in sorted(reached("saved", roots), key=lambda node: node.order) if node.kernel is not None]
    lazy = [node for node in nodes if isinstance(node, Lazy)]
    nodes = [node for node in nodes if not isinstance(node, Lazy)]
    for node in nodes:
        for value, parent in zip(node.primals, node.parents, strict=True):
            if parent is not None and value is not None and _base(parent).kernel is None:
                alive.variable(value)
    found, seen = Saved(), dict[int, Any]()
    for node in nodes:
        place = places.place_of(node)
        layer = place.layer() if place is not None and place.layer is not None else None
        where = (place.file, place.line, place.function) if place is not None else ()
        for name, array in residuals(node):
            buffer = buffer_of(array)
            described = (tuple(array.shape), str(array.dtype), int(buffer.nbytes), alive.role(buffer), id(buffer) in seen)
            seen[id(buffer)] = buffer
            found.rows.append(Residual(node.kernel.name, name, alive.paths.get(id(layer), ""), *described, *where))
    for name, array in checkpointed(lazy):
        buffer = buffer_of(array)
        described = (tuple(array.shape), str(array.dtype), int(buffer.nbytes), alive.role(buffer), id(buffer) in seen)
        seen[id(buffer)] = buffer
        found.rows.append(Residual("checkpoint", name, "", *described))
    return found


def _missing(results: Any) -> str:
    """Why there is nothing recorded about `results`."""
    leaves = tree.flatten(results)[0]
    if any(isinstance(y, Tensor) for y in leaves):
        return "no parameter and no input of floating-point numbers requires grad"
    kinds = ", ".join(dict.fromkeys(f"{type(y).__module__}.{type(y).__name__}".removeprefix("builtins.") for y in leaves)) or "nothing"
    return f"there must be a tensor of revdiff's, got {kinds}"


def _base(node: tape.Node) -> tape.Node:
    """The node of what `node` is a view of, itself where it is none."""
    while node.kernel is not None and node.kernel.view and node.parents[0] is not None:
        node = node.parents[0]
    return node
