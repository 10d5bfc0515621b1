"""Real data: what ships with scikit-learn, and files that a user has."""

from diffcore.data.sources.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine
from diffcore.data.sources.idx import load_idx, read_idx, write_idx
from diffcore.data.sources.table import load_csv

__all__ = [
    "load_breast_cancer",
    "load_csv",
    "load_diabetes",
    "load_digits",
    "load_idx",
    "load_iris",
    "load_linnerud",
    "load_wine",
    "read_idx",
    "write_idx",
]
