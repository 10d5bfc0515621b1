"""`Linear` and `Flatten`."""

from __future__ import annotations

import math
from typing import Any

from diffcore.arrays import devices, random
from diffcore.nn.module import Module
from diffcore.ops import flatten, neural


class Linear(Module):
    """`x @ weight.T + bias` for `x` `[..., in_features]`; `weight` `[out_features, in_features]`, `bias` `[out_features]`.

    Both are drawn from U(-1/sqrt(in_features), 1/sqrt(in_features)), PyTorch's default, from the shared seeded generator.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"Linear: `{name}` (={value!r}) must be a non-negative integer")
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0

        def drawn(*shape: int) -> Any:
            return self._parameter(devices.place(random.uniform(-bound, bound, shape, dtype), device))

        self.weight = drawn(out_features, in_features)
        self.register_parameter("bias", drawn(out_features) if bias else None)

    def forward(self, x: Any) -> Any:
        own = self._parameters
        return neural.linear(x, own["weight"], own["bias"])

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self._parameters['bias'] is not None}"


class Flatten(Module):
    """Merge the axes from `start_dim` to `end_dim`; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
