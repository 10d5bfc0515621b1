"""Real data: what ships with scikit-learn, and files that a user has."""

from diffcore.data.sources.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine

__all__ = ["load_breast_cancer", "load_diabetes", "load_digits", "load_iris", "load_linnerud", "load_wine"]
