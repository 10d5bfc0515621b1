"""Bytes that reverse mode keeps for the backward pass, against PyTorch's saved tensors: every network, training, its own loss.

Buffers are counted once however many arrays share them. Parameters, buffers of modules, inputs and targets are there anyway and are not
counted, on either side.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import revdiff
from compare.bench import peers
from compare.bench.contest import Contest
from compare.bench.records import Entrant, Target
from compare.bench.wanted import Wanted
from compare.measure import example
from compare.networks import NETWORKS
from compare.settings import Settings
from compare.training import built
from compare.twins import torch_loss, torch_twin

OURS, TORCH = "revdiff", "torch saved tensors"
BOUND, WITH_DROPOUT, WITH_MAX_POOLING = 1.0, 0.9, 0.6
"""torch keeps float masks of dropout, and 8-byte indices of max pooling."""
FULL_BATCH = 2
"""Examples for networks of full size."""


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network; those of full size are left out of a quick run."""
    return [_contest(name) for name, network in NETWORKS.items() if not (network.family and wanted.quick)]


def _contest(name: str) -> Contest:
    network = NETWORKS[name]
    settings = Settings(network=name, batch=FULL_BATCH) if network.family else Settings(network=name)
    net = built(settings, revdiff, device="meta", dtype="float32")
    target = Target(OURS, TORCH, bound(net))
    subject = f"{name}, batch {settings.batch}"
    return Contest("residuals", subject, "bytes", (target,), lambda limits, heard: measured(settings))


def bound(net: Any) -> float:
    """The least of the bounds that hold for the layers of a network."""
    kinds = {type(module).__name__ for module in net.modules() if getattr(module, "p", 1.0)}
    if any(kind.startswith("MaxPool") for kind in kinds):
        return WITH_MAX_POOLING
    return WITH_DROPOUT if "Dropout" in kinds else BOUND


def measured(settings: Settings) -> list[Entrant]:
    """What both keep."""
    full = bool(settings.model.family)
    ours = Entrant(OURS, [float(by_revdiff(settings, device="meta" if full else "cpu"))], note="from shapes" if full else "")
    if not peers.installed("torch"):
        return [ours, Entrant(TORCH, [], absent=peers.NOT_INSTALLED)]
    peers.torch()
    # Without numbers torch may take other ways than with them (attention does), which the small network of the family tells.
    meta = full and _same_on_meta(settings.model.family)
    return [ours, Entrant(TORCH, [float(by_torch(settings, device="meta" if meta else "cpu"))], note="from shapes" if meta else "")]


def by_revdiff(settings: Settings, *, device: str) -> int:
    """Bytes that the graph of the loss keeps."""
    net = built(settings, revdiff, device=device, dtype="float32")
    tensors = [revdiff.tensor(part, device=device) for part in example(settings, "float32")]
    loss = settings.model.loss(revdiff.nn.functional, net, *tensors)
    return revdiff.saved(loss, net, *tensors).total


@cache
def _same_on_meta(name: str) -> bool:
    settings = Settings(network=name, batch=FULL_BATCH)
    return by_torch(settings, device="meta") == by_torch(settings, device="cpu")


def by_torch(settings: Settings, *, device: str) -> int:
    """Bytes of the storages of the tensors that PyTorch saves."""
    torch = importlib.import_module("torch")
    net, tensors = torch_twin(settings, *example(settings, settings.dtype), device=device)
    found: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        found[storage._cdata] = storage
        return tensor

    hooks: Callable[..., Any] = torch.autograd.graph.saved_tensors_hooks
    with hooks(pack, lambda tensor: tensor):
        loss = torch_loss(settings, net, *tensors)
    without = {tensor.untyped_storage()._cdata for tensor in (*net.parameters(), *net.buffers(), *tensors)}
    total = sum(storage.nbytes() for key, storage in found.items() if key not in without)
    del loss
    return total
