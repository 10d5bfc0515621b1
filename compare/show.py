"""What a network has about it, read off shapes: what reverse mode keeps for the backward pass of one step."""

from __future__ import annotations

from typing import Any

from compare.measure import example
from compare.settings import Settings, require_count
from compare.training import built


def saved(settings: Settings, batch: int | None = None) -> Any:
    """Everything that `revdiff` keeps for the backward pass of the loss on a batch, a `revdiff.Saved`; no data are loaded, none made.

    `batch` is that of `settings` by default; there may be more examples in it than in the data set. Raises `InputError`.
    """
    import revdiff
    from diffcore.arrays.abstract import AbstractArray

    if batch is not None:
        require_count("batch", batch, least=1)
    net, model = built(settings, revdiff, device="meta", dtype=settings.dtype), settings.model
    parts = example(settings, settings.dtype)
    given = [revdiff.Tensor(AbstractArray((batch or settings.batch, *part.shape[1:]), part.dtype)) for part in parts]
    return revdiff.saved(lambda net, *given: model.loss(revdiff.nn.functional, net, *given), net, *given)
