"""Circular and hyperbolic functions: the kernels under their public names."""

from __future__ import annotations

from diffcore.kernels import trigonometric as _t

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
]

sin, cos, tan, sinh, cosh = _t.sin, _t.cos, _t.tan, _t.sinh, _t.cosh
asin, acos, atan, atan2, asinh, acosh, atanh = _t.asin, _t.acos, _t.atan, _t.atan2, _t.asinh, _t.acosh, _t.atanh
arcsin, arccos, arctan, arctan2, arcsinh, arccosh, arctanh = asin, acos, atan, atan2, asinh, acosh, atanh
