"""What products of matrices take, from thin to square, one by one and many in a call."""

from __future__ import annotations

from functools import partial

import numpy as np

from compare.calibration.curves import Products, not_falling
from compare.calibration.stopwatch import Stopwatch, Taken

SIZES = {"float32": (1, 2, 6, 16, 48, 128, 512), "float64": (1, 6, 48, 512)}
"""Rows, columns and terms. Nearly all work is done in float32; the rest is told from fewer sizes."""
MANY = 256
SMALL, STACK = 48**3, 16
"""Multiply-adds up to which products are timed many in a call, and how many."""


def products(watch: Stopwatch, dtype: str) -> tuple[float, Products]:
    """Seconds of a call, as those of code are told, and of every product in it."""

    def stack(n: int) -> Taken:
        a, b, out = (np.ones((n, 2, 2), dtype) for _ in range(3))
        return watch.taken(lambda: np.matmul(a, b, out=out))

    single = stack(1)
    each = max(stack(MANY).beside(single.code) / (MANY - 1), 1e-9)
    call = max(single.code - each, 0.0)
    found: list[float] = []
    sizes = SIZES[dtype]
    for m in sizes:
        for n in sizes:
            for k in sizes:
                count = STACK if m * n * k <= SMALL else 1  # the call itself must not outweigh what is measured
                a, out = np.ones((count, m, k), dtype), np.ones((count, m, n), dtype)
                ways = (np.ones((count, k, n), dtype), np.ones((count, n, k), dtype).mT)  # as they lie, and with the second transposed
                taken = sum(watch.taken(partial(np.matmul, a, b, out=out), calm=False).beside(call) for b in ways) / len(ways)
                found.append(max(taken, each) / count)
    cube = np.array(found).reshape((len(sizes),) * 3)
    for axis in range(3):  # vectors, which come first, go by other routines than matrices
        matrices = np.moveaxis(cube, axis, -1)[..., 1:]
        matrices[...] = [[not_falling(line) for line in plane] for plane in matrices]
    return call, Products(list(sizes), cube.tolist())
