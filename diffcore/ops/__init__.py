"""The public op set: plain functions over kernels, on arrays and on the tensors of both engines.

Axes are PyTorch's `dim` / `keepdim` or numpy's `axis` / `keepdims`; both spellings work everywhere. The ops named in `__all__` are also
names of both engines (`revdiff.exp`) and, where the first operand is the tensor, methods; those of `neural` are in `nn.functional`.
"""

from diffcore.ops import arithmetic, contraction, cumulative, indexing, linalg, reduction, shape, solvers, sorting
from diffcore.ops.arithmetic import *
from diffcore.ops.contraction import *
from diffcore.ops.cumulative import *
from diffcore.ops.indexing import *
from diffcore.ops.indexing import getitem as getitem
from diffcore.ops.linalg import *
from diffcore.ops.neural import *  # not in `__all__`: PyTorch has these in `nn.functional` only
from diffcore.ops.reduction import *
from diffcore.ops.shape import *
from diffcore.ops.shape import astype as astype
from diffcore.ops.solvers import *
from diffcore.ops.sorting import *

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += contraction.__all__
__all__ += cumulative.__all__
__all__ += indexing.__all__
__all__ += linalg.__all__
__all__ += reduction.__all__
__all__ += shape.__all__
__all__ += solvers.__all__
__all__ += sorting.__all__
