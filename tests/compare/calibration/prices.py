"""Calibrations of round numbers."""

from compare.calibration import Calibration
from compare.calibration.curves import Curve, Products
from compare.calibration.model import VERSION
from compare.calibration.store import this_machine
from compare.calibration.walks import Walk

SIZES = [1, 2, 8, 64]
US = 1e-6


def walk(scale=1.0):
    return Walk(call=1 * US * scale, walk=0.5 * US, loop=0.01 * US, still=0.02 * US, element=1e-9 * scale, strided=3e-9 * scale)


def made(**changes):
    """A calibration of round numbers: products at a multiply-add per nanosecond, but no less than 10 ns."""
    seconds = [[[max(m * n * k, 10) * 1e-9 for k in SIZES] for n in SIZES] for m in SIZES]
    operations = {"make": 1, "concatenate": 2, "record": 3, "push": 10, "site": 20, "update": 5, "turn": 7, "chain": -1}
    operations |= {"step revdiff": 40, "step dualdiff": 90, "checkpoint": 30, "segment": 50, "segment again": 8}
    operations |= {"view getitem": 0.2, "view transpose": 0.3, "kernel tanh": 2, "op tanh": 1, "pullback tanh": 4, "pushforward tanh": 6}
    names = ("add", "where", "copy", "put", "gather", "scatter", "draw", "add.reduce", "maximum")
    walks = {name: walk() for name in names} | {"exp": walk(4.0), "scatter far": walk(8.0), "gather far": walk(6.0)}
    given = {
        "version": VERSION,
        "machine": this_machine(),
        "created": "2026-01-01T00:00:00+00:00",
        "took": 12.0,
        "gauge": 60 * US,
        "pace": 1.0,
        "walks": {"float32": walks, "float64": walks},
        "traffic": Curve([1e4, 1e6], [1e-11, 1e-10]),
        "buffers": Curve([1e3, 1e6], [1e-7, 1e-4], beyond=1.0),
        "call": 2 * US,
        "products": {"float32": Products(SIZES, seconds)},
        "operations": {name: value * US for name, value in operations.items()},
    }
    assert not Calibration(**given).lack
    return Calibration(**(given | changes))
