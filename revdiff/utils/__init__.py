"""PyTorch's `utils`: data sets and loaders, and checkpointing."""

from revdiff.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
