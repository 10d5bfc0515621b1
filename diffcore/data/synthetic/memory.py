"""Tasks that need a long memory: what came early is asked for late."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcore.data.checking import check_whole, float_dtype, generator_of

Seed = int | np.random.Generator | None
Array = NDArray[Any]


def copy_problem(n: int = 1000, length: int = 10, delay: int = 20, symbols: int = 8, *, seed: Seed = None) -> tuple[Array, Array]:
    """Repeat, after a pause, what was said before it.

    An input is `length` symbols drawn from 0 to `symbols - 1`, then `delay - 1` blanks (token `symbols`), one signal to begin (token
    `symbols + 1`) and `length` blanks. The target is `length + delay` blanks, then the symbols. So there are `symbols + 2` tokens, and
    `delay=1` has no pause. A model without memory has a loss of `length ln(symbols) / (2 length + delay)`.

    Returns inputs and targets, both `[n, 2 length + delay]` (int64). Source: Hochreiter and Schmidhuber 1997, "Long short-term memory", in
    the form of Arjovsky, Shah and Bengio 2016, "Unitary evolution recurrent neural networks".
    """
    n, length, delay, symbols = (
        check_whole("copy_problem", name, value) for name, value in (("n", n), ("length", length), ("delay", delay), ("symbols", symbols))
    )
    said = generator_of(seed).integers(0, symbols, (n, length))
    inputs = np.full((n, 2 * length + delay), symbols, np.int64)
    targets = inputs.copy()
    inputs[:, :length] = said
    inputs[:, length + delay - 1] = symbols + 1
    targets[:, length + delay :] = said
    return inputs, targets


def adding_problem(n: int = 1000, length: int = 50, *, dtype: Any = np.float32, seed: Seed = None) -> tuple[Array, Array]:
    """Add the two marked numbers of a sequence.

    Of the two channels of an input the first is uniform in [0, 1), the second 0 but for a 1 at one random step of each half. The target is
    the sum of the two marked numbers. Always answering 1 has a mean squared error of 1/6.

    Returns inputs `[n, length, 2]` (batch, time, channel) and targets `[n, 1]`. Source: Hochreiter and Schmidhuber 1997, "Long short-term
    memory", in the form of Arjovsky, Shah and Bengio 2016.
    """
    n, length = check_whole("adding_problem", "n", n), check_whole("adding_problem", "length", length, 2)
    dtype, generator = float_dtype("adding_problem", dtype), generator_of(seed)
    inputs = np.zeros((n, length, 2))
    inputs[:, :, 0] = generator.random((n, length))
    first, second = generator.integers(0, length // 2, n), generator.integers(length // 2, length, n)
    rows = np.arange(n)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1
    targets = inputs[rows, first, 0] + inputs[rows, second, 0]
    return inputs.astype(dtype), targets[:, None].astype(dtype)
