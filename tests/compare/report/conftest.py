"""What the tests of the report share: made-up runs, and a page taken apart."""

from __future__ import annotations

import importlib.util
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

INLINE = {"span", "b", "code", "small"}
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module `synthetic.py` beside this file: builders of records. Loaded by path, so that test folders need not be packages."""
    specification = importlib.util.spec_from_file_location("report_synthetic", Path(__file__).with_name("synthetic.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


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
