"""The report of a run, made from its records alone: a table and a verdict in the terminal, and one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from compare.records import Line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_report", "render_html"]


def render_html(records: Iterable[Line]) -> str:
    """The page: one HTML document without scripts that loads nothing, whole in itself, the same text for the same records.

    Raises `RecordsError` when the records do not make up a run.
    """
    from compare.report.page import render

    return render(records)


def print_report(records: Iterable[Line], console: Console) -> None:
    """Print the table of costs, the agreement and the verdict to `console`, in 80 columns, plain when it is not a terminal.

    Raises `RecordsError` when the records do not make up a run.
    """
    from compare.report.terminal import print_report as show

    show(records, console)
