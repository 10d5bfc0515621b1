"""CSV files: numbers in rows and columns, and a column to be predicted."""

from __future__ import annotations

import csv
import math
import os
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcore.data.checking import float_dtype
from diffcore.errors import ArgumentError, FormatError
from diffcore.whole import whole

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
"""What stands for a value that is not known, in small letters."""

Column = str | int
Lines = Iterator[tuple[int, list[str]]]


def load_csv(
    path: str | os.PathLike[str],
    target: Column | Sequence[Column] | None,
    *,
    header: bool | None = None,
    classes: bool | Sequence[str] = False,
    missing: str = "error",
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
    dtype: Any = np.float64,
) -> tuple[NDArray[Any], Any]:
    """The numbers of a CSV file as inputs and targets.

    **Arguments:** `target`: the column to be predicted, by name or position (-1 is the last), a list of several, or `None`; `header`:
    whether the first line holds the names of the columns (by default it does if none of its cells is a number); `classes`: the target is
    text that names a class: `True` numbers the names in alphabetical order, a list in its own; `missing`: what to do with cells that are
    empty or `NA`, `N/A`, `NaN`, `null`, `None` or `?`: `"error"`, `"drop"` (leave the line out) or `"nan"` (keep them as NaN); `delimiter`:
    one character; `encoding`: by default UTF-8 with or without a byte order mark; `dtype`: of all that is no class.

    Cells may be quoted; blank lines are skipped. Returns inputs `[n, features]`, the columns that are no target in their order, and
    targets: `[n]`, for a list `[n, targets]`, classes in int64, or `None`.

    Raises `OSError` where the file cannot be read, `FormatError` where it is no such table: empty, with lines of different lengths, or
    with cells that are not (finite) numbers, naming line and column; `ArgumentError` for a column that is not there.
    """
    if missing not in ("error", "drop", "nan"):
        raise ArgumentError(f"load_csv: `missing` (={missing!r}) must be 'error', 'drop' or 'nan'")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ArgumentError(f"load_csv: `delimiter` (={delimiter!r}) must be one character, and neither a quote nor the end of a line")
    dtype, shown = float_dtype("load_csv", dtype), repr(str(path))
    lines = _lines(path, shown, delimiter, encoding)
    first = next(lines, None)
    if first is None:
        raise FormatError(f"{shown} is empty")
    if header is None:
        said = [cell for cell in first[1] if not _is_missing(cell)]
        header = bool(said) and all(_number(cell) is None for cell in said)
    table = _Table(shown, first[1] if header else [None] * len(first[1]))
    targets = table.positions(target)
    names = _names_of(classes, target)
    cells = table.values(lines if header else chain([first], lines), missing, names, targets[0] if names is not None else -1)
    if not cells:
        raise FormatError(f"{shown} has no line of values{' that is complete' if missing == 'drop' else ''}")
    values = np.frombuffer(cells, np.float64).reshape(-1, table.width)
    inputs = values[:, [i for i in range(table.width) if i not in targets]].astype(dtype)
    if target is None:
        return inputs, None
    answers = values[:, targets if isinstance(target, list | tuple) else targets[0]]
    if names is None:
        return inputs, answers.astype(dtype)
    rank = np.argsort(np.argsort(list(names))) if classes is True else np.arange(len(names))
    return inputs, rank[answers.astype(np.int64)]


def _lines(path: Any, shown: str, delimiter: str, encoding: str) -> Lines:
    """The lines that are not blank: their numbers and cells. Raises `FormatError` for what is not text or not CSV."""
    try:
        file = open(path, encoding=encoding, newline="")  # noqa: SIM115  # the error of an unknown encoding is not that of a lookup within
    except LookupError:
        raise ArgumentError(f"load_csv: `encoding` (={encoding!r}) is unknown") from None
    with file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except UnicodeError as error:
            raise FormatError(f"{shown} is not text in {encoding}: {error}; its `encoding` may be another") from None
        except csv.Error as error:
            raise FormatError(f"{shown} line {reader.line_num} is not CSV: {error}") from None


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING


def _number(cell: str) -> float | None:
    """The number in `cell`, or `None`: what Python takes for one beyond what CSV files write (`1_000`, digits of other scripts) is none."""
    try:
        return float(cell) if "_" not in cell and cell.isascii() else None
    except ValueError:
        return None


class _Numbered(dict[str, int]):
    """Numbers for the names of classes, in the order in which they are asked for."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def _names_of(classes: bool | Sequence[str], target: Any) -> dict[str, int] | None:
    """Where the numbers of class names are found; `None` where the target is a number. Raises `ArgumentError`."""
    if classes is False:
        return None
    if target is None or isinstance(target, list | tuple):
        raise ArgumentError(f"load_csv: `classes` needs one column as `target`, not {target!r}")
    if classes is True:
        return _Numbered()
    if isinstance(classes, str) or len(set(classes)) < len(classes) or not all(isinstance(name, str) for name in classes):
        raise ArgumentError(f"load_csv: `classes` (={classes!r}) must be True, False or a list of different names")
    return {name: i for i, name in enumerate(classes)}


class _Table:
    """The columns of a file: their names, `None` where they have none."""

    def __init__(self, shown: str, names: Sequence[str | None]) -> None:
        self.shown, self.names, self.width = shown, [None if name is None else name.strip() for name in names], len(names)

    def positions(self, target: Any) -> list[int]:
        """Where the columns `target` stand. Raises `ArgumentError`."""
        wanted = [] if target is None else list(target) if isinstance(target, list | tuple) else [target]
        found = [self._position(column) for column in wanted]
        if len(set(found)) < len(found):
            raise ArgumentError(f"load_csv: `target` (={target!r}) names a column twice")
        if len(found) == self.width:
            raise ArgumentError(f"load_csv: {self.shown} has {self.width} columns, and `target` (={target!r}) leaves none as input")
        return found

    def _position(self, column: Any) -> int:
        if isinstance(column, str):
            count = self.names.count(column)
            if count == 1:
                return self.names.index(column)
            there = "has no names of columns" if None in self.names else f"has {', '.join(map(repr, self.names))}"
            raise ArgumentError(f"load_csv: `target` {column!r} must name one column, not {count}: {self.shown} {there}")
        position = whole(column)
        if position is None or not -self.width <= position < self.width:
            raise ArgumentError(
                f"load_csv: `target` {column!r} must be the name or the position of a column: {self.shown} has {self.width}"
            )
        return position % self.width

    def values(self, lines: Any, missing: str, classes: dict[str, int] | None, label: int) -> array[float]:
        """All cells of `lines`, one after the other, as numbers; those of column `label` as the numbers that `classes` has for them."""
        cells = array("d")
        for line, row in lines:
            if len(row) != self.width:
                raise FormatError(f"{self.shown} line {line} has {len(row)} cells, expected {self.width} as in the first line")
            absent = [i for i, cell in enumerate(row) if _is_missing(cell)]
            if absent and missing == "drop":
                continue
            if absent and (missing == "error" or label in absent):
                hint = "" if missing == "nan" else "; `missing='drop'` leaves such lines out"
                at = absent[0] if missing == "error" else label
                raise FormatError(f"{self._place(line, at)}: the value is missing{hint}")
            for i, cell in enumerate(row):
                cells.append(self._class(cell, line, i, classes) if classes is not None and i == label else self._value(cell, line, i))
        return cells

    def _value(self, cell: str, line: int, column: int) -> float:
        if _is_missing(cell):
            return math.nan
        number = _number(cell)
        if number is None:
            hints = {";": "; is `delimiter` ';'?", "\t": r"; is `delimiter` '\t'?"}
            hint = next((text for mark, text in hints.items() if mark in cell and self.width == 1), "")
            if line == 1:
                hint = "; is it a name (`header=True`)?"
            raise FormatError(f"{self._place(line, column)}: {_short(cell)} is not a number{hint}")
        if not math.isfinite(number):
            raise FormatError(f"{self._place(line, column)}: {_short(cell)} is not finite")
        return number

    def _class(self, cell: str, line: int, column: int, classes: dict[str, int]) -> int:
        try:
            return classes[cell.strip()]
        except KeyError:
            raise FormatError(f"{self._place(line, column)}: {_short(cell)} is not one of the `classes` {list(classes)}") from None

    def _place(self, line: int, column: int) -> str:
        name = self.names[column]
        return f"{self.shown} line {line}, column {column}{'' if name is None else f' ({name!r})'}"


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:37]}...")
