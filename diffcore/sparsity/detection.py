"""The pattern of a Jacobian, found by following which inputs each element of each intermediate result depends on.

The function is run once on tensors that carry, per element, the set of inputs it depends on: a boolean sparse matrix `[elements, inputs]`.
What a kernel makes of it follows from what the kernel declares:

- elementwise: the union over the operands, broadcast;
- a view or a reshape: the sets of the elements that are taken;
- linear, also in each of several operands, or a choice of elements as a maximum is: the kernel itself, pushing random numbers;
- all others: along axes that the kernel carries apart an element depends on its own position alone, along the rest on all.

So no entry is missed: an element may be said to depend on more than it does, never on less. This holds for the path that the function takes
at its arguments and for the constants it meets, whose zeros count as zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_float
from diffcore.dispatch import new_level, unboxed
from diffcore.examples import is_unknown
from diffcore.kernels.record import Call, Kernel, Shape
from diffcore.modes import Mode
from diffcore.sparsity.pattern import Pattern, single
from diffcore.tensor import TensorSurface
from diffcore.transforms import Arguments, positions, results, scalar_of


class Dependence(NamedTuple):
    """Per element the set of inputs it depends on: a `scipy.sparse.csr_array` of booleans `[elements, inputs]`.

    `curved` are the sets of all elements that nonlinear kernels made, where a Hessian's pattern is looked for.
    """

    sets: Any
    curved: list[Any] | None


_AT_ONCE = 1 << 20
"""Elements of the dense arrays that a linear kernel pushes at once."""


class Traced(TensorSurface):
    """A value with, per element, the set of inputs it depends on."""

    __slots__ = ()
    engine = "sparsity"
    carried: Dependence | None
    _mode = Mode()

    def _like(self, primal: Any) -> Traced:
        return Traced(primal, self.level)

    def _leaf(self) -> None:
        return None

    @staticmethod
    def follow(kernel: Kernel, primals: list[Any], carried: list[Any], mask: int, out: Any, aux: Any, params: dict[str, Any]) -> Any:
        """What the elements of `out = kernel(*primals)` depend on; `None` for a constant."""
        if kernel.pushforward is None or not is_float(out.dtype):
            return None
        curved = next(what.curved for what in carried if what is not None)
        carried = [None if what is None else what.sets for what in carried]
        shapes = tuple(tuple(getattr(x, "shape", ())) for x in primals)
        call = Call(kernel, primals, out, params, shapes, tuple(out.shape), aux)
        total = None
        for i, sets in enumerate(carried):
            if sets is not None:
                part = _through(call, i, sets, carried)
                if part is not None:
                    total = part if total is None else total + part
        if total is None or not total.nnz:
            return None
        if curved is not None and not _is_affine(call, carried):
            curved.append(total)
        return Dependence(total, curved)


Traced.box = Traced


def jacobian_sparsity(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The function that returns where the Jacobian of `function` may be other than zero: a boolean `scipy.sparse.csr_array`.

    Its shape is (output elements, input elements). No entry is missed along the path that `function` takes at the arguments given; where a
    kernel does not declare how its result depends on an operand, it is taken to depend on all of it. For `jacobian(..., sparsity=pattern)`
    at many points, when the pattern is the same at all.
    """
    position = positions("jacobian_sparsity", argnums)
    return lambda *args: detected(function, Arguments("jacobian_sparsity", args, position)).matrix


def detected(function: Callable[..., Any], arguments: Arguments) -> Pattern:
    """The pattern of the Jacobian of `function` at `arguments`, which has one variable and one array as its result."""
    import scipy.sparse

    out, level, size = _traced(function, arguments)
    out = unboxed(one_result(arguments.transform, results(arguments.transform, out)[0]))
    if isinstance(out, Traced) and out.level == level and out.carried is not None:
        return Pattern(out.carried.sets)
    return Pattern(scipy.sparse.csr_array((math.prod(getattr(out, "shape", ())), size), dtype=bool))


def hessian_sparsity(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The function that returns where the Hessian of a scalar-valued `function` may be other than zero; see `jacobian_sparsity`.

    Two inputs meet there when some element that a nonlinear kernel makes depends on both. So the pattern is symmetric.
    """
    position = positions("hessian_sparsity", argnums)
    return lambda *args: detected_twice(function, Arguments("hessian_sparsity", args, position)).matrix


def detected_twice(function: Callable[..., Any], arguments: Arguments) -> Pattern:
    """The pattern of the Hessian of `function` at `arguments`, which has one variable."""
    import scipy.sparse

    curved: list[Any] = []
    out, _, size = _traced(function, arguments, curved)
    scalar_of(arguments.transform, out)
    found = scipy.sparse.csr_array((size, size), dtype=bool)
    for sets in curved:
        found = found + sets.T.tocsr() @ sets
    return Pattern(found)


def _traced(function: Callable[..., Any], arguments: Arguments, curved: list[Any] | None = None) -> tuple[Any, int, int]:
    """The result of `function` on a variable that depends on itself, the level of both, and the number of inputs."""
    import scipy.sparse

    primal = single(arguments)
    size = math.prod(primal.shape)
    level = new_level()
    variable = Traced(primal, level, Dependence(scipy.sparse.eye_array(size, dtype=bool, format="csr"), curved))
    return arguments.call(function, [variable], lambda array: Traced(array, level)), level, size


def one_result(transform: str, outs: list[Any]) -> Any:
    """The one array that a function with a sparse Jacobian returns. Raises `ValueError` for several."""
    if len(outs) != 1:
        raise ValueError(
            f"{transform}: a sparse matrix has a row for each element of one array, so the function must be one that returns one array, "
            f"got {len(outs)}: join them into one vector"
        )
    return outs[0]


def _through(call: Call, i: int, sets: Any, carried: list[Any]) -> Any:
    """The sets of the elements of a result, as far as they come through operand `i`; `None` where no derivative does."""
    kernel, size, shape = call.kernel, math.prod(call.shapes[i]), call.shapes[i]
    if kernel.partials:
        if kernel.partials[i] is None:
            return None
        return sets if shape == call.shape else sets[np.broadcast_to(np.arange(size).reshape(shape), call.shape).reshape(-1)]
    if kernel.keeps_order:
        return sets
    if not size or not math.prod(call.shape):
        return None
    if kernel.view and not is_unknown(call.params):
        return sets[np.asarray(kernel.compute(np, np.arange(size).reshape(shape), **call.params)).reshape(-1)]
    if _is_linear(call, i) and not is_unknown([call.params, *_choices(call).values()]) and math.prod(call.shape) > 1:
        return _pushed(call, i, sets, carried)
    return _by_axes(call, i, sets)


def _is_linear(call: Call, i: int) -> bool:
    """Whether the result is linear in operand `i`, with coefficients that are products of other operands, if these have a part in it.

    That is so where what its cotangent reads depends on no value of it, and where that is another operand, the same holds for all operands.
    (A solution is linear in the right-hand side, but the matrix has its inverse as coefficients.)
    """
    kernel, moving = call.kernel, _moving(call)
    if kernel.variadic or not kernel.keeps[i] - _choices(call).keys():
        return True
    return all(not keeps & {*moving, name} for keeps, name in zip(kernel.keeps, kernel.operands, strict=True))


def _choices(call: Call) -> dict[str, Any]:
    """What a kernel keeps that says which elements it took, as a maximum does: near the arguments it stays the same."""
    return {name: x for name, x in zip(call.kernel.aux, call.aux, strict=True) if hasattr(x, "dtype") and not is_float(x.dtype)}


def _moving(call: Call) -> set[str]:
    """What a kernel keeps that depends on the values of its operands by more than a choice."""
    return {"out", *call.kernel.aux} - _choices(call).keys()


def _is_affine(call: Call, carried: list[Any]) -> bool:
    """Whether no derivative of the kernel reads anything that depends on the variable, so that its second derivatives are zero."""
    kernel = call.kernel
    if kernel.variadic:
        return True
    moving = [i for i, sets in enumerate(carried) if sets is not None]
    read = frozenset[str]().union(*(kernel.keeps[i] for i in moving))
    return not read & {*_moving(call), *(kernel.operands[i] for i in moving)}


def _pushed(call: Call, i: int, sets: Any, carried: list[Any]) -> Any:
    """The kernel itself pushes random numbers in place of the sets: no sum of these is zero, unless it is a sum of nothing."""
    import scipy.sparse

    size, width = math.prod(call.shape), sets.shape[1]
    primals = [_stand_in(x, what is not None) for x, what in zip(call.primals, carried, strict=True)]
    choices = _choices(call)
    aux = tuple(np.asarray(choices[name]) if name in choices else x for name, x in zip(call.kernel.aux, call.aux, strict=True))
    positive = Call(call.kernel, primals, None, call.params, call.shapes, call.shape, aux)
    numbers = sets.tocsc().astype(np.float64)
    numbers.data[:] = np.random.default_rng(0).uniform(1, 2, len(numbers.data))
    used = np.flatnonzero(np.diff(numbers.indptr))
    step = max(_AT_ONCE // max(size, math.prod(call.shapes[i])), 1)
    parts = []
    for start in range(0, len(used), step):
        columns = used[start : start + step]
        given: list[Any] = [None] * len(primals)
        given[i] = numbers[:, columns].toarray().T.reshape((len(columns), *call.shapes[i]))
        pushed = np.asarray(call.kernel.pushforward(positive, tuple(given))).reshape((len(columns), size))  # type: ignore[misc]
        at, elements = np.nonzero(pushed)
        parts.append((elements, columns[at]))
    rows, places = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else (np.zeros(0, int),) * 2
    return scipy.sparse.csr_array((np.ones(len(rows), bool), (rows, places)), shape=(size, width))


def _stand_in(x: Any, depends: bool) -> Any:
    """Positive numbers in place of an operand: magnitudes of a constant, whose zeros stay, and ones where there is no telling."""
    if not hasattr(x, "shape"):
        return x
    if not depends and not is_unknown(x):
        values = np.asarray(x)
        return np.abs(values).astype(np.float64) if is_float(values.dtype) else values
    return np.ones(tuple(x.shape))


def _by_axes(call: Call, i: int, sets: Any) -> Any:
    """By declaration alone: the union over all axes of the operand but those that the kernel carries apart."""
    import scipy.sparse

    shape = call.shapes[i]
    kept = [(axis, call.kernel.axis_after(axis, i, call.shapes, call.shape, call.params)) for axis in range(len(shape))]
    before = [axis for axis, after in kept if after is not None]
    after = [after for _, after in kept if after is not None]
    groups = math.prod(shape[axis] for axis in before)
    of_operand, of_result = _numbered(shape, before), _numbered(call.shape, after)
    each = np.arange(len(of_operand))
    members = scipy.sparse.csr_array((np.ones(len(each), bool), (of_operand, each)), shape=(groups, len(each)))
    return (members @ sets)[of_result]


def _numbered(shape: Shape, axes: list[int]) -> np.ndarray:
    """For each element of an array of `shape` the number of its position along `axes`, in their order."""
    number: Any = np.zeros(shape, np.intp)
    for axis in axes:
        position = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        number = number * shape[axis] + position
    return number.reshape(-1)
