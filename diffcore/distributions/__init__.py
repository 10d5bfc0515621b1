"""Probability distributions under PyTorch's names, for the tensors of both engines."""

from diffcore.distributions import multinomial
from diffcore.distributions.multinomial import Multinomial

__all__ = ["Multinomial", "multinomial"]
