"""The support vector machine with a kernel: a linear one among the similarities to known examples."""

from __future__ import annotations

from functools import cache
from typing import Any

from compare.errors import InputError
from compare.networks import units
from compare.networks.base import Network
from compare.networks.kit import Kit
from compare.networks.svm import hinge

PENALTY = 1e-3
"""Weight of half the squared norm of the function in the loss."""


class KernelSVM(Network):
    """`s = sum_i a_i k(x, c_i) + b` with `k(x, c) = exp(-gamma |x - c|^2)`, the hinge loss, and `PENALTY / 2` times `a^T K a`, where `K`
    holds the kernel of the centres among themselves (Boser, Guyon and Vapnik 1992; that `s` has this form is the representer theorem).

    The centres are the first `width` training examples; `gamma` is 1 over features times variance, as in scikit-learn. Several classes
    as for the linear one.
    """

    name = "kernel-svm"
    account = "SVM with Gaussian kernel (Boser, Guyon, Vapnik 1992); --width training examples are its centres; has no --depth"
    takes, data = "vector", "moons"
    width, depth, knobs = 64, 1, ("width",)
    lr, momentum = 0.1, 0.9
    steps, batch = 500, 32

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Inputs, centres and units, for instance `2-64k-1`."""
        return f"{inputs[0]}-{width}k-{units.count(outputs)}"

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`similarity` (buffers `centres`, `gamma`, `gram`) and `linear`, which has the parameters."""
        similarity = _similarity(kit.engine)(kit, width, inputs[0])
        return kit.named(similarity=similarity, linear=kit.Linear(width, units.count(outputs)))

    def prepare(self, net: Any, inputs: Any) -> None:
        """Set the centres, the width of the kernel, and `K`. Raises `InputError` when there are fewer examples than centres."""
        import numpy as np

        width = net.similarity.centres.shape[0]
        if len(inputs) < width:
            raise InputError(f"{self.name}: `width` (={width}) must be at most {len(inputs)}, the training examples, which are the centres")
        centres = np.asarray(inputs[:width], np.float64)
        gamma = 1 / max(inputs.shape[1] * float(np.var(inputs, dtype=np.float64)), np.finfo(np.float64).tiny)
        gram = np.exp(-gamma * ((centres[:, None] - centres[None]) ** 2).sum(-1))
        net.similarity.load_state_dict({"centres": centres, "gamma": np.asarray(gamma), "gram": gram})

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """Hinge loss and penalty."""
        weight = net.linear.weight
        norm = ((weight @ net.similarity.gram) * weight).sum()
        return hinge(functional, net(inputs), targets) + PENALTY / 2 * norm

    def predict(self, outputs: Any) -> Any:
        """A number for each class."""
        return units.by_class(outputs)


@cache
def _similarity(engine: Any) -> Any:
    """The module of `engine` that computes the kernel of its inputs with every centre."""

    class Similarity(engine.nn.Module):
        def __init__(self, kit: Kit, centres: int, features: int) -> None:
            super().__init__()
            made = {"device": kit.device, "dtype": kit.dtype}
            self.register_buffer("centres", engine.zeros(centres, features, **made))
            self.register_buffer("gamma", engine.ones((), **made))
            self.register_buffer("gram", engine.zeros(centres, centres, **made))

        def forward(self, x: Any) -> Any:
            """`[n, centres]` of `[n, features]`."""
            lengths = (x * x).sum(1, keepdim=True) + (self.centres * self.centres).sum(1)
            distances = lengths - 2 * (x @ self.centres.T)
            return (-self.gamma * distances.clamp(min=0)).exp()

    return Similarity


NETWORK = KernelSVM()
