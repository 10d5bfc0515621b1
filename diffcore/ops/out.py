"""`out=` and `inplace=`: results written into the memory of tensors that are there already."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from diffcore.dispatch import Boxed


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


def into(op: Callable[..., Any], input: Any, *args: Any) -> Any:
    """`op(input, *args)` in the memory of `input`, which is returned: what `inplace=True` asks for."""
    from diffcore import aliasing

    name = op.__name__.lstrip("_") + "_"
    if not isinstance(input, Boxed):
        return aliasing.put(name, input, op(input, *args))
    return aliasing.change(input, name, op(aliasing.snapshot(input), *args))
