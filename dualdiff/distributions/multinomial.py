"""The multinomial distribution; the same class for both engines."""

from diffcore.distributions.multinomial import Multinomial

__all__ = ["Multinomial"]
