"""What a plan says in words: where advice flips, what the peak is made of, and how it was counted."""

from __future__ import annotations

from collections.abc import Iterator

from compare.planning.records import Flip, LayerCost, Peak, Way
from compare.planning.result import Plan
from compare.report.palette import PHASES, ROLES, ordered
from compare.report.units import MISSING, counted, duration, operations, size, whole

GROUPS = {
    "gradient": "Training step: gradient",
    "estimate": "Training step: estimated gradient",
    "product": "Hessian-vector product of the loss",
    "Jacobian": "Jacobian: outputs by inputs",
}
"""What ways compute, in words."""
TITLES = {"gradient": "the gradient", "Jacobian": "the Jacobian"}


def phases(way: Way) -> str:
    """Operations by phase, transcendentals apart."""
    parts = [f"{phase} {operations(way.flops[phase])}" for phase in ordered(set(way.flops), PHASES)]
    apart = sum(way.transcendentals.values())
    return ", ".join(parts) + (f"; + {operations(apart, '').strip()} transcendentals" if apart else "")


def roles(peak: Peak) -> str:
    """Bytes at the peak by role, the most first."""
    found = sorted((role for role in peak.roles if peak.roles[role] > 0), key=lambda role: -peak.roles[role])
    return ", ".join(f"{role} {size(peak.roles[role])}" for role in found if role in ROLES or peak.roles[role])


def place(peak: Peak) -> str:
    """Where the peak is: phase and kernel, layer, line of code."""
    kernel = " ".join(filter(None, [peak.phase, peak.kernel]))
    layer = f" in {peak.layer}" if peak.layer else ""
    return kernel + layer + (f", {peak.line}" if peak.line else "")


def flip(plan: Plan, line: Flip) -> str:
    """One flip as a sentence."""

    def named(name: str | None) -> str:
        return "no way fits" if name is None else plan.ways[name].title if name in plan.ways else name

    def amount(value: int) -> str:
        return f"{size(value)} ({whole(value)} bytes)" if line.knob == "budget" else whole(value)

    of = TITLES.get(line.computes, line.computes)
    if line.value is None:
        if line.knob == "budget":
            return f"{of}, budget: {named(line.before)} at any budget from {size(line.least)} to {size(line.most)}"
        return f"{of}, {line.knob}: {named(line.before)} throughout, from {whole(line.least)} to {whole(line.most)}"
    side = "down to" if line.below else "up to"
    return f"{of}, {line.knob}: {named(line.before)} {side} {amount(line.value + (1 if line.below else -1))}, then {named(line.to)}"


def least(way: Way) -> str:
    """What stands before a number that is a bound from below."""
    return "> " if way.bound else ""


def seconds(way: Way) -> str:
    """Predicted seconds, in hours, days or years where there are many; a dash where there are none."""
    if way.seconds is None:
        return MISSING
    for unit, length in (("years", 31_557_600.0), ("days", 86_400.0), ("h", 3600.0)):
        if way.seconds >= length:
            count = way.seconds / length
            return least(way) + (f"{count:.0e} {unit}" if count >= 1e4 else f"{count:.3g} {unit}")
    return least(way) + duration(way.seconds)


def flops(way: Way) -> str:
    """FLOPs of all phases."""
    return least(way) + operations(sum(way.flops.values()))


def chunks(way: Way) -> str:
    """Directions and the runs that they take: `42 directions`, `2,410 directions in 307 runs`, or nothing where there is one cotangent."""
    if way.directions is None:
        return ""
    return counted(way.directions, "direction") + (f" in {counted(way.runs, 'run')}" if way.runs > 1 else "")


def phases_of(layers: list[LayerCost]) -> list[str]:
    """The phases that any layer has something in."""
    return ordered({layer.phase for layer in layers}, PHASES)


def by_layer(layers: list[LayerCost], phases: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Per layer its FLOPs in each phase, then transcendentals, then bytes of all arrays that it makes; what is outside of layers last."""
    for name in sorted(dict.fromkeys(layer.layer for layer in layers), key=lambda name: not name):
        own = [layer for layer in layers if layer.layer == name]
        flops = [sum(layer.flops for layer in own if layer.phase == phase) for phase in phases]
        apart = sum(layer.transcendentals for layer in own)
        cells = [operations(count, "").strip() if count else "0" for count in (*flops, apart)]
        yield name or "(outside)", [*cells, size(sum(layer.nbytes for layer in own))]
