"""Newton's method with conjugate gradients: the Hessian is only multiplied with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffcore.optim.second_order import SecondOrder, Taken, _parts, _vector
from diffcore.whole import whole


class NewtonCG(SecondOrder):
    """Steps along an approximate solution `d` of `(H + damping * I) d = -g`, found by conjugate gradients on Hessian-vector products.

    A product costs a few times the gradient, and of numbers only some vectors of length `n` are kept. The solution is cut short where it
    is good enough, `|(H + damping * I) d + g| <= tol * |g|`, and where it meets a direction along which the loss bends down, so that `d`
    always leads down. The step is halved until the loss goes down enough.
    Nocedal and Wright 2006, "Numerical optimization", algorithm 7.1 (line-search Newton-CG); the default tolerance is theirs too.

    **Arguments:** `params`: tensors, or the network that has them; `lr`: the length of step that is tried first; `damping`: added to the
    diagonal; `tol`: by default `min(0.5, sqrt(|g|))`, so that steps far from the minimum are cheap and near it converge faster than
    linearly; `max_iter`: the most products for one step, by default as many as there are parameters.

    Raises `ValueError` for options out of range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        *,
        damping: float = 0.0,
        tol: float | None = None,
        max_iter: int | None = None,
    ) -> None:
        if tol is not None and not 0 <= tol < 1:
            raise ValueError(f"NewtonCG: `tol` (={tol!r}) must be at least 0 and below 1, or None")
        most = None if max_iter is None else whole(max_iter, least=1)
        if most is None and max_iter is not None:
            raise ValueError(f"NewtonCG: `max_iter` (={max_iter!r}) must be a positive integer or None")
        super().__init__(params, {"lr": lr, "damping": damping, "tol": tol, "max_iter": most})

    def _products(self, loss: Callable[..., Any], values: list[Any]) -> Callable[[list[Any]], list[Any]]:
        """The function that multiplies the Hessian of `loss` at `values` with a list of arrays like them."""
        return lambda along: self._engine.hvp(loss, values, along)

    def _move(self, closure: Callable[[], Any], loss: Callable[..., Any], parameters: list[Any], value: Any, gradient: Any) -> None:
        options = self.param_groups[0]
        values, damping = [parameter.array for parameter in parameters], options["damping"]
        norm = float(gradient @ gradient) ** 0.5
        product = self._products(loss, values)

        def multiplied(along: Any) -> Any:
            found = _vector(product(_parts(along, values)))
            return found + damping * along if damping else found

        tolerance = min(0.5, norm**0.5) if options["tol"] is None else options["tol"]
        limit = gradient.size if options["max_iter"] is None else options["max_iter"]
        direction, iterations, bends = _conjugate_gradients(multiplied, gradient, tolerance * norm, limit)
        length = self._searched(closure, parameters, float(value), float(gradient @ direction), direction)
        self.last = Taken(float(value), norm, length, damping, iterations, bends)


def _conjugate_gradients(multiplied: Callable[[Any], Any], gradient: Any, tolerance: float, limit: int) -> tuple[Any, int, bool]:
    """A direction of descent, how many products it took, and whether one of them met negative curvature."""
    solution, residual = gradient * 0, gradient
    direction, square = -gradient, float(gradient @ gradient)
    for iteration in range(limit):
        if square**0.5 <= tolerance:
            return solution, iteration, False
        image = multiplied(direction)
        curvature = float(direction @ image)
        if not curvature > 0:
            return (solution if iteration else direction), iteration + 1, True
        step = square / curvature
        solution = solution + step * direction
        residual = residual + step * image
        before, square = square, float(residual @ residual)
        direction = (square / before) * direction - residual
    return solution, limit, False
