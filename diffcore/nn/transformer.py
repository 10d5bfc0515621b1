"""The encoder of a transformer: layers of attention and of a network applied to each position, each around a sum with its input."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from diffcore import ops
from diffcore.nn import functional, initial
from diffcore.nn.module import Module
from diffcore.ops.axes import Tensor

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": functional.relu, "gelu": functional.gelu}


class TransformerEncoderLayer(Module):
    """`x = norm1(x + attention(x)); x = norm2(x + linear2(activation(linear1(x))))` (Vaswani et al. 2017, "Attention is all you need").

    With `norm_first` the norms act on what is added instead: `x = x + attention(norm1(x)); x = x + network(norm2(x))` (Xiong et al. 2020,
    "On layer normalization in the transformer architecture"). Dropout acts on the attention weights, after the activation and on both
    sums. Submodules: `self_attn`, `linear1`, `linear2`, `norm1`, `norm2`, `dropout`, `dropout1`, `dropout2`.

    **Arguments:** as for PyTorch's; `activation`: `"relu"`, `"gelu"` or a function of one tensor. Raises `ValueError` for another name.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(activation, str):
            if activation not in _ACTIVATIONS:
                raise ValueError(f"TransformerEncoderLayer: `activation` (={activation!r}) should be 'relu' or 'gelu', or a function")
            activation = _ACTIVATIONS[activation]
        nn, made = self._layers, {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = nn.MultiheadAttention(d_model, nhead, dropout=dropout, batch_first=batch_first, **made)
        self.linear1 = nn.Linear(d_model, dim_feedforward, **made)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(dim_feedforward, d_model, **made)
        self.norm_first = norm_first
        self.norm1 = nn.LayerNorm(d_model, eps=layer_norm_eps, **made)
        self.norm2 = nn.LayerNorm(d_model, eps=layer_norm_eps, **made)
        self.dropout1, self.dropout2 = nn.Dropout(dropout), nn.Dropout(dropout)
        self.activation = activation

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """The sequence `src` in its own shape; masks and `is_causal` as for `MultiheadAttention`."""
        if self.norm_first:
            x = ops.add(src, self._attended(self.norm1(src), src_mask, src_key_padding_mask, is_causal))
            return ops.add(x, self._transformed(self.norm2(x)))
        x = self.norm1(ops.add(src, self._attended(src, src_mask, src_key_padding_mask, is_causal)))
        return self.norm2(ops.add(x, self._transformed(x)))

    def _attended(self, x: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        return self.dropout1(self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)[0])

    def _transformed(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """`num_layers` copies of `encoder_layer` one after the other, then `norm` if there is one. The copies start with equal parameters.

    `enable_nested_tensor` and `mask_check` are accepted for PyTorch's sake and change nothing. Raises `ValueError` for no layers.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        (self.num_layers,) = initial.checked_counts("TransformerEncoder", num_layers=num_layers)
        self.layers = self._layers.ModuleList([copy.deepcopy(encoder_layer) for _ in range(self.num_layers)])
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The sequence `src` in its own shape; masks as for `MultiheadAttention`."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)
