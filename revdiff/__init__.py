"""Reverse-mode differentiation: a tape, with PyTorch's conventions, on numpy (default) and jax.

import revdiff
x = revdiff.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
x.grad                                   # tensor([2., 4.])
revdiff.grad(lambda x: (x * x).sum())    # the functional form, arrays in and out
"""

from diffcore import ops
from diffcore.arrays.random import manual_seed
from diffcore.ops import *
from revdiff import autograd, nn, optim
from revdiff.autograd import enable_grad, is_grad_enabled, no_grad
from revdiff.graph import graph
from revdiff.tensor import Tensor, tensor
from revdiff.transforms import grad, hessian, hvp, jacobian, value_and_grad, vjp

__all__ = [
    "Tensor",
    "autograd",
    "enable_grad",
    "grad",
    "graph",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "tensor",
    "value_and_grad",
    "vjp",
]
__all__ += ops.__all__
