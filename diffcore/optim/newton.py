"""Newton's method with the whole Hessian."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from diffcore.arrays import namespace
from diffcore.budget import parse_bytes
from diffcore.errors import LinAlgError, MemoryBudgetError
from diffcore.ops.solvers import cholesky, cholesky_solve, solve
from diffcore.optim.second_order import SecondOrder, Taken
from diffcore.seeds import array_under, eye_of


class Account(NamedTuple):
    """Bytes of a step on `parameters` numbers: the `hessian` as the engine delivers it, the `matrix` that is solved with (and then its
    factor, in the place of the former), `vectors`, and the `total`; `flops` of the solution. What the engine needs while it
    differentiates comes on top.
    """

    parameters: int
    hessian: int
    matrix: int
    vectors: int
    total: int
    flops: int


class Newton(SecondOrder):
    """`w <- w - lr * (H + damping * I)^-1 g` with the gradient `g` and the Hessian `H` of the loss over all parameters as one vector.

    It takes `n^2` numbers of memory, twice over, and `2/3 n^3` operations for `n` parameters: `account()` says how many bytes, and a
    step that needs more than `memory` is refused. Near a minimum with a Hessian that is not singular the number of correct digits
    doubles with every step; a quadratic loss is solved in one. Far from it, plain steps go to saddles and maxima as well.

    **Arguments:** `params`: tensors, or the network that has them; `lr`: the length of a step; `damping`: added to the diagonal;
    `line_search`: `None`, or `"armijo"`: the damping grows until `H + damping * I` is positive definite (from `1e-3` times its largest
    diagonal element, by tens), and the step is halved until the loss goes down enough (Nocedal and Wright 2006, "Numerical optimization",
    algorithms 3.3 and 3.1); `memory`: a bound in bytes, or text such as `"256MB"`.

    Raises `MemoryBudgetError` stating the need, `LinAlgError` for a singular `H + damping * I`, and `ValueError` for options out of range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        *,
        damping: float = 0.0,
        line_search: str | None = None,
        memory: int | str = "1GB",
    ) -> None:
        if line_search not in (None, "armijo"):
            raise ValueError(f"Newton: `line_search` (={line_search!r}) must be None or 'armijo'")
        parse_bytes(memory)
        super().__init__(params, {"lr": lr, "damping": damping, "line_search": line_search, "memory": memory})

    def account(self) -> Account:
        """What a step takes."""
        sizes = [(parameter.numel(), parameter.dtype.itemsize) for parameter in self._variables]
        n, width = sum(size for size, _ in sizes), max((item for _, item in sizes), default=0)
        square = n * n * width
        return Account(n, square, square, 4 * n * width, 2 * square + 4 * n * width, 2 * n**3 // 3 + 2 * n * n)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step; returns the loss before it, a constant.

        **Arguments:** `closure`: computes the loss, one floating-point number, of the parameters, and does nothing else: it needs no
        `zero_grad` and no `backward`. It is called several times, with the same random numbers, and layers move their statistics once.
        """
        need, memory = self.account(), self.param_groups[0]["memory"]
        if need.total > parse_bytes(memory):
            raise MemoryBudgetError(
                f"Newton: `memory` (={memory!r}) is below the {need.total} bytes that the Hessian of {need.parameters} parameters takes, "
                f"with the matrix to solve with: raise it, or use NewtonCG, which keeps vectors only",
                need.total,
            )
        return super().step(closure)

    def _move(self, closure: Callable[[], Any], loss: Callable[..., Any], parameters: list[Any], value: Any, gradient: Any) -> None:
        options = self.param_groups[0]
        values = [parameter.array for parameter in parameters]
        matrix = _joined(self._engine.hessian(loss)(values), values)
        if options["line_search"] is None:
            self._shifted(parameters, values, _solved(matrix, gradient, options["damping"]), options["lr"])
            self.last = Taken(value, (gradient @ gradient) ** 0.5, options["lr"], options["damping"])
            return
        direction, damping = _descending(matrix, gradient, options["damping"])
        length = self._searched(closure, parameters, float(value), float(gradient @ direction), direction)
        self.last = Taken(float(value), float(gradient @ gradient) ** 0.5, length, damping)


def _joined(blocks: list[list[Any]], values: list[Any]) -> Any:
    """The Hessian `[n, n]` from blocks `[*shape_i, *shape_j]`, each let go when it has been taken."""
    rows: list[Any] = []
    while blocks:
        row = [array_under(block) for block in blocks.pop(0)]
        size = values[len(rows)].size
        rows.append(namespace(row).concatenate([block.reshape((size, -1)) for block in row], axis=1))
    return namespace(rows).concatenate(rows, axis=0)


def _damped(matrix: Any, damping: float) -> Any:
    return matrix + damping * eye_of(matrix, matrix.shape[0]) if damping else matrix


def _solved(matrix: Any, gradient: Any, damping: float) -> Any:
    try:
        return -solve(_damped(matrix, damping), gradient)
    except LinAlgError as error:
        raise LinAlgError(f"Newton: the Hessian is singular ({error}): `damping` (={damping}) must be larger") from None


def _descending(matrix: Any, gradient: Any, damping: float) -> tuple[Any, float]:
    """The direction for the least damping tried with which the matrix is positive definite, and that damping."""
    scale = float(abs(matrix.diagonal()).max())
    if not float(abs(matrix).max()) < math.inf:
        raise LinAlgError("Newton: the Hessian holds numbers that are infinite or NaN")
    grown = damping
    while True:
        try:
            factor = cholesky(_damped(matrix, grown))
        except LinAlgError:
            grown = max(10 * grown, 1e-3 * scale, 1e-12)
            continue
        return -cholesky_solve(gradient.reshape((-1, 1)), factor).reshape((-1,)), grown
