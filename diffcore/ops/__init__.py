"""The public op set: plain functions over kernels, on arrays and on the tensors of both engines.

Axes are PyTorch's `dim` / `keepdim` or numpy's `axis` / `keepdims`; both spellings work everywhere. The ops named in `__all__` are also
names of both engines (`revdiff.exp`) and, where the first operand is the tensor, methods; those of `neural`, `convolution`,
`pooling` and `normalisation` are in `nn.functional`.
"""

from diffcore.ops import arithmetic, indexing, linalg, reduction, shape
from diffcore.ops.arithmetic import *
from diffcore.ops.attention import *  # not in `__all__`, nor are the other modules of layers: PyTorch has these in `nn.functional`
from diffcore.ops.convolution import *
from diffcore.ops.indexing import *
from diffcore.ops.indexing import getitem as getitem
from diffcore.ops.linalg import *
from diffcore.ops.neural import *
from diffcore.ops.normalisation import *
from diffcore.ops.pooling import *
from diffcore.ops.reduction import *
from diffcore.ops.shape import *
from diffcore.ops.shape import astype as astype

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += indexing.__all__
__all__ += linalg.__all__
__all__ += reduction.__all__
__all__ += shape.__all__
