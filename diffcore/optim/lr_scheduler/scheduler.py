"""`LRScheduler`: a learning rate for every epoch, written into the parameter groups of an optimizer."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from diffcore.errors import ArgumentError
from diffcore.optim.optimizer import Optimizer
from diffcore.whole import whole

_OF_TORCH = frozenset(("_get_lr_called_within_step", "_is_initial", "verbose"))
"""What PyTorch's schedules write down beside what is needed to go on."""


class LRScheduler:
    """Base of schedules. Each `step` sets the learning rate of every parameter group for the epoch that begins.

    **Arguments:** `optimizer`: whose rates are set, to those of epoch 0 at once; `last_epoch`: the epoch to go on from, where the groups
    still hold the `initial_lr` of an earlier run. An epoch is whatever lies between two steps.

    Raises `TypeError` for what is no optimizer, `KeyError` where `initial_lr` is wanted and missing.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"param 'initial_lr' is not specified in param_groups[{number}] when resuming an optimizer")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._begin()

    def _begin(self) -> None:
        """Set the rates of the first epoch."""
        self._step_count = 1
        self._set_epoch(self.last_epoch + 1, initial=True)

    @property
    def _rates(self) -> list[Any]:
        """The rates as they are."""
        return self.optimizer.rates

    def get_lr(self) -> list[Any]:
        """The rates of epoch `last_epoch`, given those of the epoch before, which the groups hold."""
        raise NotImplementedError

    def _initial_lr(self) -> list[Any]:
        """The rates to begin with: those of the groups, unless the schedule starts elsewhere."""
        return self._rates

    def _closed_lr(self) -> list[Any]:
        """The rates of epoch `last_epoch`, given those that the schedule began with; where there is no such formula, as `get_lr`."""
        return self.get_lr()

    def get_last_lr(self) -> list[Any]:
        """The rates that were set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch (of `epoch`, where it is given). Warns where the optimizer has made no step yet."""
        if self._step_count == 1 and not self.optimizer.has_stepped:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In the opposite order the first learning rate is used.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is None:
            self._set_epoch(self.last_epoch + 1)
        else:
            self._jump(epoch)

    def _jump(self, epoch: int) -> None:
        """Set the rates of `epoch`, whatever came before."""
        self.last_epoch = epoch
        self._write(self._closed_lr())

    def _set_epoch(self, epoch: int, initial: bool = False) -> None:
        self.last_epoch = epoch
        self._write(self._initial_lr() if initial else self.get_lr())

    def _write(self, rates: list[Any]) -> None:
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: the optimizer has {len(groups)} parameter groups, and had {len(rates)} when the schedule was made"
            )
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = self._rates

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions, under PyTorch's names."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` of a schedule of this class said, here or in PyTorch.

        The rates themselves come back with the optimizer's `load_state_dict`. Raises `ArgumentError` (a `ValueError`) that names missing
        and unexpected entries; then nothing has changed.
        """
        vars(self).update(self._checked(state_dict))

    def _checked(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        own, given = self.state_dict(), {name: value for name, value in state_dict.items() if name not in _OF_TORCH}
        problems = [f"Missing key(s): {', '.join(missing)}." for missing in [[repr(n) for n in own if n not in given]] if missing]
        problems += [f"Unexpected key(s): {', '.join(extra)}." for extra in [[repr(n) for n in given if n not in own]] if extra]
        if problems:
            raise ArgumentError(f"Error(s) in loading state_dict for {type(self).__name__}: {' '.join(problems)}")
        return given


def checked_optimizer(optimizer: Any) -> Optimizer:
    """`optimizer`, which must be one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """`value`, or one value for each parameter group from a list."""
    if not isinstance(value, list | tuple):
        return [value] * len(optimizer.param_groups)
    if len(value) != len(optimizer.param_groups):
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups has "
            f"{len(optimizer.param_groups)}."
        )
    return list(value)


def checked_count(kind: str, name: str, value: Any, least: int = 1) -> int:
    """`value` as an integer. Raises `ValueError` unless it is a whole number of at least `least`."""
    found = whole(value, least)
    if found is None:
        raise ValueError(f"{kind}: `{name}` (={value!r}) must be {'a positive integer' if least else 'an integer, 0 or more'}")
    return found


def notes_of(function: Callable[..., Any]) -> dict[str, Any] | None:
    """What a callable object holds, to be saved with a schedule; `None` for a plain function."""
    return None if isinstance(function, types.FunctionType | types.BuiltinFunctionType) else dict(vars(function))
