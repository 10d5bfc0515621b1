"""The public op set: plain functions over kernels, on arrays and on the tensors of both engines.

Axes are PyTorch's `dim` / `keepdim` or numpy's `axis` / `keepdims`; both spellings work everywhere. The ops named in `__all__` are also
names of both engines (`revdiff.exp`) and, where the first operand is the tensor, methods. The others are in `nn.functional` (modules
`activation`, `attention`, `convolution`, `dropouts`, `lookup`, `losses`, `neural`, `normalisation`, `pooling`), or methods alone.
"""

from diffcore.ops import (
    arithmetic,
    comparison,
    contraction,
    cumulative,
    diagonals,
    gathering,
    indexing,
    joining,
    linalg,
    masking,
    reduction,
    shape,
    solvers,
    sorting,
    trigonometric,
)
from diffcore.ops.activation import *
from diffcore.ops.arithmetic import *
from diffcore.ops.attention import *
from diffcore.ops.comparison import *
from diffcore.ops.contraction import *
from diffcore.ops.convolution import *
from diffcore.ops.cumulative import *
from diffcore.ops.diagonals import *
from diffcore.ops.dropouts import *
from diffcore.ops.gathering import *
from diffcore.ops.indexing import *
from diffcore.ops.indexing import assign as assign
from diffcore.ops.indexing import getitem as getitem
from diffcore.ops.indexing import setitem as setitem
from diffcore.ops.joining import *
from diffcore.ops.linalg import *
from diffcore.ops.lookup import *
from diffcore.ops.losses import *
from diffcore.ops.masking import *
from diffcore.ops.neural import *
from diffcore.ops.normalisation import *
from diffcore.ops.pooling import *
from diffcore.ops.reduction import *
from diffcore.ops.shape import *
from diffcore.ops.shape import astype as astype
from diffcore.ops.shape import contiguous as contiguous
from diffcore.ops.shape import expand_as as expand_as
from diffcore.ops.shape import repeat as repeat
from diffcore.ops.shape import reshape_as as reshape_as
from diffcore.ops.shape import unfold as unfold
from diffcore.ops.shape import view as view
from diffcore.ops.shape import view_as as view_as
from diffcore.ops.solvers import *
from diffcore.ops.sorting import *
from diffcore.ops.trigonometric import *

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += comparison.__all__
__all__ += contraction.__all__
__all__ += cumulative.__all__
__all__ += diagonals.__all__
__all__ += gathering.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += linalg.__all__
__all__ += masking.__all__
__all__ += reduction.__all__
__all__ += shape.__all__
__all__ += solvers.__all__
__all__ += sorting.__all__
__all__ += trigonometric.__all__
