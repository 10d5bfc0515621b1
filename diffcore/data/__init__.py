"""Data sets and loaders, written once; arrays in, arrays out, so that one batch serves both engines."""

from diffcore.data.dataset import Dataset, TensorDataset
from diffcore.data.loader import DataLoader
from diffcore.data.sources import load_digits

__all__ = ["DataLoader", "Dataset", "TensorDataset", "load_digits"]
