"""Forward mode on numpy, seeded by activations, against reverse mode and against jax's forward mode."""

from __future__ import annotations

import math
from collections.abc import Callable

from compare.bench.contest import Contest, Contestant, Heard
from compare.bench.engines import FORWARD, REVERSE, forward, reverse
from compare.bench.records import AT_LEAST, Entrant, Target
from compare.bench.subjects import FOUR_LAYERS, LENET, MEDIUM, SMALL, Subject
from compare.bench.timing import race
from compare.bench.wanted import Limits, Wanted

JACFWD = "jax.jit(jax.jacfwd)"
CHUNKED = "jax vmap(jvp) in chunks"
CHUNKS = (32, 128)
"""Directions of a chunk that are tried; the fastest per direction takes part."""


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network. jax takes part whole where that takes milliseconds, else with one chunk of its directions."""
    return [
        _contest(SMALL, _jacfwd, Target(FORWARD, REVERSE, 3.0), Target(JACFWD, FORWARD, 200.0, AT_LEAST)),
        _contest(FOUR_LAYERS, _chunked, Target(FORWARD, REVERSE, 8.0), Target(CHUNKED, FORWARD)),
        _contest(MEDIUM, _chunked, Target(FORWARD, REVERSE, 26.0), Target(CHUNKED, FORWARD)),
        _contest(LENET, _chunked, Target(FORWARD, REVERSE, 40.0), Target(CHUNKED, FORWARD, 150.0, AT_LEAST)),
    ]


def _contest(subject: Subject, by_jax: Callable[[Subject], Contestant], *targets: Target) -> Contest:
    def measure(limits: Limits, heard: Heard) -> list[Entrant]:
        return race([reverse(subject), forward(subject), by_jax(subject)], limits, heard)

    return Contest("forward", subject.title, "seconds", targets, measure)


def _jacfwd(subject: Subject) -> Contestant:
    from compare.bench import plain_jax

    return Contestant(JACFWD, plain_jax.jacfwd(subject), "jax")


def _chunked(subject: Subject) -> Contestant:
    """The fastest chunk, which stands for all of them."""
    from compare.bench import plain_jax
    from compare.bench.timing import seconds_of

    works = {size: plain_jax.chunk(subject, size) for size in CHUNKS}
    size = min(works, key=lambda size: seconds_of(works[size]) / size)
    whole = sum(math.prod(array.shape) for array in subject.parameters.values())
    note = f"{size} of {whole:,} directions, scaled"
    return Contestant(CHUNKED, works[size], "jax", share=size / whole, covers=size, note=note)
