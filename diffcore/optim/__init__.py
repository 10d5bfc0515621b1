"""Optimizers, written once for both engines."""

from diffcore.optim.sgd import SGD, Optimizer

__all__ = ["SGD", "Optimizer"]
