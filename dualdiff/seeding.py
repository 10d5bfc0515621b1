"""Seeds: what the directions of a tangent stand for, and the sites and windows through which they are planted.

- `Directions`: directions given from outside (`jvp`, `forward_gradient`).
- `Variable`: one direction per element of a variable (the textbook's `n x m`).
- `Site`: one direction per feature of a kernel's *result*, shared by all examples (axis 0). Where the kernel is linear in a
  variable, the derivative with respect to the result is turned into the variable's at the end by the kernel's own adjoint:
  `d` directions instead of `d_in * d_out`. Exact as long as later kernels keep examples apart.

A window restricts a seed to some of its directions, so that a memory budget can be kept by running in chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from diffcore.dispatch import clock
from diffcore.errors import GradientError
from diffcore.hooks import called
from diffcore.kernels.record import Call
from diffcore.tensor import accumulated

Window = tuple[int, int]
Key = tuple[str, int]


class LeftPlan(GradientError):
    """A function met a seed that it did not meet when its runs were planned."""


class Seed:
    """A group of directions. `lead` is the number of direction axes of its dense tangents: 0 for a single direction, else 1."""

    __slots__ = ()
    lead = 1
    examples = False
    """Whether direction `f` stands for feature `f` of every example, rather than for one element."""


class Directions(Seed):
    """Directions given from outside; one (`lead` 0) or several."""

    __slots__ = ("lead",)

    def __init__(self, lead: int) -> None:
        self.lead = lead


class Variable(Seed):
    """One direction per element of a variable of shape `shape`, or per element of `window` in row-major order.

    `whole` is the same variable with all its directions: what is collected from sites has them all, whatever the window.
    `gradient` is where an imperative backward pass delivers, in `dtype`.
    """

    __slots__ = ("_hooks", "_whole", "dtype", "gradient", "key", "rows", "seeding", "shape", "window")

    def __init__(self, shape: tuple[int, ...], seeding: Seeding, key: Key, whole: Variable | None = None, dtype: Any = None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.seeding = seeding
        self.key = key
        self.window = (0, math.prod(shape)) if whole is None else seeding.window(key, math.prod(shape))
        self.rows = slice(*(self.window or (0, 0)))
        self._whole = whole
        self.gradient: Any = None
        self._hooks: dict[int, Callable[[Any], Any]] | None = None

    @property
    def hooks(self) -> dict[int, Callable[[Any], Any]]:
        """What users registered to be called with the gradient that an imperative backward pass delivers."""
        if self._hooks is None:
            self._hooks = {}
        return self._hooks

    def hooked(self, gradient: Any) -> Any:
        """`gradient` after the hooks have seen it."""
        return called(self._hooks, gradient) if self._hooks else gradient

    def receive(self, gradient: Any) -> None:
        """Add a gradient that a backward pass delivers, after the hooks have seen it."""
        self.gradient = accumulated(self.gradient, self.hooked(gradient))

    @property
    def whole(self) -> Variable:
        """The same variable with all its directions. (Not an attribute: a seed that refers to itself would wait for the collector.)"""
        return self._whole or self

    def is_active(self) -> bool:
        """Whether tangents in these directions are carried in this run; asked when the variable is used other than at a site."""
        if self._whole is not None:
            self.seeding.note(self.key, math.prod(self.shape))
        return self.window is not None


class Features(Variable):
    """The directions of a variable with examples along axis 0, one per feature, which all examples share. `shape` is that of one example.

    A kernel that mixes examples is an error.
    """

    __slots__ = ()
    examples = True


class Elements(Variable):
    """The directions of a variable of which each is to touch one element to the end. A kernel that does not keep that is an error."""

    __slots__ = ()


class Spread(Seed):
    """The directions of `variable` where an elementwise kernel has broadcast it to many rows: direction `f` is feature `f` of every row.

    There the variable's diagonal stays one, with the rows for examples. Where these mix, its directions are dense as they would have been.
    """

    __slots__ = ("variable",)
    examples = True

    def __init__(self, variable: Variable) -> None:
        self.variable = variable

    @property
    def rows(self) -> slice:
        return self.variable.rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spread) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash((Spread, self.variable))


class Site(Seed):
    """Directions on the result of `call`: one per feature (axes after the first), or per element where there is no batch.

    `targets` lists (operand position, variable) of what is collected at the end, `time` is when it was planted.
    """

    __slots__ = ("call", "examples", "rows", "size", "targets", "time", "window")

    def __init__(self, call: Call, targets: list[tuple[int, Variable]], window: Window, size: int, examples: bool) -> None:
        self.call = call
        self.targets = targets
        self.window = window
        self.rows = slice(*window)
        self.size = size
        self.examples = examples
        self.time = next(clock)


def features_of(shape: tuple[int, ...]) -> tuple[int, bool]:
    """Number of directions a site on a result of `shape` needs, and whether examples share them."""
    if len(shape) > 1 and shape[0] > 1:
        return math.prod(shape[1:]), True
    return math.prod(shape), False


class Seeding:
    """How the variables of one level are seeded.

    `mode` is `"parameters"`, `"activations"` or `"auto"` (per site, whichever needs fewer directions). `windows` names the directions
    of this run; `None` means all. `sizes` records, in order, every seed planted and its number of directions, which is what
    chunks are cut from. `known` are the seeds that the plan met, with their sizes: meeting another would lose its derivative, and raises.
    """

    __slots__ = ("_sites", "known", "mode", "sizes", "windows")
    MODES = ("auto", "activations", "parameters")

    def __init__(
        self,
        mode: str = "auto",
        windows: dict[Key, Window] | None = None,
        *,
        planning: bool = False,
        known: Mapping[Key, int] | None = None,
    ) -> None:
        self.mode = mode
        self.windows = windows
        self.known = known
        self.sizes: dict[Key, int] | None = {} if planning else None
        self._sites = 0

    def window(self, key: Key, size: int) -> Window | None:
        """The directions of seed `key` in this run, `None` for none."""
        if self.windows is None:
            return (0, size)
        return self.windows.get(key)

    def note(self, key: Key, size: int) -> None:
        """Seed `key` of `size` directions is in use. Raises `LeftPlan` when the plan did not meet it."""
        if self.known is not None and size and self.known.get(key) != size:
            raise LeftPlan(
                f"memory=...: the function took another path than when it was planned on abstract arrays (it now uses {key[0]} {key[1]}): "
                f"leave `memory` out for functions that look at values"
            )
        if self.sizes is not None:
            self.sizes[key] = size

    def prefers_site(self, features: int, elements: int) -> bool:
        """Whether `features` directions on a result are to replace `elements` directions on variables."""
        return self.mode == "activations" or self.mode == "auto" and features <= elements

    def next_site(self, size: int) -> Window | None:
        """The window of the next site, in program order, which has `size` directions."""
        key = ("site", self._sites)
        self._sites += 1
        self.note(key, size)
        return self.window(key, size)


IMPERATIVE = Seeding("auto")
"""Seeding of the imperative level: per site by the number of directions, all at once."""
