"""Second derivatives in all four nestings of the engines: python -m compare.examples.hessian_vector_product

The Hessian of f times a vector v is the derivative of f's gradient along v. Either engine can take the gradient and either the derivative
along v, so there are four ways, none of which ever holds the Hessian.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import dualdiff
import revdiff


def rosenbrock(x: Any) -> Any:
    """The sum of `100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2` (Rosenbrock 1960)."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


NESTINGS = {
    # the gradient in reverse mode, pushed forward along v: two passes, whatever n is
    "forward over reverse": lambda x, v: dualdiff.jvp(revdiff.grad(rosenbrock), (x,), (v,))[1],
    # the gradient in forward mode, pulled back from v: the Hessian is symmetric
    "reverse over forward": lambda x, v: revdiff.vjp(dualdiff.grad(rosenbrock), x)[1](v)[0],
    "reverse over reverse": lambda x, v: revdiff.hvp(rosenbrock, x, v),
    "forward over forward": lambda x, v: dualdiff.hvp(rosenbrock, x, v),
}
"""Way -> the product of the Hessian at `x` with `v`, both `[n]`."""


def main() -> None:
    """Print the product by every way, and by the whole Hessian."""
    x, v = np.array([-1.2, 1.0, 0.5, 2.0]), np.array([1.0, 0.0, -1.0, 0.5])
    for name, product in NESTINGS.items():
        print(f"{name:21}", *(f"{value:.6f}" for value in product(x, v)))
    print(f"{'whole Hessian times v':21}", *(f"{value:.6f}" for value in revdiff.hessian(rosenbrock)(x) @ v))


if __name__ == "__main__":
    main()
