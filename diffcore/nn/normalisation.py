"""Normalisation over channels, groups, or the last axes of each example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffcore.arrays import is_mutable
from diffcore.nn import initial
from diffcore.nn.module import Module
from diffcore.ops import normalisation
from diffcore.replay import is_again


class LayerNorm(initial.Initialised):
    """`(x - mean) / sqrt(var + eps) * weight + bias`, over the last axes, which have `normalized_shape` (Ba, Kiros and Hinton, 2016).

    **Arguments:** `normalized_shape`: a number or several; `elementwise_affine`: whether there are `weight` (ones) and, unless `bias` is
    false, `bias` (zeros), both of that shape.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine, self._biased = eps, elementwise_affine, bool(bias)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        return _affine(self.normalized_shape, self.elementwise_affine, self.elementwise_affine and self._biased, device, dtype)

    def forward(self, x: Any) -> Any:
        own = self._parameters
        return normalisation.layer_norm(x, self.normalized_shape, own["weight"], own["bias"], self.eps)

    def extra_repr(self) -> str:
        bias = self._parameters["bias"] is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"


class RMSNorm(initial.Initialised):
    """`x / sqrt(mean(x^2) + eps) * weight`, over the last axes, which have `normalized_shape` (Zhang and Sennrich, 2019).

    `eps` is the machine epsilon of the input's dtype by default; `elementwise_affine`: whether there is a `weight` (ones).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        return {"weight": initial.constant(1, self.normalized_shape, device, dtype) if self.elementwise_affine else None}

    def forward(self, x: Any) -> Any:
        return normalisation.rms_norm(x, self.normalized_shape, self._parameters["weight"], self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(initial.Initialised):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over each of `num_groups` groups of the channels of `[n, num_channels, ...]`.

    `affine`: whether there are `weight` (ones) and, unless `bias` is false, `bias` (zeros), one number per channel (Wu and He, 2018).
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        num_groups, num_channels = initial.checked_counts("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: `num_channels` (={num_channels}) must be divisible by `num_groups` (={num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._biased = affine and bool(bias)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        return _affine((self.num_channels,), self.affine, self._biased, device, dtype)

    def forward(self, x: Any) -> Any:
        own = self._parameters
        return normalisation.group_norm(x, self.num_groups, own["weight"], own["bias"], self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self._parameters['bias'] is not None}"


class LocalResponseNorm(Module):
    """`x / (k + alpha * mean of the squares of `size` neighbouring channels)^beta` (Krizhevsky et al., 2012)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        (self.size,) = initial.checked_counts("LocalResponseNorm", size=size)
        self.alpha, self.beta, self.k = alpha, beta, k

    def forward(self, x: Any) -> Any:
        return normalisation.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


# norms that keep statistics


class _Running(initial.Initialised):
    """A norm of `num_features` channels that may keep running statistics of them."""

    ndims: tuple[int, ...] = ()
    """Numbers of axes that an input may have."""

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        (self.num_features,) = initial.checked_counts(type(self).__name__, num_features=num_features)
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats, self._biased = affine, track_running_stats, affine and bool(bias)
        self._begin(device, dtype)
        for name, array in self._statistics(device, dtype).items():
            self.register_buffer(name, self._constant(array) if track_running_stats else None)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        return _affine((self.num_features,), self.affine, self._biased, device, dtype)

    def _statistics(self, device: Any, dtype: Any) -> dict[str, Any]:
        """Running statistics of nothing."""
        shape = (self.num_features,)
        return {
            "running_mean": initial.constant(0, shape, device, dtype),
            "running_var": initial.constant(1, shape, device, dtype),
            "num_batches_tracked": initial.constant(0, (), device, "int64"),
        }

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        held = self._buffers["running_mean"]
        if held is not None:
            for name, array in self._statistics(held.device, held.dtype).items():
                self._buffers[name].data = array

    def reset_parameters(self) -> None:
        """Forget the running statistics; `weight` of ones and `bias` of zeros again."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check(self, x: Any) -> None:
        if x.ndim not in self.ndims:
            expected = " or ".join(f"{n}D" for n in self.ndims)
            raise ValueError(f"{type(self).__name__}: expected {expected} input (got {x.ndim}D input of shape {tuple(x.shape)})")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self._parameters['bias'] is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Running):
    """Batch norm; see `BatchNorm2d`."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, x: Any) -> Any:
        self._check(x)
        own, kept = self._parameters, self._buffers
        mean, variance = kept["running_mean"], kept["running_var"]
        by_batch = self.training or mean is None and variance is None
        if not self.training or not self.track_running_stats:
            if self.training:
                mean = variance = None
            return normalisation.batch_norm(x, mean, variance, own["weight"], own["bias"], by_batch, 0.0, self.eps)
        count = kept["num_batches_tracked"]
        momentum: Any = self.momentum
        if momentum is None:  # the average over all batches so far, this one included
            momentum = 0.0 if count is None else 1.0 / (count.array + 1)
        out = normalisation.batch_norm(x, mean, variance, own["weight"], own["bias"], True, momentum, self.eps)
        if count is not None and not is_again():
            _count(count)
        return out


def _count(count: Any) -> None:
    """One batch more."""
    array = count.array
    if is_mutable(array):
        array += 1
    else:
        count.primal = array + 1


class BatchNorm1d(_BatchNorm):
    """`BatchNorm2d` for `[n, num_features]` and `[n, num_features, l]`."""

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel of `[n, num_features, h, w]` (Ioffe and Szegedy, 2015).

    In training mean and variance are those of the batch, and the derivative goes through them; the running ones move towards them, the
    variance unbiased: `running += momentum * (batch - running)`, once per evaluation. In evaluation the running ones are used, as
    constants. Under `jax.jit` parameters and buffers must be passed through the compiled function.

    **Arguments:** `momentum`: `None` for the average over all batches, counted in `num_batches_tracked`; `affine`: whether there are
    `weight` (ones) and, unless `bias` is false, `bias` (zeros), `[num_features]`; `track_running_stats`: whether there are running
    statistics; without, the batch's are used in evaluation too. Raises `ValueError` for an input with other axes, or with one value per
    channel in training.
    """

    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm2d` for `[n, num_features, d, h, w]`."""

    ndims = (5,)


class _InstanceNorm(_Running):
    """Instance norm; see `InstanceNorm2d`."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, x: Any) -> Any:
        self._check(x)
        own, kept = self._parameters, self._buffers
        single = x.ndim == self.ndims[0]
        out = normalisation.instance_norm(
            x[None] if single else x,
            kept["running_mean"],
            kept["running_var"],
            own["weight"],
            own["bias"],
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return out[0] if single else out


class InstanceNorm1d(_InstanceNorm):
    """`InstanceNorm2d` for `[n, num_features, l]` and `[num_features, l]`."""

    ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel of each example (Ulyanov et al., 2016).

    `[n, num_features, h, w]`, where `n` may be missing. Arguments as for `BatchNorm2d`; running statistics are used in evaluation alone.
    """

    ndims = (3, 4)


def _affine(shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> dict[str, Any]:
    return {
        "weight": initial.constant(1, shape, device, dtype) if weight else None,
        "bias": initial.constant(0, shape, device, dtype) if bias else None,
    }


def _shape(layer: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    given = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    shape = tuple(n for each in given for n in initial.checked_counts(layer, normalized_shape=each))
    if not shape:
        raise ValueError(f"{layer}: `normalized_shape` (=()) must contain at least one element")
    return shape
