"""Sparse Jacobians: patterns, their colourings, and patterns found by following dependence through kernels."""

from diffcore.sparsity.detection import detected, detected_twice, hessian_sparsity, jacobian_sparsity, one_result
from diffcore.sparsity.pattern import Pattern, Patterns, by_colour, check_entries, count_of, probe, single

__all__ = [
    "Pattern",
    "Patterns",
    "by_colour",
    "check_entries",
    "count_of",
    "detected",
    "detected_twice",
    "hessian_sparsity",
    "jacobian_sparsity",
    "one_result",
    "probe",
    "single",
]
