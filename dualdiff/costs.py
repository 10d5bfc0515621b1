"""Which variables take directions of their own, and which are seeded at sites, by what either costs to carry to the end.

The function runs once on abstract arrays, whose operations a ledger counts. What a direction costs in an operation is what the
operation costs, and one pass over its result. A seed pays that times its directions from where its tangent stops being diagonal; where
directions merge it has fewer, where a kernel mixes examples it has those of its variables. A variable that is used at many sites pays for
all of them in the one case, and once in the other: the directions of a weight that is used at every step of a sequence are the more,
the longer the sequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from diffcore.arrays import is_float
from diffcore.dispatch import new_level
from diffcore.kernels.record import Kernel
from diffcore.ledger import Deed
from diffcore.recalled import Recalled, Unbooked
from diffcore.transforms import Arguments
from dualdiff import pushing
from dualdiff.seeding import Key
from dualdiff.sites import features_of
from dualdiff.tensor import Tensor

Shape = tuple[int, ...]


class _Site:
    """A site that could be planted: the variables behind it, and what carrying its directions costs."""

    __slots__ = ("cost", "elements", "targets")

    def __init__(self, targets: list[Key], elements: int) -> None:
        self.targets, self.elements, self.cost = targets, elements, 0


class _Carried:
    """How many directions of a site a tensor carries, whether they are diagonal, and where the examples lie (`None`: each for itself)."""

    __slots__ = ("axis", "diagonal", "directions")

    def __init__(self, directions: int, diagonal: bool, axis: int | None) -> None:
        self.directions, self.diagonal, self.axis = directions, diagonal, axis


class _Operations(Unbooked):
    """A ledger of the number of operations alone."""

    operations = 0

    def redo(self, deed: Deed) -> None:
        if deed.booked:
            self.book(deed.flops, deed.transcendentals)

    def book(self, flops: int, transcendentals: int) -> None:
        if not self._nominal:
            self.operations += (flops + transcendentals) * self.repeats

    def book_product(self, flops: int) -> None:
        self.book(flops, 0)


class _Trace:
    """One abstract run: sites, and per variable its number of elements and what carrying as many directions costs."""

    def __init__(self, ledger: _Operations) -> None:
        self.ledger = ledger
        self.sites: list[_Site] = []
        self.elements: dict[Key, int] = {}
        self.costs: dict[Key, int] = {}
        self._counted = 0

    def spent(self) -> int:
        """Operations since it was last asked."""
        total = self.ledger.operations
        since, self._counted = total - self._counted, total
        return since


class _Reach:
    """What a tensor depends on: variables that are fresh, variables by their own directions, and sites."""

    __slots__ = ("fresh", "sites", "trace", "variables")

    def __init__(self, trace: _Trace) -> None:
        self.trace = trace
        self.fresh: set[Key] = set()
        self.variables: set[Key] = set()
        self.sites: dict[_Site, _Carried] = {}


class _Costed(Tensor):
    """A tensor of the abstract run."""

    __slots__ = ()

    @staticmethod
    def follow(kernel: Kernel, primals: list[Any], carried: list[Any], mask: int, out: Any, aux: Any, params: dict[str, Any]) -> Any:
        if kernel.pushforward is None or not pushing.mode.enabled or not is_float(out.dtype):
            return None
        shapes = tuple(getattr(x, "shape", ()) for x in primals)
        trace = next(reach for reach in carried if reach is not None).trace
        result, shape = _Reach(trace), tuple(out.shape)
        cost = trace.spent() + math.prod(shape)
        targets: list[Key] = []
        for i, reach in enumerate(carried):
            if reach is None:
                continue
            for key in reach.fresh:
                if kernel.keeps_order:
                    result.fresh.add(key)
                elif i in kernel.sites and (not kernel.partials or shapes[i] != shape):
                    targets.append(key)
                else:
                    result.variables.add(key)
            result.variables |= reach.variables
            for site, before in reach.sites.items():
                after = _pushed(kernel, i, shapes, shape, params, site, before, cost)
                known = result.sites.get(site)
                result.sites[site] = after if known is None or known.diagonal else known
        result.variables.update(targets)
        for key in result.variables:
            trace.costs[key] += trace.elements[key] * cost
        size, examples = features_of(shape)
        elements = sum(trace.elements[key] for key in targets)
        if targets and math.prod(shape) > 1 and not (kernel.partials and size > elements):
            site = _Site(targets, elements)
            trace.sites.append(site)
            result.sites[site] = _Carried(size, True, 0 if examples else None)
        if math.prod(shape) == 1 and kernel.pullback is not None:
            result.sites = {}  # collected
        return result


_Costed.box = _Costed


def _pushed(
    kernel: Kernel, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any], site: _Site, before: _Carried, cost: int
) -> _Carried:
    """What becomes of a site's directions in one operation, whose cost they pay."""
    directions, axis = before.directions, before.axis
    size = math.prod(shape[1:]) if axis is not None else math.prod(shape)
    after = axis
    if axis is not None:
        after = kernel.axis_after(axis, operand, shapes, shape, params)
        if after is None:
            directions = site.elements
    if before.diagonal and (axis is None or after == axis):
        if kernel.keeps_order or kernel.partials and shapes[operand] == shape:
            return before
        if kernel.merges(operand, shapes, shape, params) and 0 < size <= directions:
            return _Carried(size, True, axis)
    site.cost += directions * cost
    return _Carried(directions, False, after)


def preferred(function: Callable[..., Any], arguments: Arguments, shadow: Callable[[Any], Any]) -> frozenset[Key]:
    """The keys of the variables for which their own directions cost less than those of all of their sites.

    `arguments` hold abstract arrays for primals; `shadow` makes one of any other array.
    """
    level = new_level()
    with _Operations(Recalled.of_open()) as ledger:
        trace = _Trace(ledger)
        variables = []
        for i, primal in enumerate(arguments.primals):
            key, reach = ("variable", i), _Reach(trace)
            reach.fresh.add(key)
            trace.elements[key], trace.costs[key] = math.prod(primal.shape), 0
            variables.append(_Costed(primal, level, reach))
        outer, pushing.mode.enabled = pushing.mode.enabled, True
        try:
            arguments.call(function, variables, lambda array: _Costed(shadow(array), level))
        finally:
            pushing.mode.enabled = outer
    return frozenset(key for group, sites in _groups(trace) if sum(trace.costs[k] for k in group) < sites for key in group)


def _groups(trace: _Trace) -> list[tuple[set[Key], int]]:
    """Variables that have sites in common, and what all of these sites cost."""
    groups: list[tuple[set[Key], int]] = []
    for site in trace.sites:
        keys, cost = set(site.targets), site.cost
        for group in [group for group in groups if not keys.isdisjoint(group[0])]:
            groups.remove(group)
            keys |= group[0]
            cost += group[1]
        groups.append((keys, cost))
    return groups
