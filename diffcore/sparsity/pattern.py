"""Where a Jacobian may be other than zero, and how few directions find all that is there.

Columns of a matrix that have no row in common can be found in one direction: the sum of theirs (Curtis, Powell, Reid 1974, "On the
estimation of sparse Jacobian matrices"). So the columns are coloured, any two that share a row differently, and there is one direction per
colour; in reverse mode the rows. Colours are given greedily, columns with the most neighbours first (Welsh, Powell 1967), by networkx.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_traced, namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import Boxed
from diffcore.errors import AbstractValueError, GradientError, ShapeError
from diffcore.nn.module import Module
from diffcore.replay import Moment
from diffcore.seeds import array_under, zeros_of
from diffcore.structured import shared_by_examples
from diffcore.transforms import Arguments

AGAIN = 32
"""Evaluations that tell rounding from entries that a pattern leaves out."""
STRETCH = 2.0**-9
"""How far the variable is stretched at most for them: what is rounded has other digits then, also with half precision."""
FAR = 5
"""The spread times this is what rounding may differ by: with so many evaluations the mean of anything random stays far below."""


class Pattern:
    """The entries `(rows[e], columns[e])` of a matrix of `shape` that may be other than zero, row by row and each once."""

    def __init__(self, matrix: Any) -> None:
        """From a matrix of `scipy.sparse` or a `BCOO` (every stored entry counts, also a stored zero) or an array (what is not zero)."""
        import scipy.sparse

        matrix = _from_jax(matrix)
        is_dense = is_array(matrix) and not isinstance(matrix, AbstractArray) and not is_traced(matrix)
        if not is_dense and not scipy.sparse.issparse(matrix):
            got = repr(matrix) if isinstance(matrix, str) else type(matrix).__name__
            raise TypeError(f'jacobian: `sparsity` must be a matrix of scipy.sparse, a BCOO, an array of two axes or "auto", got {got}')
        if len(matrix.shape) != 2:
            raise ShapeError(f"jacobian: `sparsity` must have two axes, (output elements, input elements), got shape {tuple(matrix.shape)}")
        stored = scipy.sparse.coo_array(np.asarray(matrix) if is_dense else matrix)
        made = scipy.sparse.coo_array((np.ones(len(stored.data), bool), stored.coords), shape=stored.shape).tocsr()
        made.sum_duplicates()
        self.shape: tuple[int, int] = made.shape
        self.starts, self.columns = made.indptr, made.indices
        self.rows = np.repeat(np.arange(made.shape[0]), np.diff(made.indptr))
        self.matrix = made

    def is_like(self, other: Pattern) -> bool:
        """Whether `other` has the same entries."""
        return self.shape == other.shape and np.array_equal(self.starts, other.starts) and np.array_equal(self.columns, other.columns)

    def check_columns(self, variable: tuple[int, ...]) -> None:
        """Raise `ShapeError` unless there is a column per element of the variable."""
        if self.shape[1] != math.prod(variable):
            raise ShapeError(
                f"jacobian: `sparsity` has shape {self.shape}, but must have a row per output element and a column for each of the "
                f"{math.prod(variable)} elements of the variable {variable}"
            )

    def check_shape(self, out: tuple[int, ...], variable: tuple[int, ...]) -> None:
        """Raise `ShapeError` unless this is a pattern for a result of shape `out` and a variable."""
        wanted = math.prod(out), math.prod(variable)
        if self.shape != wanted:
            turned = " (is it transposed?)" if self.shape == wanted[::-1] else ""
            raise ShapeError(
                f"jacobian: `sparsity` has shape {self.shape}, but the Jacobian of a result {out} by a variable {variable} has {wanted}: "
                f"a row per output element and a column per input element{turned}"
            )

    @cached_property
    def colours_of_columns(self) -> np.ndarray:
        """A number per column, from 0: columns of one colour share no row."""
        return _coloured(self.matrix.T.tocsr() @ self.matrix)

    @cached_property
    def colours_of_rows(self) -> np.ndarray:
        """A number per row, from 0: rows of one colour share no column."""
        return _coloured(self.matrix @ self.matrix.T.tocsr())

    def sparse(self, entries: Any) -> Any:
        """The matrix with these `entries` (one per entry of the pattern, in its order) as its backend has it.

        `scipy.sparse.csr_array` for numpy, `jax.experimental.sparse.BCOO` for jax; abstract arrays have no sparse form and stay what
        they are, one element per entry. Raises `GradientError` for tensors of an outer transform, which neither can hold.
        """
        if isinstance(entries, Boxed):
            raise GradientError(
                "jacobian: a sparse result holds arrays, so it cannot be differentiated in turn by an outer transform: "
                "leave `sparsity` out there"
            )
        if isinstance(entries, AbstractArray):
            return entries
        if isinstance(entries, np.ndarray):
            import scipy.sparse

            own = self.columns.copy(), self.starts.copy()  # scipy's methods in place change them
            return scipy.sparse.csr_array((entries, *own), shape=self.shape)
        from jax.experimental.sparse import BCOO

        places = namespace((entries,)).stack([self.rows, self.columns], axis=1)
        return BCOO((entries, places), shape=self.shape, indices_sorted=True, unique_indices=True)


def _from_jax(matrix: Any) -> Any:
    """A `jax.experimental.sparse.BCOO` as `scipy.sparse` has it, without the entries that only fill it up; others as they are.

    Its entries may be traced, its places may not be.
    """
    import scipy.sparse

    jax_sparse = sys.modules.get("jax.experimental.sparse")
    if jax_sparse is None or not isinstance(matrix, jax_sparse.BCOO):
        return matrix
    if matrix.n_batch or matrix.n_dense or matrix.ndim != 2:
        raise ShapeError(
            f"jacobian: `sparsity` must have two axes, both of them sparse, got a BCOO of shape {tuple(matrix.shape)} with "
            f"n_batch={matrix.n_batch} and n_dense={matrix.n_dense}"
        )
    if is_traced(matrix.indices):
        raise AbstractValueError("jacobian: `sparsity` must say where entries are, which a BCOO traced by `jax.jit` does not")
    rows, columns = np.asarray(matrix.indices).T
    inside = (rows < matrix.shape[0]) & (columns < matrix.shape[1])
    return scipy.sparse.coo_array((np.ones(inside.sum(), bool), (rows[inside], columns[inside])), shape=matrix.shape)


def _coloured(shared: Any) -> np.ndarray:
    """Colours of the vertices of a graph, given as a matrix of which vertices exclude each other; its diagonal says nothing."""
    count = shared.shape[0]
    if shared.nnz == count * count:  # a full row: all exclude each other
        return np.arange(count)
    import networkx
    import scipy.sparse

    graph = networkx.from_scipy_sparse_array(scipy.sparse.triu(shared, k=1))
    found = networkx.greedy_color(graph, strategy="largest_first")
    return np.fromiter((found[i] for i in range(count)), np.intp, count)


def count_of(colours: np.ndarray) -> int:
    """How many colours there are."""
    return int(colours.max(initial=-1)) + 1


def by_colour(like: Any, colours: np.ndarray, chosen: slice = slice(None), extra: Any = None) -> Any:
    """Row `c` has ones where `colours` is `c`, for the colours of `chosen`: `[k, n]` in the dtype and on the backend of `like`.

    With `extra`, numbers `[n]`, the row after that of the last colour holds these.
    """
    total = count_of(colours) + (extra is not None)
    start, stop, _ = chosen.indices(total)
    array = array_under(like)
    if isinstance(array, AbstractArray):
        return zeros_of(array, (stop - start, len(colours)))
    inside = np.flatnonzero((colours >= start) & (colours < stop))
    seeds = np.zeros((stop - start, len(colours)), array.dtype)
    seeds[colours[inside] - start, inside] = 1
    if extra is not None and stop == total > start:
        seeds[-1] = extra
    return namespace((array,)).asarray(seeds)


def single(arguments: Arguments) -> Any:
    """The one variable of a sparse Jacobian. Raises `ValueError` where there are several, or parameters of a `Module`."""
    if arguments.single and len(arguments.primals) == 1 and not shared_by_examples(arguments)[0]:
        return arguments.primals[0]
    nets = [(n, arguments.args[n]) for n in arguments.argnums if isinstance(arguments.args[n], Module)]
    if nets:
        position, net = nets[0]
        got = f"argument {position} is a Module ({type(net).__name__}), whose parameters are {len(list(net.parameters()))} arrays"
        others = [n for n, x in enumerate(arguments.args) if is_array(x) or isinstance(x, Boxed)]
        fix = f"differentiate by an array (`argnums={others[0]}`)" if others else "differentiate by an array"
    elif not arguments.single:
        several = len(arguments.argnums) > 1
        got = f"`argnums` (={arguments.argnums}) names {f'{len(arguments.argnums)} arguments' if several else 'a tuple of one'}"
        fix = f"name one (`argnums={arguments.argnums[0]}`)" + ", or join the arrays into one vector" * several
    else:
        got = f"argument {arguments.argnums[0]} holds {len(arguments.primals)} arrays"
        fix = "join them into one vector, and part that in the function"
    if not arguments.transform.endswith("_sparsity"):
        fix += ", or leave `sparsity` out"
    raise ValueError(f"{arguments.transform}: a sparse matrix has a column for each element of one array as variable, but {got}: {fix}")


def probe(pattern: Pattern, axis: int, like: Any) -> np.ndarray:
    """A direction (`axis` 1) or cotangent (`axis` 0) for `check_entries`. Raises where there will be no values to look at."""
    array = array_under(like)
    if isinstance(array, AbstractArray):
        raise AbstractValueError("jacobian: check=True compares values, and abstract arrays have none: leave `check` out")
    if is_traced(array):
        raise AbstractValueError("jacobian: check=True compares values, which arrays traced by `jax.jit` have not: leave `check` out")
    return _rounded(np.random.default_rng(pattern.shape[axis]).normal(size=pattern.shape[axis]), array.dtype)


def _rounded(direction: np.ndarray, dtype: Any) -> np.ndarray:
    """The numbers that `by_colour` makes of a direction."""
    return direction.astype(dtype).astype(np.float64)


Evaluation = tuple[Any, Any]
"""Entries, and what the Jacobian is along a direction (cotangent)."""


def check_entries(
    pattern: Pattern, direction: np.ndarray, found: Evaluation, axis: int, again: Callable[[float, np.ndarray], Evaluation]
) -> None:
    """Hold entries against what the Jacobian is along one random direction, `J v` (`axis` 1) or `u J` (`axis` 0).

    Entries outside of the pattern change it, and so does rounding: by more than the precision of the result where derivatives cancel or
    are of a coarser type on the way. Where it differs by more than the square root of the precision, in relation to its row's entries,
    `again(stretch, direction)` evaluates at the variable times `stretch`, a number near 1, along a multiple of the direction. That leaves
    what comes of entries as it is, and rounds anew. So a difference is that of entries where it exceeds by far its own spread.

    Raises `GradientError` naming rows (columns) that differ.
    """
    dtype = getattr(found[1], "dtype", np.float64)
    off, scale = _difference(pattern, direction, found, axis)
    with np.errstate(invalid="ignore"):
        doubtful = np.flatnonzero(~(np.abs(off) <= math.sqrt(float(namespace((array_under(found[1]),)).finfo(dtype).eps)) * scale))
    if len(doubtful):
        rng, offs = np.random.default_rng(0), []
        for length, stretch in zip(rng.uniform(1, 2, AGAIN), rng.uniform(1 - STRETCH, 1 + STRETCH, AGAIN), strict=True):
            longer = _rounded(direction * length, dtype)
            offs.append(_difference(pattern, longer, again(float(stretch), longer), axis)[0][doubtful] / length)
        with np.errstate(invalid="ignore"):
            doubtful = doubtful[~(np.abs(np.mean(offs, axis=0)) <= FAR * np.std(offs, axis=0))]
    if len(doubtful):
        what = "row" if axis == 1 else "column"
        raise GradientError(
            f"jacobian: `sparsity` leaves out entries that are not zero: {len(doubtful)} {what}{'s' * (len(doubtful) > 1)} of the Jacobian "
            f"(first: {what} {doubtful[0]}) differ from what a random direction finds; use a pattern that covers every entry, "
            f'e.g. sparsity="auto"'
        )


def _difference(pattern: Pattern, direction: np.ndarray, found: Evaluation, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """What entries give along a direction less what was found there, and the sum of the magnitudes of both; 0 where both are infinite."""
    import scipy.sparse

    entries, along = (np.asarray(x).astype(np.float64).reshape(-1) for x in found)
    matrix = scipy.sparse.csr_array((entries, pattern.columns, pattern.starts), shape=pattern.shape)
    matrix = matrix if axis == 1 else matrix.T
    product = matrix @ direction
    with np.errstate(invalid="ignore"):
        off = np.where(product == along, 0.0, product - along)
        scale = abs(matrix) @ np.abs(direction) + np.abs(along)
    return off, np.where(np.isfinite(scale) | (off == 0), scale, 0.0)


class Patterns:
    """The pattern that one transform uses: the one given, or with `"auto"` the one that is found at each call.

    What was found is kept, so that the same pattern found again is not coloured anew.
    """

    def __init__(self, transform: str, sparsity: Any, detect: Callable[[Arguments], Pattern]) -> None:
        self.transform, self._detect = transform, detect
        self._last: Pattern | None = None
        self._given = None if isinstance(sparsity, str) and sparsity == "auto" else Pattern(sparsity)

    def of(self, arguments: Arguments) -> Pattern:
        """The pattern for a call."""
        if self._given is not None:
            return self._given
        with Moment().again():  # the run that differentiates draws the same random numbers, and is the one that moves state
            found = self._detect(arguments)
        if self._last is None or not found.is_like(self._last):
            self._last = found
        return self._last
