"""Optimizers that need no engine; Newton's methods, which differentiate twice, are bound by each in its `optim`."""

from diffcore.optim.adadelta import Adadelta
from diffcore.optim.adagrad import Adagrad
from diffcore.optim.adam import Adam, AdamW
from diffcore.optim.adamax import Adamax
from diffcore.optim.nadam import NAdam
from diffcore.optim.optimizer import Optimizer
from diffcore.optim.proximal import ProximalSGD
from diffcore.optim.radam import RAdam
from diffcore.optim.rmsprop import RMSprop
from diffcore.optim.sgd import SGD

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
]
