"""Elementwise ops: the kernels under their public names."""

from __future__ import annotations

from diffcore.kernels import elementwise as _e

__all__ = [
    "abs",
    "add",
    "div",
    "exp",
    "log",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "pow",
    "relu",
    "sigmoid",
    "sign",
    "sqrt",
    "sub",
    "tanh",
]

add, sub, mul, div, neg = _e.add, _e.sub, _e.mul, _e.div, _e.neg
exp, log, sqrt, tanh, sigmoid, relu, abs, sign = _e.exp, _e.log, _e.sqrt, _e.tanh, _e.sigmoid, _e.relu, _e.abs, _e.sign
pow, maximum, minimum = _e.pow, _e.maximum, _e.minimum
