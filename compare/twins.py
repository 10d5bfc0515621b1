"""PyTorch's own network of the same settings, which both engines are held against."""

from __future__ import annotations

import importlib
from typing import Any

from compare.networks.kit import Kit
from compare.settings import Settings


def torch_twin(settings: Settings, inputs: Any, targets: Any, *, device: str) -> tuple[Any, tuple[Any, Any]]:
    """The `torch.nn` network of `settings`, drawn from seed 0, and a batch (numpy arrays) as tensors; `device` may be `"meta"`."""
    torch = importlib.import_module("torch")
    torch.manual_seed(0)
    kit = Kit(torch, device=device, dtype=getattr(torch, settings.dtype))
    net = settings.model.build(kit, settings.inputs, settings.outputs, width=settings.width, depth=settings.depth)
    return net, (torch.as_tensor(inputs, device=device), torch.as_tensor(targets, device=device))


def torch_loss(settings: Settings, net: Any, inputs: Any, targets: Any) -> Any:
    """The loss of the twin on a batch."""
    return settings.model.loss(importlib.import_module("torch").nn.functional, net, inputs, targets)
