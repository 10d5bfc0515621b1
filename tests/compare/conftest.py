"""The command line as a person meets it: a process of its own, in an empty folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compare.experiment import run
from compare.records import Line
from compare.settings import Settings

ROOT = Path(__file__).parents[2]

SMALL = Settings(engines=("all", "reverse-checkpoint"), steps=30, rounds=2, agreement_steps=10, width=8, batch=32)
"""A run of a second or two."""

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
