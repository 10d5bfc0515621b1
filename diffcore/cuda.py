"""GPUs as jax sees them; asking is what loads jax."""

from __future__ import annotations

from diffcore.arrays import devices

__all__ = ["device_count", "is_available"]


def device_count() -> int:
    """How many GPUs jax can use; 0 where it has none or is missing."""
    return devices.gpu_count()


def is_available() -> bool:
    """Whether jax can use a GPU."""
    return device_count() > 0
