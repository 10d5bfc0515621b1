"""Reverse-mode differentiation: a tape, with PyTorch's conventions, on numpy (default) and jax.

    import revdiff
    x = revdiff.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                   # tensor([2., 4.])
    revdiff.grad(lambda x: (x * x).sum())    # the functional form, arrays in and out
"""

from diffcore.arrays.random import manual_seed
from diffcore.ops import (
    abs,
    add,
    amax,
    argmax,
    broadcast_to,
    div,
    exp,
    flatten,
    gather,
    log,
    log_softmax,
    logsumexp,
    matmul,
    max,
    maximum,
    mean,
    minimum,
    mul,
    neg,
    permute,
    pow,
    relu,
    reshape,
    sigmoid,
    sign,
    softmax,
    sqrt,
    sub,
    sum,
    tanh,
    transpose,
    where,
)
from revdiff import autograd, nn, optim
from revdiff.autograd import enable_grad, is_grad_enabled, no_grad
from revdiff.tensor import Tensor, tensor
from revdiff.transforms import grad, hessian, hvp, jacobian, value_and_grad, vjp

__all__ = [
    "Tensor",
    "abs",
    "add",
    "amax",
    "argmax",
    "autograd",
    "broadcast_to",
    "div",
    "enable_grad",
    "exp",
    "flatten",
    "gather",
    "grad",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "log",
    "log_softmax",
    "logsumexp",
    "manual_seed",
    "matmul",
    "max",
    "maximum",
    "mean",
    "minimum",
    "mul",
    "neg",
    "nn",
    "no_grad",
    "optim",
    "permute",
    "pow",
    "relu",
    "reshape",
    "sigmoid",
    "sign",
    "softmax",
    "sqrt",
    "sub",
    "sum",
    "tanh",
    "tensor",
    "transpose",
    "value_and_grad",
    "vjp",
    "where",
]
