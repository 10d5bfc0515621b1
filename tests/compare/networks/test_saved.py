"""What reverse mode keeps of every small network: by the ledger, and against what PyTorch keeps of the same network."""

from types import ModuleType
from typing import Any

import pytest

import revdiff
from compare import show
from compare.measure import example
from compare.networks import NETWORKS
from compare.settings import Settings
from compare.training import built
from diffcore.ledger import Ledger

SMALL = [name for name, network in NETWORKS.items() if not network.family]
TIGHT = {
    # with dropout at most 0.9 of PyTorch's bytes: it keeps floating-point masks
    "small-vit": 0.9,
    # with max pooling at most 0.6: it keeps positions of 8 bytes, and what is pooled
    "small-alexnet": 0.6,
    "small-googlenet": 0.6,
    "small-vgg": 0.6,
    # here nearly all is the input of convolutions and of batch norm, which PyTorch keeps just so: 0.65 and 0.76 of its bytes
    "small-nin": 0.68,
    "small-densenet": 0.79,
}
PYTORCH = {"mlp": 10756, "small-alexnet": 164356, "small-resnet": 242940, "small-vgg": 297476, "small-vit": 673668, "lstm": 600580}
"""Bytes that PyTorch 2.13 keeps for the backward pass of some presets, besides parameters, buffers and the batch."""


def bound(name: str) -> float:
    return TIGHT.get(name, 1.0)


@pytest.mark.parametrize("name", SMALL)
def test_it_is_to_the_byte_what_the_ledger_books(name: str) -> None:
    settings = Settings(network=name)
    with Ledger() as ledger:
        with ledger.role("parameter"):
            net = built(settings, revdiff, device="meta", dtype="float32")
        with ledger.role("input"):
            batch = [revdiff.tensor(part, device="meta") for part in example(settings, "float32")]
        loss = settings.model.loss(revdiff.nn.functional, net, *batch)
        assert ledger.live["residual"] == revdiff.saved(loss, net, *batch).total > 0
    assert show.saved(settings).total == ledger.live["residual"]


def kept_by(torch: ModuleType, name: str) -> int:
    """Bytes of the memory that PyTorch keeps for the backward pass, besides parameters, buffers and the batch."""
    settings = Settings(network=name)
    net: Any = built(settings, torch, device="cpu", dtype=torch.float32)
    batch = [torch.tensor(part) for part in example(settings, "float32")]
    own = {x.untyped_storage().data_ptr() for x in (*net.parameters(), *net.buffers(), *batch)}
    storages = {}

    def pack(x: Any) -> Any:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage  # held, so that no other gets its address
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = settings.model.loss(torch.nn.functional, net, *batch)
    assert loss.requires_grad
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("name", SMALL)
def test_pytorch_keeps_more(torch: ModuleType, name: str) -> None:
    assert show.saved(Settings(network=name)).total <= bound(name) * kept_by(torch, name)


@pytest.mark.parametrize("name", PYTORCH)
def test_some_networks_keep_less_than_pytorch_was_seen_to(name: str) -> None:
    assert show.saved(Settings(network=name)).total <= bound(name) * PYTORCH[name]
