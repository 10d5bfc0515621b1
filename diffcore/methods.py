"""The ops that are methods of tensors too, written once for both engines: `x.exp()` is `ops.exp(x)`."""

from __future__ import annotations

from typing import Any

from diffcore import ops
from diffcore.dispatch import Boxed


class Methods(Boxed):
    """The op set as methods, by family."""

    __slots__ = ()

    # arithmetic
    abs, absolute, add, ceil, clamp, clamp_max = ops.abs, ops.absolute, ops.add, ops.ceil, ops.clamp, ops.clamp_max
    clamp_min, clip, div, divide, erf, erfc, exp = ops.clamp_min, ops.clip, ops.div, ops.divide, ops.erf, ops.erfc, ops.exp
    exp2, expm1, floor, floor_divide, fmod, frac = ops.exp2, ops.expm1, ops.floor, ops.floor_divide, ops.fmod, ops.frac
    hypot, lerp, log, log10, log1p, log2, logaddexp = ops.hypot, ops.lerp, ops.log, ops.log10, ops.log1p, ops.log2, ops.logaddexp
    logit, maximum, minimum, mul, multiply, nan_to_num = ops.logit, ops.maximum, ops.minimum, ops.mul, ops.multiply, ops.nan_to_num
    neg, negative, pow, reciprocal, relu, remainder = ops.neg, ops.negative, ops.pow, ops.reciprocal, ops.relu, ops.remainder
    round, rsqrt, sigmoid, sign, sqrt, square, sub = ops.round, ops.rsqrt, ops.sigmoid, ops.sign, ops.sqrt, ops.square, ops.sub
    subtract, tanh, true_divide, trunc = ops.subtract, ops.tanh, ops.true_divide, ops.trunc

    # trigonometric
    acos, acosh, arccos, arccosh, arcsin, arcsinh = ops.acos, ops.acosh, ops.arccos, ops.arccosh, ops.arcsin, ops.arcsinh
    arctan, arctan2, arctanh, asin, asinh, atan, atan2 = ops.arctan, ops.arctan2, ops.arctanh, ops.asin, ops.asinh, ops.atan, ops.atan2
    atanh, cos, cosh, sin, sinh, tan = ops.atanh, ops.cos, ops.cosh, ops.sin, ops.sinh, ops.tan

    # comparison
    allclose, bitwise_and, bitwise_not, bitwise_or = ops.allclose, ops.bitwise_and, ops.bitwise_not, ops.bitwise_or
    bitwise_xor, eq, equal, ge, greater, greater_equal = ops.bitwise_xor, ops.eq, ops.equal, ops.ge, ops.greater, ops.greater_equal
    gt, isclose, isfinite, isinf, isnan, le, less = ops.gt, ops.isclose, ops.isfinite, ops.isinf, ops.isnan, ops.le, ops.less
    less_equal, logical_and, logical_not, logical_or = ops.less_equal, ops.logical_and, ops.logical_not, ops.logical_or
    logical_xor, lt, ne, not_equal = ops.logical_xor, ops.lt, ops.ne, ops.not_equal

    # reductions
    all, amax, amin, aminmax, any, argmax, argmin = ops.all, ops.amax, ops.amin, ops.aminmax, ops.any, ops.argmax, ops.argmin
    count_nonzero, dist, log_softmax, logsumexp, max = ops.count_nonzero, ops.dist, ops.log_softmax, ops.logsumexp, ops.max
    mean, min, nansum, norm, prod, softmax, std, sum = ops.mean, ops.min, ops.nansum, ops.norm, ops.prod, ops.softmax, ops.std, ops.sum
    var = ops.var

    # running values and sorting
    argsort, cummax, cummin, cumprod, cumsum, diff = ops.argsort, ops.cummax, ops.cummin, ops.cumprod, ops.cumsum, ops.diff
    kthvalue, logcumsumexp, median, msort, sort, topk = ops.kthvalue, ops.logcumsumexp, ops.median, ops.msort, ops.sort, ops.topk

    # products and matrices
    addbmm, addmm, addmv, addr, baddbmm, bmm, cholesky = ops.addbmm, ops.addmm, ops.addmv, ops.addr, ops.baddbmm, ops.bmm, ops.cholesky
    cholesky_solve, corrcoef, cov, cross, det, dot = ops.cholesky_solve, ops.corrcoef, ops.cov, ops.cross, ops.det, ops.dot
    ger, inner, inverse, kron, logdet, matmul = ops.ger, ops.inner, ops.inverse, ops.kron, ops.logdet, ops.matmul
    matrix_power, mm, mv, outer, slogdet, vdot = ops.matrix_power, ops.mm, ops.mv, ops.outer, ops.slogdet, ops.vdot

    # shapes
    broadcast_to, chunk, clone, contiguous, diag = ops.broadcast_to, ops.chunk, ops.clone, ops.contiguous, ops.diag
    diag_embed, diagonal, expand, expand_as, flatten = ops.diag_embed, ops.diagonal, ops.expand, ops.expand_as, ops.flatten
    flip, fliplr, flipud, moveaxis, movedim, permute = ops.flip, ops.fliplr, ops.flipud, ops.moveaxis, ops.movedim, ops.permute
    ravel, repeat, repeat_interleave, reshape, reshape_as = ops.ravel, ops.repeat, ops.repeat_interleave, ops.reshape, ops.reshape_as
    roll, rot90, split, squeeze, swapaxes, swapdims, t = ops.roll, ops.rot90, ops.split, ops.squeeze, ops.swapaxes, ops.swapdims, ops.t
    tensor_split, tile, trace, transpose, tril, triu = ops.tensor_split, ops.tile, ops.trace, ops.transpose, ops.tril, ops.triu
    unbind, unflatten, unfold, unsqueeze, view, view_as = ops.unbind, ops.unflatten, ops.unfold, ops.unsqueeze, ops.view, ops.view_as

    # indices
    argwhere, gather, index_add, index_copy, index_fill = ops.argwhere, ops.gather, ops.index_add, ops.index_copy, ops.index_fill
    index_put, index_select, masked_fill, masked_scatter = ops.index_put, ops.index_select, ops.masked_fill, ops.masked_scatter
    masked_select, narrow, nonzero, scatter, scatter_add = ops.masked_select, ops.narrow, ops.nonzero, ops.scatter, ops.scatter_add
    select, take, take_along_dim = ops.select, ops.take, ops.take_along_dim

    def where(self, condition: Any, other: Any) -> Any:
        """This tensor where `condition` holds, else `other`."""
        return ops.where(condition, self, other)
