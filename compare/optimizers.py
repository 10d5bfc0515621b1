"""The optimizers that a run may name: written in `diffcore.optim`, made here from the settings of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

OPTIMIZERS = {
    "sgd": "SGD",
    "nesterov": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
}
"""Every optimizer by the name the command line knows it by, and the class in `engine.optim` that it is."""

WITH_MOMENTUM = ("sgd", "nesterov", "rmsprop")
"""Those that `momentum` is for; the others have moments of their own."""


def make(engine: Any, name: str, parameters: Iterable[Any], *, lr: float, momentum: float) -> Any:
    """The optimizer `name` of `engine` for `parameters`; what is not named is as in PyTorch."""
    options: dict[str, Any] = {"lr": lr}
    if name in WITH_MOMENTUM:
        options["momentum"] = momentum
    if name == "nesterov":
        options["nesterov"] = True
    return getattr(engine.optim, OPTIMIZERS[name])(parameters, **options)


def described(name: str, *, lr: float, momentum: float) -> str:
    """The optimizer and its numbers, for people: `SGD, lr 0.1, momentum 0.9`."""
    title = "SGD with Nesterov momentum" if name == "nesterov" else OPTIMIZERS[name]
    return f"{title}, lr {lr:g}" + (f", momentum {momentum:g}" if name in WITH_MOMENTUM else "")
