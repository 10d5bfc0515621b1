"""What numpy's functions take that walk arrays: per call, per inner loop, per element in the cache, and per byte out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import msgspec
import numpy as np

from compare.calibration.curves import Curve, rising
from compare.calibration.pace import slowed
from compare.calibration.stopwatch import Stopwatch, Taken

NEAR, FEWER, LOOPS = 2048, 1024, (8, 256)
"""Elements that lie in the first cache with what is made of them, elements that do so where half of the memory is gaps, and numbers of
inner loops that the latter are cut into."""
TRAFFIC = tuple(1 << n for n in range(15, 29))
"""Bytes that a call reads and writes, from the first cache to beyond the last."""
CORE, ROUND = 1 << 20, 1 << 26
"""Bytes of which a core finds most in its own cache again, and bytes that are touched before what is larger than that is touched again."""
PAGE, APART_IN_PAGE = 4096, 1344
"""Bytes of a page of memory, and how far apart within one the operands of a call lie."""
APART, SPREAD = 1 << 15, 32
"""Elements that are scattered over a large buffer, of how many one: each lies in a line of memory of its own."""
SCATTERED = ("gather", "scatter", "gather far", "scatter far", "draw")
"""Functions that take as long for every element wherever it lies."""
BUFFERS = tuple(1 << n for n in range(10, 28))
"""Bytes of new buffers."""


class Walk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of a function: a `call`, as those of code are told; where there are several inner loops to `walk` them, and each `loop`; an
    element.

    A loop in which an operand stands `still`, as a column does, takes longer. An element lies beside the last one, or apart (`strided`).
    """

    call: float
    walk: float
    loop: float
    still: float
    element: float
    strided: float


UFUNCS = (
    "negative absolute sign square reciprocal exp expm1 log log1p sqrt tanh sin cos isnan "
    "add subtract multiply divide maximum minimum power greater equal"
).split()
"""Ufuncs of floating numbers that are timed."""
SPECIAL = ("erf", "erfc")
"""Those of scipy's."""
OF_BITS = ("bitwise_and", "logical_and", "invert")
"""Ufuncs that are timed on whole numbers of as many bytes."""
LIKE = {
    **dict.fromkeys("not_equal less less_equal greater_equal".split(), "greater"),
    **dict.fromkeys("bitwise_or bitwise_xor left_shift right_shift logical_or logical_xor".split(), "bitwise_and"),
    **dict.fromkeys("exp2 sinh cosh arctan arcsin arccos tan".split(), "tanh"),
    **dict.fromkeys("log2 log10 arcsinh arccosh arctanh".split(), "log1p"),
    **dict.fromkeys("true_divide floor_divide remainder fmod".split(), "divide"),
    **dict.fromkeys("float_power arctan2 hypot logaddexp cbrt".split(), "power"),
    **dict.fromkeys("isfinite isinf logical_not signbit".split(), "isnan"),
    **dict.fromkeys("clip round isclose nan_to_num".split(), "clip"),
    **dict.fromkeys("minimum.reduce logical_or.reduce logical_and.reduce".split(), "maximum.reduce"),
    "minimum.reduce rows": "maximum.reduce rows",
    "multiply.reduce": "add.reduce",
    "multiply.reduce rows": "add.reduce rows",
    "argmax rows": "argmax",
    "fmax": "maximum",
    "fmin": "minimum",
    "roll": "copy",
}
"""Functions that take as long as another one, which is timed. Any that is not named here takes as long as `add`."""


def times(watch: Stopwatch, dtype: str) -> dict[str, Walk]:
    """Every function that is timed, on elements of `dtype`."""
    from scipy import special

    found: dict[str, Walk] = {}
    for name in UFUNCS:
        found[name] = _walk(watch, _ufunc(getattr(np, name), dtype), dtype)
    for name in SPECIAL:
        found[name] = _walk(watch, _ufunc(getattr(special, name), dtype), dtype)
    bits = {4: "int32", 8: "int64"}[np.dtype(dtype).itemsize]
    for name in OF_BITS:
        found[name] = _walk(watch, _ufunc(getattr(np, name), bits), bits)
    for name, program in _PROGRAMS.items():
        found[name] = _walk(watch, program, dtype)
    return found


def _ufunc(ufunc: Any, dtype: str) -> Callable[..., Any]:
    kind = np.dtype(dtype)
    made = ufunc.resolve_dtypes((*[kind] * ufunc.nin, None))[-1]
    if made != kind:
        return (lambda out, x, y: ufunc(x)) if ufunc.nin == 1 else (lambda out, x, y: ufunc(x, y))
    return (lambda out, x, y: ufunc(x, out=out)) if ufunc.nin == 1 else (lambda out, x, y: ufunc(x, y, out=out))


_PROGRAMS: dict[str, Callable[..., Any]] = {
    "where": lambda out, x, y: np.where(x > y, x, 0),
    "clip": lambda out, x, y: np.clip(x, 0.25, 0.75),
    "copy": lambda out, x, y: x.copy(),
    "put": lambda out, x, y: out.__setitem__(Ellipsis, x),
    "cast": lambda out, x, y: x.astype(np.int32),
    "fill": lambda out, x, y: np.full_like(out, 0.5),
    "add.reduce": lambda out, x, y: x.sum(axis=-1),
    "maximum.reduce": lambda out, x, y: x.max(axis=-1),
    "argmax": lambda out, x, y: x.argmax(axis=-1),
    "add.reduce rows": lambda out, x, y: x.sum(axis=0),
    "maximum.reduce rows": lambda out, x, y: x.max(axis=0),
    "add.accumulate": lambda out, x, y: np.add.accumulate(x, axis=-1),
}


def _walk(watch: Stopwatch, program: Callable[..., Any], dtype: str) -> Walk:
    """The numbers of a program of an array for the result and two operands, of which the first has gaps where there are several loops."""

    def taken(shape: tuple[int, ...], part: Any = ..., column: bool = False) -> Taken:
        x = _numbers(shape, dtype)[part]
        out, y = _numbers(x.shape, dtype, 1), _numbers(x.shape, dtype, 2)
        if column:
            y = y[:, :1]
        return watch.taken(lambda: program(out, x, y))

    call = taken((1, 4)).code
    near = _elements(taken((1, NEAR)), call)
    few, many = (_elements(taken((n, 2 * FEWER // n), (slice(None), slice(FEWER // n))), call) for n in LOOPS)
    columns = _elements(taken((LOOPS[1], FEWER // LOOPS[1]), column=True), call)
    apart = _elements(taken((1, 2 * FEWER), (slice(None), slice(None, None, 2))), call)
    element = max(near, 0.02 * call) / NEAR
    loop = max(many - few, 0.0) / (LOOPS[1] - LOOPS[0])
    walk = max(few - FEWER * element - LOOPS[0] * loop, 0.0)
    still = max((columns - walk - FEWER * element) / LOOPS[1], loop)
    return Walk(call, walk, loop, still, element, max(apart / FEWER, element))


def _elements(taken: Taken, call: float) -> float:
    """Seconds beside the call, as they are at the machine's best."""
    return taken.beside(call) / slowed("elements", taken.pace)


def _numbers(shape: tuple[int, ...], dtype: str, place: int = 0) -> Any:
    """Between 1/4 and 1, so that no function meets an exception; in no order. Operands of a call have different places.

    Some processors copy ten times as slowly where the result begins 16 bytes after what is copied, as counted within a page
    (https://sourceware.org/bugzilla/show_bug.cgi?id=30994). Arrays of whole pages lie so when they are made one after the other: those
    of a calibration often, those of a step hardly ever.
    """
    rng = np.random.default_rng(0)
    values = rng.integers(1, 100, shape, dtype) if dtype.startswith("int") else rng.uniform(0.25, 1, shape).astype(dtype)
    room = np.empty(values.nbytes + 2 * PAGE, np.uint8)
    start = -room.ctypes.data % PAGE + place * APART_IN_PAGE
    found = room[start : start + values.nbytes].view(dtype).reshape(shape)
    found[...] = values
    return found


def traffic(watch: Stopwatch) -> Curve:
    """Seconds per byte that a call reads and writes, by the bytes of all its operands.

    What is too large for a core's own cache has been left by others in between, as in a step: the calls take turns on `ROUND` bytes.
    """
    found = []
    for nbytes in TRAFFIC:
        count = ROUND // nbytes if nbytes > CORE else 1
        turns = cycle([[np.ones(nbytes // 12, np.float32) for _ in range(3)] for _ in range(max(count, 1))])

        def add(turns: Iterator[list[Any]] = turns) -> None:
            x, y, out = next(turns)
            np.add(x, y, out=out)

        taken = watch.taken(add, calm=False)
        found.append(taken.clock / (slowed("elements", taken.pace) if nbytes <= CORE else 1) / nbytes)
    return rising(TRAFFIC, found)


def buffers(watch: Stopwatch) -> Curve:
    """Seconds that a result takes more where its buffer is new, by bytes."""
    found = []
    for nbytes in BUFFERS:
        x = np.ones(nbytes // 4, np.float32)
        out = np.ones_like(x)
        anew, there = (watch.taken(partial(np.negative, x, out=each), calm=False).clock for each in (None, out))
        found.append(anew - there)
    return rising(BUFFERS, found, least=1e-9, beyond=1.0)


def scattered(watch: Stopwatch, dtype: str) -> dict[str, Walk]:
    """Gathers and scatters by positions, and random numbers."""
    rng = np.random.default_rng(0)
    x, index = _numbers((NEAR,), dtype), rng.permutation(NEAR)
    out, large = np.empty((NEAR,), dtype), _numbers((APART * SPREAD,), dtype)
    apart, values = np.arange(0, APART * SPREAD, SPREAD), _numbers((APART,), dtype)

    def both(program: Callable[[Any], Any], many: Any = index) -> Walk:
        few = many[:1]
        call = watch.seconds(lambda: program(few))
        element = max(_elements(watch.taken(lambda: program(many)), call), 0.02 * call) / len(many)
        return Walk(call, 0.0, 0.0, 0.0, element, element)

    return {
        "gather": both(lambda at: x[at]),
        "scatter": both(lambda at: out.__setitem__(at, x[: len(at)])),
        "gather far": both(lambda at: large[at], apart),
        "scatter far": both(lambda at: large.__setitem__(at, values[: len(at)]), apart),
        "draw": both(lambda at: rng.random(len(at), dtype=np.float32)),
    }


def fixed(watch: Stopwatch) -> dict[str, float]:
    """Seconds of calls that touch no elements, and of joining two arrays."""
    x, y = np.ones((4, 4), np.float32), np.ones((16,), np.float32)
    return {
        "view getitem": watch.seconds(lambda: x[1:3]),
        "view transpose": watch.seconds(lambda: y.reshape((4, 4))),
        "make": watch.seconds(lambda: np.empty_like(x, shape=(4, 4), order="C")),
        "concatenate": watch.seconds(lambda: np.concatenate((x, x))),
    }
