"""Probability distributions; the same classes for both engines."""

from dualdiff.distributions import multinomial
from dualdiff.distributions.multinomial import Multinomial

__all__ = ["Multinomial", "multinomial"]
