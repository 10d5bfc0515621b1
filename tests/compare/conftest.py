"""The command line as a person meets it: a process of its own, in an empty folder; and a page taken apart."""

import os
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from compare.experiment import run
from compare.records import Line
from compare.settings import Settings

ROOT = Path(__file__).parents[2]

SMALL = Settings(engines=("all", "reverse-checkpoint"), steps=30, rounds=2, agreement_steps=10, width=8, batch=32)
"""A run of a second or two."""

INLINE = {"span", "b", "code", "small"}
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `python -m compare` with arguments in `tmp_path`; `env` adds environment variables."""

    def call(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **(env or {})}
        words = [sys.executable, "-m", "compare", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=120)

    return call


@pytest.fixture(scope="session")
def small_settings() -> Settings:
    return SMALL


@pytest.fixture(scope="session")
def small_run(small_settings: Settings) -> list[Line]:
    """The records of one small run of every strategy."""
    return run(small_settings)


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, the text of every table's rows, and whether tags balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.styles = ""
        self.feed(html)
        self.close()
        self.faults += self.open
        self.text = " ".join("".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in INLINE:
            self.texts.append(" ")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-3:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.styles += data
            return
        self.texts.append(data)
        if self.open and {"td", "th"} & set(self.open) and self.rows:
            self.rows[-1][-1] += data

    def row(self, start: str, after: int = 0) -> list[str]:
        """The first row from place `after` on whose first cell begins with `start`."""
        return next(row for row in self.rows[after:] if row and row[0].strip().startswith(start))


@pytest.fixture
def take_apart() -> type[Page]:
    """Parses a page."""
    return Page
