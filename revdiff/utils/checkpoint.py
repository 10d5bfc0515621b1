"""PyTorch's `utils.checkpoint`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diffcore.errors import CheckpointError
from revdiff import checkpointing
from revdiff.checkpointing import checkpoint


def checkpoint_sequential(
    functions: Sequence[Callable[[Any], Any]], segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """`functions` (a `Sequential` or a list) one after another, cut into `segments` of which each but the last is run twice.

    The same as `checkpoint(functions, input, segments=segments)`; see there for `preserve_rng_state`, which may be among `kwargs`, and for
    what is raised.
    """
    return checkpointing.checkpoint(functions, input, segments=segments, use_reentrant=use_reentrant, **kwargs)


__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]
