"""Reverse mode on numpy against a pass written by hand, PyTorch and HIPS autograd."""

from __future__ import annotations

from compare.bench import peers
from compare.bench.contest import Contest, Heard
from compare.bench.engines import HAND, REVERSE, hand, reverse
from compare.bench.records import Entrant, Target
from compare.bench.subjects import LARGE, LENET, MEDIUM, MEDIUM_256, SMALL, Subject
from compare.bench.timing import race
from compare.bench.wanted import Limits, Wanted

AHEAD = 1.0
"""To be as fast."""


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network."""
    against_hand = ((SMALL, 1.25, AHEAD), (MEDIUM, 1.10, AHEAD), (MEDIUM_256, 1.10, AHEAD), (LARGE, 1.05, None))
    found = [
        _contest(
            subject,
            Target(REVERSE, HAND, bound),
            Target(REVERSE, peers.TORCH, of_torch),
            Target(REVERSE, peers.HIPS, AHEAD),
        )
        for subject, bound, of_torch in against_hand
    ]
    return [*found, _contest(LENET, Target(REVERSE, peers.TORCH, 2.0))]


def _contest(subject: Subject, *targets: Target) -> Contest:
    def measure(limits: Limits, heard: Heard) -> list[Entrant]:
        if subject.network == "mlp":
            return race([hand(subject), reverse(subject), peers.hips(subject), peers.torch_eager(subject)], limits, heard)
        return race([reverse(subject), peers.torch_eager(subject)], limits, heard)

    return Contest("reverse-numpy", subject.title, "seconds", targets, measure)
