"""Where a Jacobian may be other than zero, and how few directions find all that is there.

Columns of a matrix that have no row in common can be found in one direction: the sum of theirs (Curtis, Powell, Reid 1974, "On the
estimation of sparse Jacobian matrices"). So the columns are coloured, any two that share a row differently, and there is one direction per
colour; in reverse mode the rows. Colours are given greedily, columns with the most neighbours first (Welsh, Powell 1967), by networkx.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_traced, namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import Boxed
from diffcore.errors import AbstractValueError, GradientError, ShapeError
from diffcore.replay import Moment
from diffcore.seeds import array_under, zeros_of
from diffcore.structured import shared_by_examples
from diffcore.transforms import Arguments


class Pattern:
    """The entries `(rows[e], columns[e])` of a matrix of `shape` that may be other than zero, row by row and each once."""

    def __init__(self, matrix: Any) -> None:
        """From a matrix of `scipy.sparse` (every stored entry counts, also a stored zero) or a two-dimensional array (what is not zero)."""
        import scipy.sparse

        is_dense = is_array(matrix) and not isinstance(matrix, AbstractArray) and not is_traced(matrix)
        if not is_dense and not scipy.sparse.issparse(matrix):
            got = repr(matrix) if isinstance(matrix, str) else type(matrix).__name__
            raise TypeError(f'jacobian: `sparsity` must be a matrix of scipy.sparse, an array of two axes or "auto", got {got}')
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
    inside = np.flatnonzero((colours >= start) & (colours < stop))
    array = array_under(like)
    seeds = np.zeros((stop - start, len(colours)), array.dtype)
    seeds[colours[inside] - start, inside] = 1
    if extra is not None and stop == total > start:
        seeds[-1] = extra
    if isinstance(array, AbstractArray):
        return zeros_of(array, seeds.shape)
    return namespace((array,)).asarray(seeds)


def single(arguments: Arguments) -> Any:
    """The one variable of a sparse Jacobian. Raises `ValueError` where there are several, or parameters of a `Module`."""
    if not arguments.single or len(arguments.primals) != 1 or shared_by_examples(arguments)[0]:
        raise ValueError(
            "jacobian: `sparsity` is for one array as variable: a sparse matrix has a column per element of it; name one array by `argnums`"
        )
    return arguments.primals[0]


def probe(pattern: Pattern, axis: int, like: Any) -> np.ndarray:
    """A direction (`axis` 1) or cotangent (`axis` 0) for `check_entries`. Raises where there will be no values to look at."""
    array = array_under(like)
    if isinstance(array, AbstractArray):
        raise AbstractValueError("jacobian: check=True compares values, and abstract arrays have none: leave `check` out")
    if is_traced(array):
        raise AbstractValueError("jacobian: check=True compares values, which arrays traced by `jax.jit` have not: leave `check` out")
    return np.random.default_rng(pattern.shape[axis]).normal(size=pattern.shape[axis])


def check_entries(pattern: Pattern, entries: Any, direction: np.ndarray, found: Any, axis: int) -> None:
    """Hold a sparse Jacobian against what it should be along one random direction, `J v` (`axis` 1) or `u J` (`axis` 0).

    Entries outside of the pattern change it (unless they are below the square root of the precision, in relation to their row's). Raises
    `GradientError` naming rows (columns) that differ.
    """
    import scipy.sparse

    values = np.asarray(entries, np.float64)
    matrix = scipy.sparse.csr_array((values, pattern.columns, pattern.starts), shape=pattern.shape)
    expected = np.asarray(found, np.float64).reshape(-1)
    along = matrix if axis == 1 else matrix.T
    product, scale = along @ direction, abs(along) @ np.abs(direction) + np.abs(expected)
    precision = float(np.finfo(np.asarray(found).dtype).eps)
    with np.errstate(invalid="ignore"):
        near = np.isfinite(scale) & (np.abs(product - expected) <= math.sqrt(precision) * scale)
    right = near | (product == expected)  # a NaN is never right
    wrong = np.flatnonzero(~right)
    if len(wrong):
        what = "row" if axis == 1 else "column"
        raise GradientError(
            f"jacobian: `sparsity` leaves out entries that are not zero: {len(wrong)} {what}{'s' * (len(wrong) > 1)} of the Jacobian "
            f"(first: {what} {wrong[0]}) differ from what a random direction finds; use a pattern that covers every entry, "
            f'e.g. sparsity="auto"'
        )


class Patterns:
    """The pattern that one transform uses: the one given, or with `"auto"` the one that is found at each call.

    What was found is kept, so that the same pattern found again is not coloured anew.
    """

    def __init__(self, sparsity: Any, detect: Callable[[Arguments], Pattern]) -> None:
        self._detect = detect
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
