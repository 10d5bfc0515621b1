"""Compare forward-mode with reverse-mode differentiation of one network: what each costs in memory, arithmetic and time.

    lines = compare.run(compare.Settings(steps=200))      # records of a run
    compare.read_records(path)                            # records of a file
    compare.render_html(lines)                            # the report, made from records alone
    compare.plan(net, batch=128, inputs=(3, 32, 32))      # what every way would cost, before anything runs
    compare.describe_environment(heavy=True)              # the machine and the software

Each name loads what it needs when it is first used, so that `python -m compare --help` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compare.environment import describe as describe_environment
    from compare.experiment import run
    from compare.planning import plan
    from compare.records import read as read_records
    from compare.report import render_html
    from compare.settings import Settings

_HOMES = {
    "Settings": ("compare.settings", "Settings"),
    "describe_environment": ("compare.environment", "describe"),
    "plan": ("compare.planning", "plan"),
    "read_records": ("compare.records", "read"),
    "render_html": ("compare.report", "render_html"),
    "run": ("compare.experiment", "run"),
}

__all__ = ["Settings", "describe_environment", "plan", "read_records", "render_html", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'compare' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
