"""Layers that are linear in each input: `Linear`, `Bilinear` and `Identity`."""

from __future__ import annotations

from typing import Any

from diffcore.kernels import matmul
from diffcore.nn import initial
from diffcore.nn.chain import KernelCall
from diffcore.nn.module import Module
from diffcore.ops import neural


class Linear(initial.Initialised):
    """`x @ weight.T + bias` for `x` `[..., in_features]`; `weight` `[out_features, in_features]`, `bias` `[out_features]`.

    Both are drawn from U(-1/sqrt(in_features), 1/sqrt(in_features)), PyTorch's default, from the shared seeded generator.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        self.in_features, self.out_features = initial.checked_counts("Linear", 0, in_features=in_features, out_features=out_features)
        self._biased = bool(bias)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        bound = initial.fan_in_bound(self.in_features)
        return {
            "weight": initial.uniform(bound, (self.out_features, self.in_features), device, dtype),
            "bias": initial.uniform(bound, (self.out_features,), device, dtype) if self._biased else None,
        }

    def forward(self, x: Any) -> Any:
        own = self._parameters
        return neural.linear(x, own["weight"], own["bias"])

    def _kernel_call(self) -> KernelCall:
        if self._parameters["bias"] is None:
            return KernelCall(matmul.linear_unbiased, self._parameters, ("weight",))
        return KernelCall(matmul.linear, self._parameters, ("weight", "bias"))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self._parameters['bias'] is not None}"


class Bilinear(initial.Initialised):
    """`out[..., o] = sum_ij x1[..., i] weight[o, i, j] x2[..., j] + bias[o]`; `weight` `[out, in1, in2]`, `bias` `[out]`.

    Both are drawn from U(-1/sqrt(in1), 1/sqrt(in1)).
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = initial.checked_counts(
            "Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features
        )
        self._biased = bool(bias)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        bound = initial.fan_in_bound(self.in1_features)
        return {
            "weight": initial.uniform(bound, (self.out_features, self.in1_features, self.in2_features), device, dtype),
            "bias": initial.uniform(bound, (self.out_features,), device, dtype) if self._biased else None,
        }

    def forward(self, input1: Any, input2: Any) -> Any:
        own = self._parameters
        return neural.bilinear(input1, input2, own["weight"], own["bias"])

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self._parameters['bias'] is not None}"
        )


class Identity(Module):
    """Its input, whatever it was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        return x
