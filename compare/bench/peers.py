"""Peers that are not needed to run anything else: PyTorch, eager, and HIPS autograd. Each takes part where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from compare.bench.contest import Absent, Contestant
from compare.bench.subjects import Subject
from compare.environment import THREAD_COUNT

TORCH, HIPS = "torch eager", "HIPS autograd"
NOT_INSTALLED = "not installed"


def installed(package: str) -> bool:
    """Whether `package` can be imported."""
    return importlib.util.find_spec(package) is not None


def torch() -> Any:
    """PyTorch, on as many threads as everyone else."""
    module = importlib.import_module("torch")
    module.set_num_threads(THREAD_COUNT)
    return module


def torch_eager(subject: Subject) -> Contestant | Absent:
    """Forward and backward pass of the `torch.nn` network with the same parameters."""
    if not installed("torch"):
        return Absent(TORCH, NOT_INSTALLED)
    library, net = torch(), subject.torch_net()
    loss, parameters = subject.loss(library), dict(net.named_parameters())
    variables = tuple(parameters.values())
    images, labels = map(library.from_numpy, subject.batch_arrays)

    def work() -> tuple[Any, dict[str, Any]]:
        value = loss(net, images, labels)
        return value.detach(), dict(zip(parameters, library.autograd.grad(value, variables), strict=True))

    return Contestant(TORCH, work, "torch")


def hips(subject: Subject) -> Contestant | Absent:
    """`autograd.value_and_grad` of the network written with `autograd.numpy`; it has no convolution."""
    if not installed("autograd"):
        return Absent(HIPS, NOT_INSTALLED)
    xp, autograd = importlib.import_module("autograd.numpy"), importlib.import_module("autograd")
    images, labels = subject.batch_arrays
    rows, names = xp.arange(len(labels)), list(subject.parameters)

    def loss(parameters: list[Any]) -> Any:
        x = images
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = xp.tanh(xp.dot(x, weight.T) + bias)
        logits = xp.dot(x, parameters[-2].T) + parameters[-1]
        logits = logits - xp.max(logits, axis=1, keepdims=True)
        logs = logits - xp.log(xp.sum(xp.exp(logits), axis=1, keepdims=True))
        return -xp.mean(logs[rows, labels])

    differentiated, given = autograd.value_and_grad(loss), list(subject.parameters.values())

    def work() -> tuple[Any, dict[str, Any]]:
        value, gradients = differentiated(given)
        return value, dict(zip(names, gradients, strict=True))

    return Contestant(HIPS, work)
