"""`out=`: results written into the memory of tensors that are there already."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def with_out(op: Callable[..., Any]) -> Callable[..., Any]:
    """`op` with a keyword `out`: a tensor that receives the result and is returned, or one per result for an op with several.

    As in PyTorch, nothing that requires grad may take part. (Kernels that are ops themselves take `out` in dispatch.)
    """

    @wraps(op)
    def writing(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = op(*args, **kwargs)
        if out is None:
            return result
        from diffcore.aliasing import put

        if not isinstance(result, tuple):
            return put(op.__name__, out, result)
        if not isinstance(out, tuple | list) or len(out) != len(result):
            raise TypeError(f"{op.__name__}(): argument 'out' must be a tuple of {len(result)} Tensors")
        made = [put(op.__name__, into, part) for into, part in zip(out, result, strict=True)]
        return type(result)(*made) if hasattr(result, "_fields") else tuple(made)

    return writing
