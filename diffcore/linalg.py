"""Linear algebra under PyTorch's names in `torch.linalg`; the same for both engines."""

from diffcore.errors import LinAlgError
from diffcore.ops.linalg import matmul, multi_dot
from diffcore.ops.reduction import vector_norm
from diffcore.ops.solvers import (
    cholesky,
    cross,
    det,
    inv,
    matrix_norm,
    matrix_power,
    norm,
    slogdet,
    solve,
    solve_triangular,
    vecdot,
)

__all__ = [
    "LinAlgError",
    "cholesky",
    "cross",
    "det",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "slogdet",
    "solve",
    "solve_triangular",
    "vecdot",
    "vector_norm",
]
