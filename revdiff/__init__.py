"""Reverse-mode differentiation: a tape, with PyTorch's conventions, on numpy (default) and jax.

import revdiff
x = revdiff.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
x.grad                                   # tensor([2., 4.])
revdiff.grad(lambda x: (x * x).sum())    # the functional form, arrays in and out
"""

from diffcore import dtypes, linalg, ops
from diffcore.arrays.devices import device
from diffcore.arrays.random import Generator, initial_seed, manual_seed, seed
from diffcore.dtypes import *
from diffcore.ops import *
from diffcore.printing import set_printoptions
from diffcore.serialize import save
from diffcore.size import Size
from diffcore.sparsity import hessian_sparsity, jacobian_sparsity
from revdiff import autograd, creation, cuda, distributions, nn, optim, utils
from revdiff.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from revdiff.checkpointing import checkpoint, checkpoint_schedule
from revdiff.creation import *
from revdiff.graph import graph
from revdiff.jacobians import jacobian
from revdiff.saved import saved
from revdiff.tensor import Tensor, tensor
from revdiff.transforms import grad, hessian, hvp, value_and_grad, vjp

__all__ = [
    "Generator",
    "Size",
    "Tensor",
    "autograd",
    "checkpoint",
    "checkpoint_schedule",
    "cuda",
    "device",
    "distributions",
    "enable_grad",
    "grad",
    "graph",
    "hessian",
    "hessian_sparsity",
    "hvp",
    "inference_mode",
    "initial_seed",
    "is_grad_enabled",
    "jacobian",
    "jacobian_sparsity",
    "linalg",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "save",
    "saved",
    "seed",
    "set_grad_enabled",
    "set_printoptions",
    "tensor",
    "utils",
    "value_and_grad",
    "vjp",
]
__all__ += creation.__all__
__all__ += dtypes.__all__
__all__ += ops.__all__
