"""Schedules given as functions of the epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diffcore.optim.lr_scheduler.scheduler import LRScheduler, checked_optimizer, notes_of
from diffcore.optim.optimizer import Optimizer

Function = Callable[[int], float]


class _OfFunctions(LRScheduler):
    """A schedule with a function for every parameter group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Function | Sequence[Function], last_epoch: int = -1) -> None:
        count = len(checked_optimizer(optimizer).param_groups)
        self.lr_lambdas: list[Any] = list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda] * count
        if len(self.lr_lambdas) != count:
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions; of callable objects what they hold."""
        return {**super().state_dict(), "lr_lambdas": [notes_of(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        given = self._checked(state_dict)
        notes = given.pop("lr_lambdas")
        if len(notes) != len(self.lr_lambdas):
            raise ValueError(f"Expected {len(self.lr_lambdas)} lr_lambdas, but got {len(notes)}")
        vars(self).update(given)
        for function, held in zip(self.lr_lambdas, notes, strict=True):
            if held is not None:
                vars(function).update(held)


class LambdaLR(_OfFunctions):
    """`lr = lr_0 * lr_lambda(epoch)`.

    **Arguments:** `lr_lambda`: a function, or a list with one for every parameter group. Functions are not saved; callable objects are.
    """

    def get_lr(self) -> list[Any]:
        return [rate * function(self.last_epoch) for function, rate in zip(self.lr_lambdas, self.base_lrs, strict=True)]

    def _initial_lr(self) -> list[Any]:
        return self.get_lr()


class MultiplicativeLR(_OfFunctions):
    """The rates times `lr_lambda(epoch)` in every epoch but the first; arguments as for `LambdaLR`."""

    def get_lr(self) -> list[Any]:
        return [rate * function(self.last_epoch) for function, rate in zip(self.lr_lambdas, self._rates, strict=True)]
