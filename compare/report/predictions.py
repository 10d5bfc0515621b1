"""What was predicted from shapes before a step ran, beside what was measured when it did."""

from __future__ import annotations

from typing import NamedTuple

from compare.report.summary import Summary, planned
from compare.report.units import duration, ratio, size


class Prediction(NamedTuple):
    """One quantity of one strategy: bytes above the resting state, or median seconds."""

    title: str
    quantity: str
    predicted: float
    measured: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured

    @property
    def error(self) -> float:
        """How far off, the same for so many times too much and too little: 1 is exact."""
        return max(self.ratio, 1 / self.ratio)

    def told(self, value: float) -> str:
        """A value with its unit."""
        return duration(value) if self.quantity == "time" else size(value)


def predictions(run: Summary) -> list[Prediction]:
    """Whatever was both predicted and measured in a run, strategy by strategy."""
    found = []
    for cost in run.costs:
        if cost.memory is not None and cost.memory.measured_peak and planned(cost.memory):
            found.append(Prediction(cost.strategy.title, "peak memory", planned(cost.memory), cost.memory.measured_peak))
        if cost.timing is not None and cost.timing.predicted and cost.time is not None:
            found.append(Prediction(cost.strategy.title, "time", cost.timing.predicted, cost.time.median))
    return found


def account(found: list[Prediction], sign: str = "×") -> str:
    """One sentence on all predictions, with the worst of them; empty where there are none."""
    if not found:
        return ""
    worst = max(found, key=lambda each: each.error)
    text = f"Predicted over measured: {', '.join(f'{each.title} {each.quantity} {ratio(each.ratio, sign)}' for each in found)}"
    text += f"; worst {worst.title}, {worst.quantity}: {worst.told(worst.predicted)} predicted, {worst.told(worst.measured)} measured."
    if not any(each.quantity == "time" for each in found):
        text += " For predicted times calibrate this machine: python -m compare calibrate."
    return text
