"""Optimizers over forward-mode parameters; the same classes as in `revdiff.optim`."""

from diffcore.optim import SGD, Optimizer

__all__ = ["SGD", "Optimizer"]
