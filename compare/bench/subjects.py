"""What is differentiated: networks of fixed sizes with a batch of examples, the same numbers for everyone who takes part."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import revdiff
from compare.networks import NETWORKS, Network
from compare.networks.kit import Kit

SEED = 0
LABELS = {"mlp": "MLP", "lenet": "LeNet"}
"""How the networks are called in the table."""


@dataclass(frozen=True)
class Subject:
    """A network of `compare.networks` that tells `classes` apart, float32, on `batch` examples of shape `inputs`, drawn from one seed."""

    network: str
    inputs: tuple[int, ...]
    width: int
    depth: int
    batch: int
    classes: int = 10

    @property
    def model(self) -> Network:
        """The description of the network."""
        return NETWORKS[self.network]

    @property
    def title(self) -> str:
        """Name, sizes and batch, for the table."""
        shape = self.model.shape(self.inputs, self.classes, width=self.width, depth=self.depth)
        sizes = "x".join(map(str, self.inputs[1:])) if len(self.inputs) > 1 else shape
        return f"{LABELS[self.network]} {sizes}, batch {self.batch}"

    @cached_property
    def batch_arrays(self) -> tuple[Any, Any]:
        """Images `[batch, *inputs]` and labels `[batch]`."""
        rng = np.random.default_rng(SEED)
        return rng.random((self.batch, *self.inputs), np.float32), rng.integers(0, self.classes, self.batch)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The parameters by name, numpy arrays."""
        return {name: parameter.detach().numpy() for name, parameter in self.net(revdiff).named_parameters()}

    def net(self, engine: Any, *, device: Any = None) -> Any:
        """The network over one of the engines with these parameters."""
        engine.manual_seed(SEED)
        return self._built(Kit(engine, device=device, dtype="float32"))

    def torch_net(self) -> Any:
        """PyTorch's own network with the same parameters."""
        torch = importlib.import_module("torch")
        net = self._built(Kit(torch, dtype=torch.float32))
        net.load_state_dict({name: torch.tensor(array) for name, array in self.parameters.items()})
        return net

    def _built(self, kit: Kit) -> Any:
        return self.model.build(kit, self.inputs, self.classes, width=self.width, depth=self.depth)

    def loss(self, engine: Any) -> Any:
        """`loss(net, images, labels)` by the functions of `engine` (or of `torch`)."""
        functional, model = engine.nn.functional, self.model
        return lambda net, images, labels: model.loss(functional, net, images, labels)


SMALL = Subject("mlp", (64,), 32, 1, 64)
FOUR_LAYERS = Subject("mlp", (64,), 64, 3, 64)
MEDIUM = Subject("mlp", (784,), 256, 2, 64)
MEDIUM_256 = Subject("mlp", (784,), 256, 2, 256)
LARGE = Subject("mlp", (784,), 1024, 2, 256)
LENET = Subject("lenet", (1, 28, 28), 6, 2, 64)
