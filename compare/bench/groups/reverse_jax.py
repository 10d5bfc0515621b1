"""Reverse mode on jax under `jax.jit` against jax's own, of the same network written in plain jax."""

from __future__ import annotations

from compare.bench.contest import Contest, Contestant, Heard
from compare.bench.engines import REVERSE_JAX, reverse_under_jit
from compare.bench.records import Entrant, Target
from compare.bench.subjects import LARGE, LENET, MEDIUM, MEDIUM_256, SMALL, Subject
from compare.bench.timing import race
from compare.bench.wanted import Limits, Wanted

PLAIN = "jax.jit(jax.value_and_grad)"


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network."""
    bounds = ((SMALL, 1.02), (MEDIUM, 1.02), (MEDIUM_256, 1.02), (LARGE, 1.02), (LENET, 0.9))
    return [_contest(subject, Target(REVERSE_JAX, PLAIN, bound)) for subject, bound in bounds]


def _contest(subject: Subject, target: Target) -> Contest:
    def measure(limits: Limits, heard: Heard) -> list[Entrant]:
        from compare.bench import plain_jax

        return race([Contestant(PLAIN, plain_jax.value_and_grad(subject), "jax"), reverse_under_jit(subject)], limits, heard)

    return Contest("reverse-jax", subject.title, "seconds", (target,), measure)
