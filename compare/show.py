"""What a network has about it, read off shapes: what reverse mode keeps for the backward pass of one step, and how it is checkpointed."""

from __future__ import annotations

from typing import Any

from compare.errors import InputError
from compare.measure import example
from compare.settings import Settings, require_count
from compare.strategies import CHECKPOINTED
from compare.training import built
from diffcore.errors import MemoryBudgetError


def saved(settings: Settings, batch: int | None = None) -> Any:
    """Everything that `revdiff` keeps for the backward pass of the loss on a batch, a `revdiff.Saved`; no data are loaded, none made.

    `batch` is that of `settings` by default; there may be more examples in it than in the data set. Raises `InputError`.
    """
    import revdiff

    net, model = _built(settings), settings.model
    given = _given(settings, batch)
    return revdiff.saved(lambda net, *given: model.loss(revdiff.nn.functional, net, *given), net, *given)


def scheduled(settings: Settings, batch: int | None = None) -> Any:
    """The `revdiff.checkpointing.Schedule` by which the network is checkpointed within the memory of `settings`; no data are made.

    `batch` is as for `saved`. Raises `InputError`, also for a network that is no sequence of layers, and a budget that cannot be kept.
    """
    import revdiff

    net, (inputs, *_) = _built(settings), _given(settings, batch)
    memory = settings.budget_of(CHECKPOINTED)
    try:
        return revdiff.checkpoint_schedule(net, inputs, **({"schedule": "sqrt"} if memory is None else {"memory": memory}))
    except MemoryBudgetError as error:
        raise InputError(
            f"`memory` (={memory} bytes) is below what one segment needs for {settings.network} {settings.shape}:"
            f" at least {error.least} would do"
        ) from None
    except TypeError:
        raise InputError(f"network {settings.network!r} has no schedule: it is one layer, and not a sequence of some") from None


def _built(settings: Settings) -> Any:
    import revdiff

    return built(settings, revdiff, device="meta", dtype=settings.dtype)


def _given(settings: Settings, batch: int | None) -> list[Any]:
    """Inputs and targets, abstract."""
    import revdiff
    from diffcore.arrays.abstract import AbstractArray

    if batch is not None:
        batch = require_count("batch", batch, least=1)
    parts = example(settings, settings.dtype)
    return [revdiff.Tensor(AbstractArray((batch or settings.batch, *part.shape[1:]), part.dtype)) for part in parts]
