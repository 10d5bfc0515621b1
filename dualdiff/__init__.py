"""Forward-mode differentiation: every tensor carries its derivative, on numpy (default) and jax.

import dualdiff
x = dualdiff.tensor([1.0, 2.0], requires_grad=True)
y = x * x
y.jacobian(x)                                                # there as soon as y is: [[2., 0.], [0., 4.]]
dualdiff.jvp(lambda x: x * x, (array,), (direction,))        # the functional form, arrays in and out
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
from dualdiff import autograd, creation, cuda, distributions, nn, optim, utils
from dualdiff.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from dualdiff.creation import *
from dualdiff.graph import graph
from dualdiff.jacobians import jacobian
from dualdiff.plans import directions
from dualdiff.tensor import Tensor, tensor
from dualdiff.transforms import ForwardGradient, forward_gradient, grad, hessian, hvp, jvp, value_and_grad

__all__ = [
    "ForwardGradient",
    "Generator",
    "Size",
    "Tensor",
    "autograd",
    "cuda",
    "device",
    "directions",
    "distributions",
    "enable_grad",
    "forward_gradient",
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
    "jvp",
    "linalg",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "save",
    "seed",
    "set_grad_enabled",
    "set_printoptions",
    "tensor",
    "utils",
    "value_and_grad",
]
__all__ += creation.__all__
__all__ += dtypes.__all__
__all__ += ops.__all__
