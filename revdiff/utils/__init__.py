"""PyTorch's `utils`: data sets and loaders."""

from revdiff.utils import data

__all__ = ["data"]
