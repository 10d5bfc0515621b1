"""Optimizers over forward-mode parameters; the same classes as in `revdiff.optim`."""

from diffcore.optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, ProximalSGD, RAdam, RMSprop
from dualdiff.optim import lr_scheduler

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "ProximalSGD",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
]
