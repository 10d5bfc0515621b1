"""How the operands of a scenario are drawn: each maker takes shapes and returns a function of a generator."""

import numpy as np


def normal(*shapes):
    return lambda rng: tuple(np.asarray(rng.standard_normal(s)) for s in shapes)


def positive(*shapes):
    """In [0.5, 2]."""
    return lambda rng: tuple(np.asarray(rng.uniform(0.5, 2, s)) for s in shapes)


def within(low, high):
    """A maker of operands in [low, high]."""
    return lambda *shapes: lambda rng: tuple(np.asarray(rng.uniform(low, high, s)) for s in shapes)


def away(*shapes):
    """Of either sign, and at least 0.3 away from 0."""
    return lambda rng: tuple(np.asarray(rng.choice([-1.0, 1.0], s) * rng.uniform(0.3, 1.5, s)) for s in shapes)


def distinct(*shapes):
    """All elements of all operands at least 0.15 apart, so that no maximum is near a tie."""

    def draw(rng):
        sizes = [int(np.prod(s)) for s in shapes]
        values = 0.15 * (rng.permutation(sum(sizes)) - sum(sizes) / 3)
        return tuple(part.reshape(s) for part, s in zip(np.split(values, np.cumsum(sizes)[:-1]), shapes, strict=True))

    return draw


def apart(*shapes):
    """Of either sign, magnitudes at least 0.15 apart and at least 0.3 away from 0."""

    def draw(rng):
        return tuple(rng.choice([-1.0, 1.0], s) * (0.3 + 0.15 * rng.permutation(int(np.prod(s))).reshape(s)) for s in shapes)

    return draw


def exactly(*values):
    return lambda rng: tuple(np.array(v, float) for v in values)


def joined(*samples):
    """The operands of several samples in a row."""
    return lambda rng: tuple(x for sample in samples for x in sample(rng))


def classes(shape, count):
    return lambda rng: (rng.integers(0, count, shape),)


def mask(shape):
    return lambda rng: (rng.random(shape) < 0.5,)


def whole(*shapes, low=-4, high=5):
    """Integers in [low, high)."""
    return lambda rng: tuple(np.asarray(rng.integers(low, high, s)) for s in shapes)
