"""Forward-mode differentiation: every tensor carries its derivative, on numpy (default) and jax.

import dualdiff
x = dualdiff.tensor([1.0, 2.0], requires_grad=True)
y = x * x
y.jacobian(x)                                                # there as soon as y is: [[2., 0.], [0., 4.]]
dualdiff.jvp(lambda x: x * x, (array,), (direction,))        # the functional form, arrays in and out
"""

from diffcore import ops
from diffcore.arrays.random import manual_seed
from diffcore.ops import *
from dualdiff import autograd, nn, optim
from dualdiff.autograd import enable_grad, is_grad_enabled, no_grad
from dualdiff.graph import graph
from dualdiff.tensor import Tensor, tensor
from dualdiff.transforms import ForwardGradient, forward_gradient, grad, hessian, hvp, jacobian, jvp, value_and_grad

__all__ = [
    "ForwardGradient",
    "Tensor",
    "autograd",
    "enable_grad",
    "forward_gradient",
    "grad",
    "graph",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "tensor",
    "value_and_grad",
]
__all__ += ops.__all__
