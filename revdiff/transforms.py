"""Functional transforms of reverse mode: `vjp`, `value_and_grad`, `grad`, `jacobian`, `hvp`, `hessian`.

Each takes a fresh level, so they nest in each other and in those of `dualdiff` in any order. Arrays in, arrays out, on numpy and on jax
(also under `jax.jit`); tensors of an outer transform in, tensors of that transform out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np

from diffcore import tree
from diffcore.dispatch import new_level
from diffcore.ledger import label
from diffcore.replay import within
from diffcore.seeds import concatenate, eye_of, ones_of, zeros_of
from diffcore.tensor import check_cotangent, own_memory
from diffcore.transforms import Arguments, arguments_of, as_primal, scalar_of, value_and_aux
from diffcore.watch import watch
from revdiff import tape
from revdiff.tensor import Tensor


def _run(function: Callable[..., Any], arguments: Arguments) -> tuple[Any, list[tape.Node], int]:
    """The function's result on variables of a fresh level, and their nodes."""
    level = new_level()
    lifted = arguments.lifted(Tensor) or ()
    outer, tape.mode.enabled = tape.mode.enabled, True
    try:
        if lifted:  # a leaf is only where a cotangent ends, so parameters keep theirs
            leaves = [*map(_carried, lifted)]
            for parameter in lifted:
                parameter.level = level
            with within(partial(_raised, lifted, level)):
                out = arguments.call(function, lifted, partial(Tensor, level=level))
            if type(out) is not Tensor:  # a parameter handed back as it is will go down with the others
                out = tree.map(lambda y: Tensor(y.primal, level, y.carried) if any(y is p for p in lifted) else y, out)
        else:
            leaves = [tape.leaf(p.shape, p.dtype) for p in arguments.primals]
            variables = [Tensor(p, level, node) for p, node in zip(arguments.primals, leaves, strict=True)]
            out = arguments.call(function, variables, partial(Tensor, level=level))
    finally:
        tape.mode.enabled = outer
        for parameter in lifted:
            parameter.level = 0
    return out, leaves, level


@contextmanager
def _raised(parameters: Sequence[Tensor], level: int) -> Iterator[None]:
    """With `parameters` at a level, for a further run of what was run while they were."""
    before = [parameter.level for parameter in parameters]
    for parameter in parameters:
        parameter.level = level
    try:
        yield
    finally:
        for parameter, own in zip(parameters, before, strict=True):
            parameter.level = own


def _is_own(out: Any, level: int) -> bool:
    return isinstance(out, Tensor) and out.level == level


def _below(out: Any, level: int) -> Any:
    """What lies under a result of this level; other values as they are."""
    return out.primal if _is_own(out, level) else as_primal(out)


def _pull(outs: Sequence[Any], cotangents: Sequence[Any], level: int) -> dict[Any, Any]:
    """Cotangents of the leaves for those of `outs`; the graph stays whole."""
    pairs = [(y.carried, g) for y, g in zip(outs, cotangents, strict=True) if _is_own(y, level) and y.carried is not None]
    return tape.backward([node for node, _ in pairs], [g for _, g in pairs], keep=True)


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`function(*primals)` and the map from a cotangent of it to `J^T cotangent`, one per primal, in the structure of the primals.

    **Arguments:** `primals`: arrays, or nested structures of arrays, floating point. The returned function can be called many times.
    Raises `GradientError` for integer primals and for a cotangent of another shape than the result.
    """
    arguments = Arguments("vjp", primals, tuple(range(len(primals))))
    out, leaves, level = _run(function, arguments)
    outs, build = tree.flatten(out)
    values = [_below(y, level) for y in outs]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given = [as_primal(g) for g in tree.leaves_as(cotangent, out, "vjp: the cotangent must be like the result")]
        for value, g in zip(values, given, strict=True):
            check_cotangent(value, g)
        found = _pull(outs, given, level)
        taken = {id(g) for g in given}
        return arguments.pack(_gradients(found, leaves, arguments, taken))

    return build(values), pullback


_base, _carried = attrgetter("base"), attrgetter("carried")
_ARRAYS, _OWNERS = {np.ndarray}, {type(None)}


def _gradients(found: dict[Any, Any], leaves: Sequence[tape.Node], arguments: Arguments, taken: set[int]) -> list[Any]:
    """One gradient per variable, zeros where no cotangent arrived; numpy arrays share memory neither with each other nor with `taken`."""
    gradients = list(map(found.get, leaves))
    ours = set(map(id, gradients))
    # Nearly always every variable has an array of its own, which is seen without a step of Python per variable.
    if len(ours) < len(leaves) or taken & ours or {*map(type, gradients)} != _ARRAYS or {*map(type, map(_base, gradients))} != _OWNERS:
        gradients = [zeros_of(p) if g is None else own_memory(g, taken) for g, p in zip(gradients, arguments.primals, strict=True)]
    taken |= ours
    return gradients


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The function that returns `(function(*args), gradient)` for a scalar-valued `function`.

    The gradient is taken with respect to the positional arguments `argnums`: for a `Module` a dict from parameter name to array, for a
    structure of arrays the same structure. Other arrays reach `function` as constant tensors. With `has_aux`, `function` returns
    `(scalar, aux)` and the value is that pair. Raises `GradientError` for a result that is not one scalar and for integer arguments.
    """

    def differentiated(*args: Any) -> tuple[Any, Any]:
        arguments = arguments_of("value_and_grad", args, argnums)
        out, leaves, level = _run(function, arguments)
        out, aux = value_and_aux("value_and_grad", out) if has_aux else (out, None)
        scalar_of("value_and_grad", out)
        if type(out) is Tensor and out.level == level:
            value, node = out.primal, out.carried
        else:
            value, node = as_primal(out), None
        found = {} if node is None else tape.backward((node,), (ones_of(value),))
        gradients = _gradients(found, leaves, arguments, set())
        if watch.count:
            for g in gradients:
                label(g, "gradient")
        result = arguments.pack(gradients)
        return ((value, tree.map(lambda y: _below(y, level), aux)) if has_aux else value), result

    return differentiated


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that returns the gradient of a scalar-valued `function`; see `value_and_grad`."""
    both = value_and_grad(function, argnums)
    return lambda *args: both(*args)[1]


def jacobian(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that returns the Jacobian of `function`, row by row of outputs: shape `[*output, *input]` per output and input.

    One forward pass; the cotangents of `chunk_size` outputs (all by default) go back together. Structures of outputs and inputs nest,
    outputs outside, as in `jax.jacrev`. Raises `ValueError` for a `chunk_size` that is not a positive integer.
    """
    if chunk_size is not None and (not isinstance(chunk_size, int) or isinstance(chunk_size, bool) or chunk_size < 1):
        raise ValueError(f"jacobian: `chunk_size` (={chunk_size!r}) must be a positive integer or None")

    def differentiated(*args: Any) -> Any:
        arguments = Arguments("jacobian", args, argnums)
        out, leaves, level = _run(function, arguments)
        outs, build = tree.flatten(out)
        return build([_rows(y, arguments, leaves, level, chunk_size) for y in outs])

    return differentiated


def _rows(y: Any, arguments: Arguments, leaves: Sequence[tape.Node], level: int, chunk_size: int | None) -> Any:
    value = _below(y, level)
    shape, size = tuple(value.shape), int(np.prod(value.shape, dtype=np.int64))
    step = max(size, 1) if chunk_size is None else chunk_size
    blocks: list[list[Any]] = [[] for _ in leaves]
    for start in range(0, size, step):
        rows = eye_of(value, size, slice(start, start + step))
        found = _pull([y], [rows.reshape((-1, *shape))], level)
        for block, node, primal in zip(blocks, leaves, arguments.primals, strict=True):
            g = found.get(node)
            block.append(zeros_of(primal, (rows.shape[0], *primal.shape)) if g is None else g)
    return arguments.pack(
        [
            _joined(block, primal).reshape((*shape, *primal.shape)) if block else zeros_of(primal, (*shape, *primal.shape))
            for block, primal in zip(blocks, arguments.primals, strict=True)
        ]
    )


def _joined(blocks: list[Any], primal: Any) -> Any:
    return blocks[0] if len(blocks) == 1 else concatenate(blocks)


def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar-valued `function` at `primals`, times `tangents`: reverse over reverse.

    **Arguments:** `primals`: one array, or a tuple of the function's arguments; `tangents`: the same structure. Returns that structure.
    """
    single = not isinstance(primals, tuple)
    points, directions = ((primals,), (tangents,)) if single else (primals, tangents)
    _, pullback = vjp(grad(function, tuple(range(len(points)))), *points)
    result = pullback(tuple(directions))
    return result[0] if single else result


def hessian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that returns all second derivatives of a scalar-valued `function`: `jacobian` of `grad`, `[*input, *input]`."""
    return jacobian(grad(function, argnums), argnums)
