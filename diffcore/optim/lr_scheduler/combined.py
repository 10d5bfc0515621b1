"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from diffcore.optim.lr_scheduler.plateau import ReduceLROnPlateau
from diffcore.optim.lr_scheduler.scheduler import LRScheduler
from diffcore.optim.optimizer import Optimizer


class _Combined(LRScheduler):
    """A schedule that hands on to others."""

    _schedulers: list[LRScheduler]

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        kind = type(self).__name__
        if not schedulers:
            raise ValueError(f"{kind} expects at least one scheduler, but got no scheduler.")
        for index, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{kind} at index {index} should be a scheduler, got {type(scheduler).__name__}.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{kind} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be specified when calling "
                    f"`step`, but got one at index {index} in the given schedulers sequence."
                )
            optimizer = scheduler.optimizer if optimizer is None else optimizer
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{kind} expects all schedulers to belong to the same optimizer, but {type(scheduler).__name__} at index {index} "
                    f"belongs to another."
                )
        self._schedulers = list(schedulers)
        self.optimizer = schedulers[0].optimizer

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        given = self._checked(state_dict)
        states = given.pop("_schedulers")
        if len(states) != len(self._schedulers):
            raise ValueError(f"{type(self).__name__}: the state is of {len(states)} schedulers, {len(self._schedulers)} expected")
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler._checked(state)
        vars(self).update(given)
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Combined):
    """One schedule after the other: the next begins, at its epoch 0, at each of the `milestones`.

    **Arguments:** `schedulers`: schedules of `optimizer`; `milestones`: the epochs at which they change, one less than there are schedules.
    Raises `ValueError` where these numbers do not fit, and for schedules of another optimizer.
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got "
                f"number of schedulers {len(schedulers)} and the number of milestones to be equal to {len(milestones)}"
            )
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in schedulers:  # each made the first step when it was made
            _step_back(scheduler)
        first = schedulers[bisect_right(self._milestones, 0)]
        first._begin()
        self._last_lr = first.get_last_lr()

    def _begin(self) -> None:
        self._schedulers[0]._begin()

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._jump(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Combined):
    """All `schedulers` at once: each changes the rates that the one before it has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = self._rates

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch."""
        for scheduler in self._schedulers:
            scheduler.step(epoch)
        self._last_lr = self._rates


def _step_back(scheduler: LRScheduler) -> None:
    if isinstance(scheduler, _Combined):
        for part in scheduler._schedulers:
            _step_back(part)
    else:
        scheduler.last_epoch -= 1
