"""GPUs as jax sees them; the same functions for both engines."""

from diffcore.cuda import device_count, is_available

__all__ = ["device_count", "is_available"]
