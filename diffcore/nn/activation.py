"""Activations as modules, element by element but for the softmaxes. With `inplace` the result takes the memory of the input."""

from __future__ import annotations

import warnings
from typing import Any

from diffcore import ops
from diffcore.kernels import activation, elementwise
from diffcore.nn import functional as F
from diffcore.nn import initial
from diffcore.nn.chain import KernelCall
from diffcore.nn.module import Module


class _InPlace(Module):
    """An activation without settings but `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """`max(x, 0)`; the derivative at 0 is 0."""

    def forward(self, x: Any) -> Any:
        return F.relu(x, True) if self.inplace else ops.relu(x)

    def _kernel_call(self) -> KernelCall | None:
        return None if self.inplace else KernelCall(elementwise.relu)


class ReLU6(_InPlace):
    """`min(max(x, 0), 6)`; at 0 and at 6 the derivative is 0."""

    def forward(self, x: Any) -> Any:
        return ops.relu6(x, self.inplace)


class SiLU(_InPlace):
    """`x * sigmoid(x)`, also called swish (Elfwing, Uchibe and Doya, 2017)."""

    def forward(self, x: Any) -> Any:
        return ops.silu(x, self.inplace)

    def _kernel_call(self) -> KernelCall | None:
        return None if self.inplace else KernelCall(activation.silu)


class Mish(_InPlace):
    """`x * tanh(log(1 + exp(x)))` (Misra, 2019)."""

    def forward(self, x: Any) -> Any:
        return ops.mish(x, self.inplace)

    def _kernel_call(self) -> KernelCall | None:
        return None if self.inplace else KernelCall(activation.mish)


class SELU(_InPlace):
    """`elu` with the slope and scale under which activations keep mean 0 and variance 1 (Klambauer et al., 2017)."""

    def forward(self, x: Any) -> Any:
        return ops.selu(x, self.inplace)


class Hardsigmoid(_InPlace):
    """`relu6(x + 3) / 6`; at -3 and at 3 the derivative is 0."""

    def forward(self, x: Any) -> Any:
        return ops.hardsigmoid(x, self.inplace)

    def extra_repr(self) -> str:
        return ""


class LeakyReLU(_InPlace):
    """`x` where it is positive, `negative_slope * x` elsewhere; at 0 the derivative is `negative_slope`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{_in_place(self)}"


class ELU(_InPlace):
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere (Clevert, Unterthiner and Hochreiter, 2016)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{_in_place(self)}"


class CELU(ELU):
    """`x` where it is positive, `alpha * (exp(x / alpha) - 1)` elsewhere (Barron, 2017)."""

    def forward(self, x: Any) -> Any:
        return ops.celu(x, self.alpha, self.inplace)


class Hardtanh(_InPlace):
    """`x` kept between `min_val` and `max_val`; at both the derivative is 0. Raises `ValueError` unless `min_val < max_val`."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: `min_val` (={min_val!r}) must be less than `max_val` (={max_val!r})")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Any:
        return ops.hardtanh(x, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{_in_place(self)}"


class Threshold(_InPlace):
    """`x` where it exceeds `threshold`, `value` elsewhere; at `threshold` the derivative is 0."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold, self.value = threshold, value

    def forward(self, x: Any) -> Any:
        return ops.threshold(x, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{_in_place(self)}"


def _in_place(module: _InPlace) -> str:
    return ", inplace=True" if module.inplace else ""


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)

    def _kernel_call(self) -> KernelCall:
        return KernelCall(elementwise.tanh)


class Sigmoid(Module):
    """`1 / (1 + exp(-x))`."""

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)

    def _kernel_call(self) -> KernelCall:
        return KernelCall(elementwise.sigmoid)


class LogSigmoid(Module):
    """`log(sigmoid(x))` without overflow."""

    def forward(self, x: Any) -> Any:
        return ops.logsigmoid(x)

    def _kernel_call(self) -> KernelCall:
        return KernelCall(activation.log_sigmoid)


class Softsign(Module):
    """`x / (1 + |x|)`."""

    def forward(self, x: Any) -> Any:
        return ops.softsign(x)

    def _kernel_call(self) -> KernelCall:
        return KernelCall(activation.softsign)


class Tanhshrink(Module):
    """`x - tanh(x)`."""

    def forward(self, x: Any) -> Any:
        return ops.tanhshrink(x)


class GELU(Module):
    """`x * Phi(x)` for the normal distribution's `Phi` (Hendrycks and Gimpel, 2016); by a hyperbolic tangent if `approximate="tanh"`."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """`log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x > threshold`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Any) -> Any:
        return ops.softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSoftmax(Module):
    """`log_softmax` along `dim`, which PyTorch and we choose for you, with a warning, where it is not given."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def _axis(self, x: Any) -> int:
        if self.dim is not None:
            return self.dim
        name = type(self).__name__
        warnings.warn(f"{name}: implicit dimension choice has been deprecated: give `dim`, e.g. `{name}(dim=1)`", stacklevel=4)
        return 0 if x.ndim in (0, 1, 3) else 1

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, self._axis(x))

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(LogSoftmax):
    """`softmax` along `dim`, which PyTorch and we choose for you, with a warning, where it is not given."""

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self._axis(x))


class PReLU(initial.Initialised):
    """`x` where it is positive, `weight * x` elsewhere, with a learned slope, or one for each of `num_parameters` channels (axis 1).

    `weight` `[num_parameters]` starts at `init` (He et al., 2015).
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        (self.num_parameters,) = initial.checked_counts("PReLU", num_parameters=num_parameters)
        self.init = init
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        return {"weight": initial.constant(self.init, (self.num_parameters,), device, dtype)}

    def forward(self, x: Any) -> Any:
        return ops.prelu(x, self._parameters["weight"])

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
