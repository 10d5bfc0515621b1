"""Schedules along a cosine: once, with warm restarts, and the one-cycle policy."""

from __future__ import annotations

import math
from typing import Any

from diffcore.optim.lr_scheduler.scheduler import LRScheduler, checked_count, checked_optimizer, per_group
from diffcore.optim.optimizer import Optimizer
from diffcore.whole import whole


class CosineAnnealingLR(LRScheduler):
    """`lr = eta_min + (lr_0 - eta_min) (1 + cos(pi epoch / T_max)) / 2`.

    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts". Raises `ValueError` for a `T_max` that is no
    positive integer.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = checked_count("CosineAnnealingLR", "T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        epoch, period, least = self.last_epoch, self.T_max, self.eta_min
        if self._step_count == 1 and epoch > 0:
            return self._closed_lr()
        if (epoch - 1 - period) % (2 * period) == 0:
            rise = (1 - math.cos(math.pi / period)) / 2
            return [rate + (base - least) * rise for base, rate in zip(self.base_lrs, self._rates, strict=True)]
        factor = (1 + math.cos(math.pi * epoch / period)) / (1 + math.cos(math.pi * (epoch - 1) / period))
        return [factor * (rate - least) + least for rate in self._rates]

    def _closed_lr(self) -> list[Any]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (rate - self.eta_min) * height for rate in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """`lr = eta_min + (lr_0 - eta_min) (1 + cos(pi T_cur / T_i)) / 2`, begun anew after `T_i = T_0, T_0 T_mult, T_0 T_mult^2, ...` epochs.

    `step(epoch)` may be given fractions of an epoch.
    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts". Raises `ValueError` for numbers of epochs
    below 1.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        first, times = whole(T_0, least=1), whole(T_mult, least=1)
        if first is None:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if times is None:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0, self.T_i, self.T_mult, self.eta_min = first, first, times, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (rate - self.eta_min) * height for rate in self.base_lrs]

    def _set_epoch(self, epoch: int, initial: bool = False) -> None:
        if initial:
            return self._jump(epoch)
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur %= self.T_i
            self.T_i *= self.T_mult
        self.last_epoch = math.floor(epoch)
        return self._write(self.get_lr())

    def _jump(self, epoch: float) -> None:
        if epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            if self.T_mult == 1:
                self.T_cur %= self.T_0
            else:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        self.last_epoch = math.floor(epoch)
        self._write(self.get_lr())


class OneCycleLR(LRScheduler):
    """Up from `max_lr / div_factor` to `max_lr`, then down to `max_lr / div_factor / final_div_factor`; momentum the other way.

    **Arguments:** `total_steps`, or `epochs` and `steps_per_epoch`: how many steps the cycle has; `pct_start`: the part of them that goes
    up; `anneal_strategy`: `"cos"` or `"linear"`; `cycle_momentum`: move `momentum` (or the first of `betas`) between `base_momentum` and
    `max_momentum`; `three_phase`: come down as long as up, and then to the end. To be stepped after every batch.
    Smith and Topin 2019, "Super-convergence". Raises `ValueError` for arguments out of range, and for a step beyond the last.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        checked_optimizer(optimizer)
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch} if total_steps is None else {"total_steps": total_steps}
        counts: list[int] = []
        for name, value in given.items():
            count = whole(value, least=1)
            if count is None:
                raise ValueError(f"Expected positive integer {name}, but got {value}")
            counts.append(count)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.total_steps = math.prod(counts)
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.use_beta1 = "betas" in optimizer.defaults
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if last_epoch == -1:
            self._prepare(
                optimizer,
                per_group("max_lr", optimizer, max_lr),
                (per_group("base_momentum", optimizer, base_momentum), per_group("max_momentum", optimizer, max_momentum)),
                (div_factor, final_div_factor),
            )
        super().__init__(optimizer, last_epoch)

    def _prepare(
        self, optimizer: Optimizer, tops: list[float], momenta: tuple[list[float], list[float]], factors: tuple[float, float]
    ) -> None:
        """Write the ends of the cycle into the groups."""
        for group, top, low, high in zip(optimizer.param_groups, tops, *momenta, strict=True):
            first = top / factors[0]
            group |= {"initial_lr": first, "max_lr": top, "min_lr": first / factors[1]}
            if self.cycle_momentum:
                group |= {"max_momentum": high, "base_momentum": low}

    def get_lr(self) -> list[Any]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                part = (step - start) / (phase["end_step"] - start)
                break
            start = phase["end_step"]
        for group in self.optimizer.param_groups:
            if self.cycle_momentum:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], part)
                group.update({"betas": (momentum, *group["betas"][1:])} if self.use_beta1 else {"momentum": momentum})
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], part) for group in self.optimizer.param_groups]

    def _initial_lr(self) -> list[Any]:
        return self.get_lr()

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)


def _phases(total: int, rising: float, three: bool) -> list[dict[str, Any]]:
    """Where each phase of a cycle ends, and between which of a group's notes it leads."""
    up = {"end_step": rising * total - 1, "start_lr": "initial_lr", "end_lr": "max_lr"}
    up |= {"start_momentum": "max_momentum", "end_momentum": "base_momentum"}
    down = {"end_step": total - 1, "start_lr": "max_lr", "end_lr": "min_lr"}
    down |= {"start_momentum": "base_momentum", "end_momentum": "max_momentum"}
    if not three:
        return [up, down]
    last = {"end_step": total - 1, "start_lr": "initial_lr", "end_lr": "min_lr"}
    last |= {"start_momentum": "max_momentum", "end_momentum": "max_momentum"}
    return [up, {**down, "end_step": 2 * rising * total - 2, "end_lr": "initial_lr"}, last]
