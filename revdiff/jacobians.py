"""Jacobians in reverse mode, row by row of outputs; those with structure carry fewer cotangents back than there are outputs.

- One row per example (`per_example=True`): a cotangent per feature of the result, which serves all examples at once.
- Element by element (`structure="diagonal"`): one cotangent of ones.
- Sparse (`sparsity=...`): a cotangent per colour of rows, no two rows of a colour having an entry in one column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from diffcore.arrays.abstract import AbstractArray
from diffcore.examples import Owners, check_owners, own_rows, owners_after
from diffcore.kernels.broadcast import fill
from diffcore.kernels.record import Shape
from diffcore.ledger import Storage, repeated
from diffcore.ops import permute
from diffcore.replay import Moment
from diffcore.seeds import concatenate, eye_of, ones_of, zeros_of
from diffcore.sparsity import Pattern, Patterns, by_colour, check_entries, count_of, detected, one_result, probe, single
from diffcore.structured import (
    as_rows,
    batch_size,
    check_elements,
    check_options,
    check_rows,
    mixes_elements,
    shared_by_examples,
)
from diffcore.tensor import own_memory
from diffcore.transforms import Arguments, positions, results
from diffcore.whole import whole
from revdiff.chains import open_chain
from revdiff.node import Node
from revdiff.runs import below, pull, run
from revdiff.tensor import Tensor


def jacobian(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    per_example: bool = False,
    structure: str = "dense",
    sparsity: Any = None,
    check: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that returns the Jacobian of `function`, row by row of outputs: shape `[*output, *input]` per output and input.

    One forward pass; the cotangents of `chunk_size` outputs (all by default) go back together. Structures of outputs and inputs nest,
    outputs outside, as in `jax.jacrev`.

    **Arguments:** `per_example`: `function` maps each of the `B` examples along axis 0 on its own, `[B, *in]` to `[B, *out]`; returns
    `[B, *out, *in]` from one cotangent per feature of the result. What others write `vmap(jacrev(f))`. Parameters of a `Module` among the
    variables are shared by the examples, so their block is `[B, *out, *parameter]` as without it, and takes a cotangent per output.
    `structure`: `"diagonal"` for a function that acts element by element: returns the diagonal alone, in the variable's shape, from one
    cotangent.
    `sparsity`: where the Jacobian (output elements, input elements) of one array by one array may be other than zero: a matrix of
    `scipy.sparse` or a `BCOO` of jax's (every stored entry counts), a boolean array, or `"auto"`, which finds it anew at each call (see
    `jacobian_sparsity`).
    Takes a cotangent per colour of rows and returns a `scipy.sparse.csr_array` with the pattern's entries, on jax a `BCOO`.
    A pattern that leaves out entries gives wrong numbers; `check=True` adds a random cotangent that shows it, and raises.

    Raises `GradientError` for results that are not floating point, and naming the kernel where `function` does not keep examples
    (elements) apart, or runs a kernel that does not declare it; `ShapeError` where its shapes do not fit, `ValueError` for options that
    exclude each other and for a `chunk_size` that is not a positive integer.
    """
    argnums = positions("jacobian", argnums)
    check_options(per_example, structure, sparsity, check)
    if chunk_size is not None:
        chunk_size, given = whole(chunk_size, least=1), chunk_size
        if chunk_size is None:
            raise ValueError(f"jacobian: `chunk_size` (={given!r}) must be a positive integer or None")

    if sparsity is not None:
        patterns = Patterns("jacobian", sparsity, lambda arguments: detected(function, arguments))
        return sparse_jacobian(function, argnums, patterns, check, chunk_size)
    return rows_of("jacobian", function, argnums, per_example, structure, chunk_size)


def rows_of(
    transform: str,
    function: Callable[..., Any],
    argnums: int | tuple[int, ...],
    per_example: bool = False,
    structure: str = "dense",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """`jacobian` but for patterns, as part of `transform`, which is what errors speak of."""

    def differentiated(*args: Any) -> Any:
        arguments = Arguments(transform, args, argnums)
        batch = batch_size(arguments) if per_example else None
        out, leaves, level = run(function, arguments)
        outs, build = results(transform, out)
        if structure == "diagonal":
            return build([_diagonal(y, arguments, leaves, level) for y in outs])
        if batch is not None:
            return build([_rows_per_example(y, arguments, leaves, level, chunk_size, batch) for y in outs])
        return build([arguments.pack(_rows(y, arguments.primals, leaves, level, chunk_size)) for y in outs])

    return differentiated


def _rows(y: Any, primals: Sequence[Any], leaves: Sequence[Node], level: int, chunk_size: int | None) -> list[Any]:
    """The derivative of each element of `y` by each variable, `[*output, *variable]`."""
    value = below(y, level)
    shape, size = tuple(value.shape), math.prod(value.shape)
    blocks = _pulled(y, lambda rows: as_rows(eye_of(value, size, rows), shape), size, chunk_size, primals, leaves, level)
    return [
        zeros_of(primal, (*shape, *primal.shape)) if block is None else block.reshape((*shape, *primal.shape))
        for block, primal in zip(blocks, primals, strict=True)
    ]


def _pulled(
    y: Any,
    cotangent: Callable[[slice], Any],
    size: int,
    chunk_size: int | None,
    primals: Sequence[Any],
    leaves: Sequence[Node],
    level: int,
) -> list[Any]:
    """The cotangents of the variables, `[p, *variable]`, for all `size` rows that `cotangent` makes of `y`, chunk after chunk.

    `None` where there are none to carry.
    """
    blocks: list[list[Any]] = [[] for _ in leaves]
    rows = None
    for start, stop in _passes(size, max(size, 1) if chunk_size is None else chunk_size, blocks):
        rows = cotangent(slice(start, stop))
        found = pull([y], [rows], level)
        for block, node, primal in zip(blocks, leaves, primals, strict=True):
            g = found.get(node)
            block.append(zeros_of(primal, (rows.shape[0], *primal.shape)) if g is None else g)
    return [None if not block else block[0] if len(block) == 1 else concatenate(block) for block in blocks]


def _passes(size: int, step: int, blocks: list[list[Any]]) -> Iterator[tuple[int, int]]:
    """The rows of each pass. Of abstract arrays the last pass of `step` rows stands for all before it but the first.

    It is the one with the most alive: it finds the blocks of all these, for which something stands too.
    """
    whole = size // step
    for start in range(0, size, step):
        if start == step and whole > 3 and all(type(block) is AbstractArray for (block,) in blocks):
            break
        yield start, min(start + step, size)
    else:
        return
    stand_ins: dict[int, Storage] = {}
    for (block,), own in zip(blocks, blocks, strict=True):
        if id(block.storage) not in stand_ins:
            stand_ins[id(block.storage)] = block.storage.times(whole - 2)
        own += [AbstractArray(block.shape, block.dtype, stand_ins[id(block.storage)]) for _ in range(whole - 2)]
    with repeated(whole - 1):
        yield (whole - 1) * step, whole * step
    if whole * step < size:
        yield whole * step, size


def _rows_per_example(y: Any, arguments: Arguments, leaves: Sequence[Node], level: int, chunk_size: int | None, batch: int) -> Any:
    """`[B, *out, *in]` per array with examples, from a cotangent per feature; `[B, *out, *parameter]` per parameter."""
    primals, shared = arguments.primals, shared_by_examples(arguments)
    _check_examples(y, [leaf for leaf, s in zip(leaves, shared, strict=True) if not s], level, batch)
    value = below(y, level)
    shape = tuple(value.shape)
    check_rows(shape, batch)
    features = math.prod(shape[1:])

    def cotangent(rows: slice) -> Any:
        return fill(as_rows(eye_of(value, features, rows), (1, *shape[1:])), shape, 1)

    apart = [i for i, s in enumerate(shared) if not s]
    blocks: list[Any] = [None] * len(primals)
    pulled = _pulled(y, cotangent, features, chunk_size, [primals[i] for i in apart], [leaves[i] for i in apart], level)
    for i, block in zip(apart, pulled, strict=True):
        inner = tuple(primals[i].shape)[1:]
        if block is None:
            blocks[i] = zeros_of(primals[i], (*shape, *inner))
        else:
            in_front = permute(block, (1, 0, *range(2, block.ndim))).reshape((*shape, *inner))
            blocks[i] = in_front if _is_writable(in_front) else in_front.copy()
    for i, s in enumerate(shared):
        if s:
            (blocks[i],) = _rows(y, [primals[i]], [leaves[i]], level, chunk_size)
    return arguments.pack(blocks)


def _is_writable(array: Any) -> bool:
    """Whether a block is the caller's to change: where the function hands its variable back, it is a broadcast view."""
    flags = getattr(array, "flags", None)
    return flags is None or flags.writeable


def _diagonal(y: Any, arguments: Arguments, leaves: Sequence[Node], level: int) -> Any:
    """The derivative of element `i` of `y` by element `i` of each variable, in the variable's shape."""
    _check_elements(y, leaves, level)
    value = below(y, level)
    for primal in arguments.primals:
        check_elements(value.shape, primal.shape)
    found = pull([y], [ones_of(value)], level)
    taken: set[int] = set()
    return arguments.pack(
        [
            zeros_of(primal) if found.get(leaf) is None else own_memory(found[leaf], taken)
            for leaf, primal in zip(leaves, arguments.primals, strict=True)
        ]
    )


def sparse_jacobian(
    function: Callable[..., Any], argnums: int | tuple[int, ...], patterns: Patterns, check: bool, chunk_size: int | None = None
) -> Callable[..., Any]:
    """Rows of one colour by one cotangent; with `check`, one cotangent more."""

    def evaluated(arguments: Arguments, pattern: Pattern, extra: Any = None) -> tuple[Any, Any, Any]:
        """The entries, the derivative along `extra`, and that if it is to be drawn."""
        (variable,) = arguments.primals
        out, leaves, level = run(function, arguments)
        y = one_result(patterns.transform, results(patterns.transform, out)[0])
        value = below(y, level)
        pattern.check_shape(tuple(value.shape), tuple(variable.shape))
        if check and extra is None:
            extra = probe(pattern, 0, value)
        colours = pattern.colours_of_rows
        count = count_of(colours) + check

        def cotangent(rows: slice) -> Any:
            return as_rows(by_colour(value, colours, rows, extra), value.shape)

        (block,) = _pulled(y, cotangent, count, chunk_size, [variable], leaves, level)
        block = zeros_of(variable, (count, pattern.shape[1])) if block is None else block.reshape((count, pattern.shape[1]))
        return block[colours[pattern.rows], pattern.columns], block[-1:], extra

    def differentiated(*args: Any) -> Any:
        arguments = Arguments(patterns.transform, args, argnums)
        variable = single(arguments)
        pattern = patterns.of(arguments)
        pattern.check_columns(tuple(variable.shape))
        moment = Moment()
        *found, extra = evaluated(arguments, pattern)
        result = pattern.sparse(found[0])
        if extra is not None:

            def again(stretch: float, direction: Any) -> tuple[Any, Any]:
                with moment.again():
                    return evaluated(arguments.at([variable * stretch]), pattern, direction)[:2]

            check_entries(pattern, extra, (found[0], found[1]), 0, again)
        return result

    return differentiated


def _check_examples(y: Any, leaves: Sequence[Node], level: int, batch: int) -> None:
    """Hold every operation between the variables, which have examples along axis 0, and `y` against what its kernel declares of them."""
    owners: dict[Node, Owners] = {leaf: own_rows(tuple(leaf.shape)) for leaf in leaves}
    for node in _behind(y, level):
        own = {i: owners[parent] for i, parent in enumerate(node.parents) if parent in owners}
        if own:
            owners[node] = owners_after(node.kernel, own, _shapes(node), tuple(node.shape), node.params)
    if isinstance(y, Tensor) and y.level == level and y.carried in owners:
        check_owners(owners[y.carried], tuple(y.shape), batch)


def _check_elements(y: Any, leaves: Sequence[Node], level: int) -> None:
    """Raise unless every operation between the variables and `y` acts element by element."""
    reached = set(leaves)
    for node in _behind(y, level):
        from_variable = [parent for parent in node.parents if parent in reached]
        if not from_variable:
            continue
        kernel = node.kernel
        if not kernel.keeps_order and not (kernel.partials and all(parent.shape == node.shape for parent in from_variable)):
            raise mixes_elements(kernel)
        reached.add(node)


def _behind(y: Any, level: int) -> list[Node]:
    """The operations that `y` depends on, oldest first."""
    root = y.carried if isinstance(y, Tensor) and y.level == level else None
    found: set[Node] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node is not None and not node.is_leaf and node not in found:
            found.add(node)
            waiting += open_chain(node).parents
    return sorted(found, key=lambda node: node.order)


def _shapes(node: Node) -> tuple[Shape, ...]:
    """The shapes of the operands; of constants that nothing is kept of, an empty one."""
    if node.shapes:
        return tuple(map(tuple, node.shapes))
    pairs = zip(node.parents, node.primals, strict=True)
    return tuple(tuple(getattr(x if parent is None else parent, "shape", ())) for parent, x in pairs)
