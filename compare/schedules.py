"""The schedule by which a network is checkpointed, read off shapes."""

from __future__ import annotations

from typing import Any

from compare.errors import InputError
from compare.measure import example
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import built
from diffcore.errors import MemoryBudgetError

CHECKPOINTED = "reverse-checkpoint"


def scheduled(settings: Settings) -> Any:
    """The `revdiff.checkpointing.Schedule` of the network and batch of `settings`, within their memory; no data are loaded.

    Raises `InputError` for a network that is not a sequence of layers, and for a budget that cannot be kept.
    """
    import revdiff

    net = built(settings, revdiff, device="meta", dtype=settings.dtype)
    inputs = revdiff.tensor(example(settings, settings.dtype)[0], device="meta")
    memory = settings.budget_of(STRATEGIES[CHECKPOINTED])
    try:
        return revdiff.checkpoint_schedule(net, inputs, **({"schedule": "sqrt"} if memory is None else {"memory": memory}))
    except MemoryBudgetError as error:
        raise InputError(
            f"`memory` (={memory} bytes) is below what one segment needs for {settings.network} {settings.shape}:"
            f" at least {error.least} would do"
        ) from None
    except TypeError:
        raise InputError(f"network {settings.network!r} has no schedule: it is one layer, and not a sequence of some") from None
