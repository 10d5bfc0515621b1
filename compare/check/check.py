"""One named check: what it says of a row, where it has nothing to say, and what must be there for it to run."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.check.trial import Trial

Excuse = Callable[[Trial], str]
"""Why a check has nothing to say of a row; empty where it has."""


@dataclass(frozen=True)
class Check:
    """`run(trial)` raises `CheckFailed` where the row does not hold.

    **Arguments:** `column`: of the coverage matrix; `excuse`: why a row is left out; `engines`: those it tests; `backend`: the arrays it
    runs on ("numpy", "jax" or "abstract"); `oracle`: the outside library it holds the rows against, if any; `shared`: rows of a kernel
    share a compilation, so that they are best run one after the other in one process.
    """

    name: str
    column: str
    run: Callable[[Trial], None]
    excuse: Excuse
    engines: tuple[str, ...] = ()
    backend: str = "numpy"
    oracle: str = ""
    shared: bool = False

    @property
    def needs_jax(self) -> bool:
        """Whether jax must be there, with 64-bit numbers."""
        return "jax" in (self.backend, self.oracle)


def unavailable(check: Check) -> str:
    """Why the check cannot run here: a library that is not installed. Empty where it can."""
    for name in ("jax", "torch"):
        if name in (check.backend, check.oracle) and importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    return ""


@contextmanager
def conditions(check: Check) -> Iterator[None]:
    """What a check runs under: numpy says nothing about infinities, which rows have on purpose, and jax has 64-bit numbers."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        if not check.needs_jax:
            yield
            return
        jax: Any = importlib.import_module("jax")

        enable: Any = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64  # where older releases have it
        with enable(True):
            yield
