"""Probability distributions; the same classes for both engines."""

from revdiff.distributions import multinomial
from revdiff.distributions.multinomial import Multinomial

__all__ = ["Multinomial", "multinomial"]
