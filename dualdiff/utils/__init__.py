"""PyTorch's `utils`: data sets and loaders."""

from dualdiff.utils import data

__all__ = ["data"]
