"""What several checks need of one row of the table, worked out once: its value, and its derivatives by reverse mode as the reference."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np

import revdiff
from diffcore.arrays import is_float
from diffcore.kernels.record import Call
from diffcore.testing import Scenario, active, calls_of, weighted


class Trial:
    """One row. Operands are drawn anew for each use, so that a check that changed them would not be forgiven."""

    def __init__(self, row: Scenario) -> None:
        self.row = row
        self.id, self.function, self.variables = row.id, row.function, row.variables
        self.methods: set[str] = set()
        """How derivatives were estimated from values, once they were (see `check_derivative`)."""

    def operands(self, dtype: Any = np.float64) -> tuple[Any, ...]:
        """The row's operands."""
        return self.row.operands(dtype)

    @cached_property
    def value(self) -> Any:
        """The value on numpy arrays."""
        return self.function(*self.operands())

    @property
    def has_derivative(self) -> bool:
        """Whether both operands and result are floating point somewhere."""
        return bool(self.variables) and is_float(self.value.dtype)

    @property
    def smooth(self) -> bool:
        """Whether there is a derivative that everyone agrees on."""
        return self.has_derivative and self.row.smooth

    @cached_property
    def calls(self) -> list[Call]:
        """Every kernel call of the program."""
        return calls_of(self.row)

    @property
    def differentiable_calls(self) -> list[Call]:
        """The kernel calls that have rules to be checked."""
        return [call for call in self.calls if call.kernel.differentiable and active(call) and is_float(call.out.dtype)]

    @cached_property
    def precision(self) -> float:
        """How much coarser than float64 the coarsest dtype in the program is: engines may round there at different points."""
        kinds = [np.float64, *(call.out.dtype for call in self.calls if is_float(call.out.dtype))]
        return float(max(np.finfo(kind).eps for kind in kinds) / np.finfo(np.float64).eps)

    def scalar(self, *, squared: bool | None = None) -> Any:
        """A scalar program around the row's (see `weighted`), squared unless the row is at a kink."""
        return weighted(self.function, self.row.rng, self.value.shape, squared=self.row.smooth if squared is None else squared)

    @cached_property
    def along(self) -> tuple[Any, ...]:
        """A random direction for each variable."""
        rng, operands = self.row.rng, self.operands()
        return tuple(np.asarray(rng.standard_normal(operands[i].shape)) for i in self.variables)

    @cached_property
    def cotangent(self) -> Any:
        """A random cotangent of the value."""
        return np.asarray(self.row.rng.standard_normal(self.value.shape))

    def of_variables(self, function: Any) -> Any:
        """`function` of the variables alone, the other operands held."""
        operands = self.operands()

        def of_them(*values: Any) -> Any:
            full = list(operands)
            for i, value in zip(self.variables, values, strict=True):
                full[i] = value
            return function(*full)

        return of_them

    @property
    def primals(self) -> tuple[Any, ...]:
        """The operands that are variables."""
        operands = self.operands()
        return tuple(operands[i] for i in self.variables)

    # the reference

    @cached_property
    def jacobian(self) -> Any:
        """One block per variable."""
        return revdiff.jacobian(self.function, self.variables)(*self.operands())

    @cached_property
    def gradient(self) -> Any:
        """The gradient of `scalar()`."""
        return revdiff.grad(self.scalar(), self.variables)(*self.operands())

    @cached_property
    def hessian(self) -> Any:
        """The second derivatives of `scalar()`, a line of blocks per variable."""
        return revdiff.hessian(self.scalar(), self.variables)(*self.operands())


@lru_cache(maxsize=1024)
def trial(row: Scenario) -> Trial:
    """The trial of `row`, the same one each time."""
    return Trial(row)
