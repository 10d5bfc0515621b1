"""Optimizers over reverse-mode parameters; the same classes as in `dualdiff.optim`."""

from diffcore.optim import SGD, Optimizer

__all__ = ["SGD", "Optimizer"]
