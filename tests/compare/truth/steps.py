"""Steps to measure that are no training: what they allocate is known."""

from collections.abc import Callable
from typing import Any

from compare.measure import counted, example
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.truth import Work


def planned(step: Callable[[Any, Any], Any] | None = None, *, strategy: str = "reverse", **settings: Any) -> Work:
    """Work that makes `step` (nothing by default), with the plan of a real one."""
    chosen, wanted = STRATEGIES[strategy], Settings(**settings)
    prepared = counted(wanted, chosen, wanted.dtype)
    return Work(wanted, chosen, prepared, step or (lambda x, y: None), lambda: None, *example(wanted, wanted.dtype))
