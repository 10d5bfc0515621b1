"""What is to be checked: which kernels, engines, array backends and oracles. Light, because the command line makes it before all else."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import msgspec

from compare.errors import InputError, choose

if TYPE_CHECKING:
    from compare.check.check import Check

ALL = "all"
BACKENDS = ("numpy", "jax", ALL)
ENGINES = ("revdiff", "dualdiff", ALL)
MOST_JOBS = 256


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Impossible selections raise `InputError` at once; whether the kernels exist is asked when they are loaded."""

    kernels: tuple[str, ...] = ()
    backend: str = ALL
    engine: str = ALL
    torch: bool = True
    jax: bool = True
    jobs: int = 1

    def __post_init__(self) -> None:
        choose("backend", self.backend, BACKENDS)
        choose("engine", self.engine, ENGINES)
        if not 1 <= self.jobs <= MOST_JOBS:
            raise InputError(f"`--jobs` (={self.jobs}) must be from 1 to {MOST_JOBS}")

    def left_out(self, check: Check) -> str:
        """Why a check is not run; empty where it is."""
        if check.oracle and not (self.torch if check.oracle == "torch" else self.jax):
            return f"--no-{check.oracle}"
        if self.engine != ALL and set(check.engines) - {self.engine}:
            return f"--engine {self.engine}"
        if not check.oracle and self.backend != ALL and check.backend not in (self.backend, "abstract" if self.backend == "numpy" else ""):
            return f"--backend {self.backend}"
        return ""

    def command(self, page: str) -> str:
        """The command that checks the same again."""
        words = ["python", "-m", "compare", "check", *self.kernels]
        words += [word for name in ("backend", "engine") if (value := getattr(self, name)) != ALL for word in (f"--{name}", value)]
        words += [] if self.torch else ["--no-torch"]
        words += [] if self.jax else ["--no-jax"]
        return shlex.join([*words, *(("--html", page) if page else ())])
