"""The linear support vector machine: a wide margin between classes."""

from __future__ import annotations

from typing import Any

from compare.networks import units
from compare.networks.base import Network
from compare.networks.kit import Kit

PENALTY = 1e-3
"""Weight of half the sum of squared weights in the loss."""


class LinearSVM(Network):
    """Linear units with the hinge loss, `mean(max(0, 1 - t s))` for outputs `s` and `t` 1 or -1, plus `PENALTY / 2` times the sum of the
    squared weights (Cortes and Vapnik 1995).

    One unit for two classes; for several one for each, which learns to tell it from the rest, their losses added (Rifkin and Klautau
    2004, "In defense of one-vs-all classification").
    """

    name = "svm"
    account = "linear SVM (Cortes, Vapnik 1995), one unit a class against the rest; has no --width and no --depth"
    takes = "vector"
    width, depth, knobs = 1, 1, ()
    lr, momentum = 0.05, 0.9
    steps = 500

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Inputs and units, for instance `64-10`."""
        return f"{inputs[0]}-{units.count(outputs)}"

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """A `Linear`, with one unit for two classes."""
        return kit.Linear(inputs[0], units.count(outputs))

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """Hinge loss and penalty."""
        return hinge(functional, net(inputs), targets) + PENALTY / 2 * (net.weight * net.weight).sum()

    def predict(self, outputs: Any) -> Any:
        """A number for each class."""
        return units.by_class(outputs)


def hinge(functional: Any, outputs: Any, targets: Any) -> Any:
    """The hinge losses of all units, added, in the mean over the examples; on the margin the derivative is 0."""
    return functional.relu(1 - units.signs(functional, outputs, targets) * outputs).sum(1).mean()


NETWORK = LinearSVM()
