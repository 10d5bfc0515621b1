"""What the notes claim, in their words. Light, because the command line shows it before anything is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from compare.errors import InputError, suggestion

if TYPE_CHECKING:
    from compare.notes.claim import Claim


class Entry(msgspec.Struct, frozen=True):
    """One claim: `slug` is its name on the command line and the name of its file in `compare.notes.claims`."""

    number: int
    slug: str
    title: str
    text: str

    def load(self) -> Claim:
        """The experiment."""
        claim: Claim = import_module(f"compare.notes.claims.{self.slug}").CLAIM
        return claim

    @property
    def code(self) -> str:
        """A fingerprint of the experiment's code, so that a record of what the experiment once was is not taken for one of what it is."""
        return hashlib.sha256(files("compare.notes.claims").joinpath(f"{self.slug}.py").read_bytes()).hexdigest()[:12]


_CLAIMS = (
    (
        "forward",
        "Forward mode",
        "Forward: a derivative is ready with every operation, no intermediate is kept; convenient, not necessarily little work; "
        "memory n × m.",
    ),
    (
        "reverse",
        "Reverse mode",
        "Reverse: intermediates are kept, one cotangent runs back; memory small for one output. Deep learning uses it; show "
        "why, in numbers.",
    ),
    ("newton", "Second order", "Second order: O(n²) memory and a linear solve."),
    ("saddle", "Saddle points", "Gradient descent stalls at a saddle; momentum and stochastic gradients leave it."),
    (
        "vanishing",
        "Vanishing and exploding gradients",
        "Sigmoid’s derivative peaks at 0.25: vanishing gradients by depth; exploding ones; what ReLU, normalisation, clipping, Xavier "
        "(variance kept forward and backward) and additive paths (ResNet, LSTM) do about it.",
    ),
    ("relu", "Dead units", "ReLU units can die; LeakyReLU revives them."),
    ("dropout", "Dropout", "Dropout leaves the expectation unchanged, and is the identity in evaluation."),
    (
        "decay",
        "Weight decay",
        "Weight decay is L2 for SGD: w ← (1 − lr·λ) w − lr·grad; L1 zeroes weights; a hard norm constraint has an equivalent λ.",
    ),
    ("fitting", "Under- and overfitting", "Under- and overfitting by model size and data size; validation by K folds."),
    (
        "xor",
        "XOR",
        "A perceptron and a linear net cannot learn XOR; one hidden nonlinear layer can; a linear hidden layer cannot.",
    ),
    (
        "convolution",
        "Convolution",
        "Convolution is translation-equivariant and local; output sizes (n − k + p + s)/s; 1×1 mixes channels only; pooling "
        "softens position.",
    ),
    ("batch", "Batch size", "Batch size: too small wastes the machine, too large the memory."),
    ("norm", "Normalisation", "Layer norm does not depend on the batch; batch norm does in training and not in evaluation."),
)

CLAIMS: tuple[Entry, ...] = tuple(Entry(number, *claim) for number, claim in enumerate(_CLAIMS, 1))
"""Every claim, in the order of the notes."""


def chosen(names: Iterable[str]) -> list[Entry]:
    """The claims named by number or slug, each once and in order; all without names. Raises `InputError` for one that is unknown."""
    known = {name: entry for entry in CLAIMS for name in (str(entry.number), entry.slug)}
    numbers = set()
    for name in names:
        if name.lower() not in known:
            slugs = [entry.slug for entry in CLAIMS]
            allowed = f"a number from 1 to {len(CLAIMS)} or one of {', '.join(slugs)}"
            raise InputError(f"unknown claim {name!r}: it must be {allowed}.{suggestion(name, slugs)}")
        numbers.add(known[name.lower()].number)
    return [entry for entry in CLAIMS if entry.number in numbers or not numbers]
