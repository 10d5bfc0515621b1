"""PyTorch's switches for the imperative level: `no_grad`, `enable_grad`."""

from __future__ import annotations

from diffcore.modes import Switch
from dualdiff import pushing


class no_grad(Switch):
    """Operations inside carry no tangents: `with no_grad(): ...` or `@no_grad()`."""

    mode, enabled = pushing.mode, False


class enable_grad(Switch):
    """Operations inside carry tangents even within `no_grad`."""

    mode, enabled = pushing.mode, True


def is_grad_enabled() -> bool:
    """Whether tangents are carried in this thread."""
    return pushing.mode.enabled
