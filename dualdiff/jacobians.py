"""Jacobians in forward mode, column by column of inputs; those with structure carry fewer directions than there are inputs.

- One row per example (`per_example=True`): a direction per feature, shared by all examples.
- Element by element (`structure="diagonal"`): one direction, which is the diagonal.
- Sparse (`sparsity=...`): a direction per colour of columns, no two columns of a colour having an entry in one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from diffcore.dispatch import new_level
from diffcore.examples import check_owners
from diffcore.replay import Moment
from diffcore.seeds import ones_of, zeros_of
from diffcore.sparsity import Pattern, Patterns, by_colour, check_entries, count_of, detected, one_result, probe, single
from diffcore.structured import as_rows, batch_size, check_elements, check_options, check_rows, shared_by_examples
from diffcore.transforms import Arguments, positions, results
from dualdiff import collecting
from dualdiff.forms import IDENTITY, Diagonal
from dualdiff.plans import Plans, Plant, Run, below, seeded
from dualdiff.seeding import Elements, Family, Features, Seeding, Variable
from dualdiff.tensor import Tensor, directions_last


def jacobian(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    per_example: bool = False,
    structure: str = "dense",
    sparsity: Any = None,
    check: bool = False,
    seeding: str = "parameters",
    memory: int | str | None = None,
) -> Callable[..., Any]:
    """The function that returns the Jacobian of `function`, column by column of inputs: shape `[*output, *input]` per output and input.

    Structures of outputs and inputs nest, outputs outside, as in `jax.jacfwd`. `seeding` and `memory` as for `value_and_grad`; the
    Jacobian itself is not among the bytes of `memory`.

    **Arguments:** `per_example`: `function` maps each of the `B` examples along axis 0 on its own, `[B, *in]` to `[B, *out]`; returns
    `[B, *out, *in]` from one direction per feature. What others write `vmap(jacfwd(f))`. Parameters of a `Module` among the variables are
    shared by the examples, so their block is `[B, *out, *parameter]` as without it.
    `structure`: `"diagonal"` for a function that acts element by element: returns the diagonal alone, in the variable's shape, from one
    direction.
    `sparsity`: where the Jacobian (output elements, input elements) of one array by one array may be other than zero: a matrix of
    `scipy.sparse` or a `BCOO` of jax's (every stored entry counts), a boolean array, or `"auto"`, which finds it anew at each call (see
    `jacobian_sparsity`).
    Takes a direction per colour of columns and returns a `scipy.sparse.csr_array` with the pattern's entries, on jax a `BCOO`.
    A pattern that leaves out entries gives wrong numbers; `check=True` adds a random direction that shows it, and raises.

    Raises `GradientError` for results that are not floating point, and naming the kernel where `function` does not keep examples
    (elements) apart, or runs a kernel that does not declare it; `ShapeError` where its shapes do not fit, `ValueError` for options that
    exclude each other.
    """
    argnums = positions("jacobian", argnums)
    check_options(per_example, structure, sparsity, check)
    if sparsity is not None:
        patterns = Patterns("jacobian", sparsity, lambda arguments: detected(function, arguments))
        return sparse_jacobian(function, argnums, patterns, check, memory)
    if structure == "diagonal":
        if memory is not None:
            raise ValueError(f'jacobian: `memory` (={memory!r}) cannot lower what structure="diagonal" takes, which is one direction')
        return _diagonal(function, argnums)
    return columns_of("jacobian", function, argnums, per_example, seeding, memory)


def columns_of(
    transform: str,
    function: Callable[..., Any],
    argnums: int | tuple[int, ...],
    per_example: bool = False,
    seeding: str = "parameters",
    memory: int | str | None = None,
) -> Callable[..., Any]:
    """`jacobian` but for patterns and diagonals, as part of `transform`, which is what errors speak of."""
    plant = _by_features if per_example else seeded
    plans = Plans(function, seeding, memory)

    def differentiated(*args: Any) -> Any:
        arguments = Arguments(transform, args, argnums)
        batch = batch_size(arguments) if per_example else None
        rows, values, build = plans.evaluate(arguments, lambda runs: _blocks(function, arguments, runs, plant, batch), plant)
        shapes = [tuple(p.shape) for p in arguments.primals]
        if per_example:
            shapes = [s if shared else s[1:] for s, shared in zip(shapes, shared_by_examples(arguments), strict=True)]
        return build([_columns(row, value, arguments, shapes) for row, value in zip(rows, values, strict=True)])

    return differentiated


def _by_features(arguments: Arguments, level: int, seeding: Seeding) -> tuple[list[Tensor], list[Variable]]:
    """Variables of `level`: arrays with a direction per feature, parameters with one per element."""
    tensors, seeds = seeded(arguments, level, seeding)
    for i, (primal, shared) in enumerate(zip(arguments.primals, shared_by_examples(arguments), strict=True)):
        if not shared:
            whole = Features(tuple(primal.shape)[1:], seeding, ("variable", i))
            seeds[i] = whole if seeding.windows is None else Features(whole.shape, seeding, whole.key, whole)
            tensors[i] = Tensor._seeded(primal, level, seeds[i])
    return tensors, seeds


def _blocks(
    function: Callable[..., Any], arguments: Arguments, runs: Iterable[Run], plant: Plant, batch: int | None = None
) -> tuple[list[list[Any]], list[Any], Any]:
    """Per output of `function` the derivative by each variable, `[n, *shape]`; its values; and how it is built of outputs."""
    rows: list[list[Any]] = []
    values: list[Any] = []
    build: Any = None
    taken: set[int] = set()
    for run in runs:
        level = new_level()
        variables, seeds = plant(arguments, level, run.seeding)
        outs, build = results(arguments.transform, run.call(function, arguments, variables, level))
        rows = rows or [[None] * len(seeds) for _ in outs]
        for y, row in zip(outs, rows, strict=True):
            if batch is not None:
                _check_examples(y, level, batch)
            _add_columns(row, y, seeds, level, taken)
        values = [below(y, level) for y in outs]
        y = None
        del outs, variables  # or their tangents would live until the end of the next run
    return rows, values, build


def _check_examples(y: Any, level: int, batch: int) -> None:
    """Raise unless `y` has one row per example."""
    if isinstance(y, Tensor) and y.level == level:
        for seed in y.carried or {}:
            if isinstance(seed, Family) and seed.owners is not None:
                check_owners(seed.owners, tuple(y.shape), batch)
    check_rows(getattr(y, "shape", ()), batch)


def _add_columns(row: list[Any], y: Any, seeds: list[Variable], level: int, taken: set[int]) -> None:
    """Add what one run found of `dy / d variable` to `row`, as `[n, *shape of y]` per variable."""
    if not isinstance(y, Tensor) or y.level != level:
        return
    found = collecting.by_variable(y.carried or {}, y.primal)
    for i, seed in enumerate(seeds):
        for own in dict.fromkeys((seed, seed.whole)):
            if own in found:
                row[i] = collecting.added(row[i], own, found.pop(own), tuple(y.shape), taken)


def _columns(row: list[Any], value: Any, arguments: Arguments, shapes: Sequence[tuple[int, ...]]) -> Any:
    """The blocks of one output, `[n, *output]` per variable, as `[*output, *shape]`."""
    shape = tuple(value.shape)
    return arguments.pack(
        [
            zeros_of(value, (*shape, *own)) if block is None else directions_last(block, shape, own)
            for block, own in zip(row, shapes, strict=True)
        ]
    )


def _diagonal(function: Callable[..., Any], argnums: int | tuple[int, ...]) -> Callable[..., Any]:
    run = Run(Seeding("parameters"))

    def differentiated(*args: Any) -> Any:
        arguments = Arguments("jacobian", args, argnums)
        level = new_level()
        seeds = [Elements(tuple(p.shape), run.seeding, ("variable", i)) for i, p in enumerate(arguments.primals)]
        variables = [Tensor._seeded(p, level, seed) for p, seed in zip(arguments.primals, seeds, strict=True)]
        outs, build = results("jacobian", run.call(function, arguments, variables, level))
        return build([arguments.pack([_scale(y, p, seed, level) for p, seed in zip(arguments.primals, seeds, strict=True)]) for y in outs])

    return differentiated


def _scale(y: Any, primal: Any, seed: Elements, level: int) -> Any:
    """The derivative of element `i` of `y` by element `i` of the variable, in the variable's shape."""
    shape = tuple(primal.shape)
    check_elements(getattr(y, "shape", ()), shape)
    form = y.tangents.get(seed) if isinstance(y, Tensor) and y.level == level else None
    if form is None:
        return zeros_of(below(y, level), shape)
    assert isinstance(form, Diagonal)
    return ones_of(y.primal, shape) if form is IDENTITY or form.scale is None else form.scale.reshape(shape)


def sparse_jacobian(
    function: Callable[..., Any], argnums: int | tuple[int, ...], patterns: Patterns, check: bool, memory: int | str | None = None
) -> Callable[..., Any]:
    """Columns of one colour in one direction; with `check`, one direction more."""
    plans: dict[Any, Plans] = {}

    def evaluated(arguments: Arguments, pattern: Pattern, extra: Any) -> tuple[Any, Any]:
        """The entries, and the derivative along `extra`."""
        (variable,) = arguments.primals
        colours = pattern.colours_of_columns
        count = count_of(colours) + check

        def plant(arguments: Arguments, level: int, seeding: Seeding) -> tuple[list[Tensor], list[Variable]]:
            (primal,) = arguments.primals
            whole = Variable((count,), seeding, ("variable", 0))
            seed = whole if seeding.windows is None else Variable(whole.shape, seeding, whole.key, whole)
            directions = as_rows(by_colour(primal, colours, seed.rows, extra), primal.shape)
            return [Tensor(primal, level, {seed: directions})], [seed]

        if pattern not in plans:
            plans.clear()
            plans[pattern] = Plans(function, "parameters", memory)
        rows, values, _ = plans[pattern].evaluate(arguments, lambda runs: _blocks(function, arguments, runs, plant), plant)
        value, ((block,),) = one_result(patterns.transform, values), rows
        pattern.check_shape(tuple(value.shape), tuple(variable.shape))
        if block is None:
            block = zeros_of(value, (count, *value.shape))
        block = block.reshape((count, math.prod(value.shape)))
        return block[colours[pattern.columns], pattern.rows], block[-1:]

    def differentiated(*args: Any) -> Any:
        arguments = Arguments(patterns.transform, args, argnums)
        variable = single(arguments)
        pattern = patterns.of(arguments)
        pattern.check_columns(tuple(variable.shape))
        extra, moment = probe(pattern, 1, variable) if check else None, Moment()
        found = evaluated(arguments, pattern, extra)
        result = pattern.sparse(found[0])
        if extra is not None:

            def again(stretch: float, direction: Any) -> tuple[Any, Any]:
                with moment.again():
                    return evaluated(arguments.at([variable * stretch]), pattern, direction)

            check_entries(pattern, extra, found, 1, again)
        return result

    return differentiated
