"""Functions that make forward-mode tensors: `diffcore.creation` bound to `dualdiff.Tensor`."""

from diffcore.creation import Creation
from diffcore.serialize import Loader
from dualdiff.tensor import Tensor

_new = Creation(Tensor)
as_tensor, asarray, from_numpy = _new.as_tensor, _new.asarray, _new.from_numpy
zeros, ones, empty, full, eye = _new.zeros, _new.ones, _new.empty, _new.full, _new.eye
zeros_like, ones_like, empty_like, full_like = _new.zeros_like, _new.ones_like, _new.empty_like, _new.full_like
arange, linspace, logspace = _new.arange, _new.linspace, _new.logspace
rand, randn, randint, randperm, normal = _new.rand, _new.randn, _new.randint, _new.randperm, _new.normal
rand_like, randn_like, randint_like = _new.rand_like, _new.randn_like, _new.randint_like
bernoulli, multinomial = _new.bernoulli, _new.multinomial
is_tensor, is_floating_point, numel = _new.is_tensor, _new.is_floating_point, _new.numel
HalfTensor, FloatTensor, DoubleTensor, BoolTensor = _new.HalfTensor, _new.FloatTensor, _new.DoubleTensor, _new.BoolTensor
CharTensor, ShortTensor, IntTensor, LongTensor, ByteTensor = (
    _new.CharTensor,
    _new.ShortTensor,
    _new.IntTensor,
    _new.LongTensor,
    _new.ByteTensor,
)
load = Loader(Tensor).load

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "arange",
    "as_tensor",
    "asarray",
    "bernoulli",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "is_floating_point",
    "is_tensor",
    "linspace",
    "load",
    "logspace",
    "multinomial",
    "normal",
    "numel",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "zeros",
    "zeros_like",
]
