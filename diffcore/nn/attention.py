"""`MultiheadAttention`: several attentions side by side, each on its own projections of the inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_float
from diffcore.errors import ArgumentError, DTypeError, ShapeError
from diffcore.nn import initial
from diffcore.nn.module import Module
from diffcore.ops import add, linear, logical_not, logical_or, mean, permute, reshape, select, split, transpose, unsqueeze, where
from diffcore.ops.attention import attended
from diffcore.ops.axes import Tensor
from diffcore.ops.shape import astype
from diffcore.whole import whole

OP = "MultiheadAttention"


class MultiheadAttention(Module):
    """`concat(head_1, ..., head_h) @ out_proj.weight.T + out_proj.bias`, with `head_i = softmax(q_i k_i^T / sqrt(d) + mask) v_i`.

    `q`, `k` and `v` are projections of the inputs, cut into `num_heads` parts of `d = embed_dim / num_heads` features (Vaswani et al. 2017,
    "Attention is all you need"). Parameters: `in_proj_weight` `[3 * embed_dim, embed_dim]`, the projections of query, key and value one
    below the other, or `q_proj_weight` `[embed_dim, embed_dim]`, `k_proj_weight` `[embed_dim, kdim]` and `v_proj_weight`
    `[embed_dim, vdim]` where `kdim` or `vdim` differ; `in_proj_bias` `[3 * embed_dim]`; `out_proj`, a `Linear`. Projections start by
    Xavier's uniform rule, biases at 0.

    **Arguments:** as for PyTorch's. `dropout` acts on the weights in training. `add_bias_kv` and `add_zero_attn` must be false.
    Raises `ArgumentError` where `num_heads` does not divide `embed_dim`.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width, heads = whole(embed_dim, least=1), whole(num_heads, least=1)
        if width is None or heads is None or width % heads:
            raise ArgumentError(
                f"{OP}: embed_dim must be divisible by num_heads, both positive: got `embed_dim` (={embed_dim}), `num_heads` (={num_heads})"
            )
        embed_dim, num_heads = width, heads
        for option, value in (("add_bias_kv", add_bias_kv), ("add_zero_attn", add_zero_attn)):
            if value:
                raise ArgumentError(f"{OP}: `{option}` (={value!r}) must be False: keys and values of the layer's own are not supported")
        if not 0 <= dropout <= 1:
            raise ArgumentError(f"{OP}: `dropout` (={dropout!r}) must be a probability between 0 and 1")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.head_dim = embed_dim // num_heads
        self.kdim, self.vdim = initial.checked_counts(
            OP, kdim=embed_dim if kdim is None else kdim, vdim=embed_dim if vdim is None else vdim
        )
        together = self.kdim == self.vdim == embed_dim
        shapes = {"in_proj_weight": (3 * embed_dim, embed_dim)} if together else self._separate_shapes()
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            shape = shapes.get(name)
            bound = 0.0 if shape is None else math.sqrt(6 / sum(shape))
            self.register_parameter(name, shape and self._parameter(initial.uniform(bound, shape, device, dtype)))
        self.register_parameter("in_proj_bias", self._parameter(initial.constant(0, (3 * embed_dim,), device, dtype)) if bias else None)
        self.out_proj = self._layers.Linear(embed_dim, embed_dim, bias, device, dtype)
        if bias:
            self.out_proj.bias = self._parameter(initial.constant(0, (embed_dim,), device, dtype))

    def _separate_shapes(self) -> dict[str, tuple[int, int]]:
        widths = {"q_proj_weight": self.embed_dim, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        return {name: (self.embed_dim, width) for name, width in widths.items()}

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """`(output, weights)`: what each query gathers, in its place, and with `need_weights` what it gave to each key.

        **Arguments:** `query` `[l, batch, embed_dim]`, `key` `[s, batch, kdim]`, `value` `[s, batch, vdim]`, with `batch_first` the batch
        before the time, or all without a batch. `attn_mask` `[l, s]` or `[batch * num_heads, l, s]` and `key_padding_mask` `[batch, s]`
        (`[s]` without a batch): where a boolean one is true a key is left out, a floating one is added to the scores. `is_causal` says
        that `attn_mask`, which must be given, is causal; nothing depends on it. A query that may attend to nothing has weights of 0.

        `weights` are `[batch, l, s]`, averaged over the heads, or `[batch, num_heads, l, s]`; `None` unless wanted.
        Raises `ShapeError`, `DTypeError` and `ArgumentError`.
        """
        batched = self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise ArgumentError(f"{OP}: need attn_mask if specifying the is_causal hint: `is_causal` (=True), `attn_mask` (=None)")
        if not batched:
            key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
        q, k, v = self._heads(*self._batch_first(query, key, value, batched))
        mask = self._mask(q, k, attn_mask, key_padding_mask)
        out, weights = attended(OP, q, k, v, mask, self.dropout if self.training else 0.0, weighted=need_weights)
        n, _, length, _ = out.shape
        out = reshape(permute(out, (0, 2, 1, 3)), (n, length, self.embed_dim))
        own = self.out_proj._parameters
        out = linear(out, own["weight"], own["bias"])
        if not batched:
            out, weights = select(out, 0, 0), weights if weights is None else select(weights, 0, 0)
        elif not self.batch_first:
            out = transpose(out, 0, 1)
        if weights is None or not need_weights:
            return out, None
        return out, mean(weights, -3) if average_attn_weights else weights

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> bool:
        """Whether there is a batch. Raises unless the inputs fit each other and the layer."""
        shapes = tuple(query.shape), tuple(key.shape), tuple(value.shape)
        if {*map(len, shapes)} not in ({2}, {3}):
            raise ShapeError(
                f"{OP}: expected `query`, `key` and `value` to be 3-D (batched) or 2-D all three, got {', '.join(map(str, shapes))}"
            )
        widths = (self.embed_dim, self.kdim, self.vdim)
        batch = 0 if self.batch_first else 1
        alike = shapes[1][:-1] == shapes[2][:-1] and (len(shapes[0]) == 2 or shapes[0][batch] == shapes[1][batch])
        if not alike or tuple(s[-1] for s in shapes) != widths:
            raise ShapeError(
                f"{OP}: expected `query`, `key` and `value` with {widths[0]}, {widths[1]} and {widths[2]} features, one batch size, and as "
                f"many values as keys, got {', '.join(map(str, shapes))}"
            )
        dtype = self.out_proj.weight.dtype
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.dtype != dtype:
                raise DTypeError(f"{OP}: `{name}` has dtype {x.dtype}, but the weights have {dtype}")
        return len(shapes[0]) == 3

    def _batch_first(self, query: Tensor, key: Tensor, value: Tensor, batched: bool) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs as `[batch, time, features]`; those that are one tensor stay one."""
        if batched and self.batch_first:
            return query, key, value
        made: dict[int, Tensor] = {}
        for x in (query, key, value):
            if id(x) not in made:
                made[id(x)] = transpose(x, 0, 1) if batched else unsqueeze(x, 0)
        return made[id(query)], made[id(key)], made[id(value)]

    def _heads(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Projections `[batch, heads, time, head_dim]` of the three inputs; of inputs that are one tensor by one product."""
        own, size = self._parameters, self.embed_dim
        weight, bias = own["in_proj_weight"], own["in_proj_bias"]
        if query is key is value and weight is not None:
            return self._cut(linear(query, weight, bias), 3)
        biases = [None] * 3 if bias is None else split(bias, size)
        if weight is None:
            weights = [own[name] for name in self._separate_shapes()]
        elif key is value:
            below = None if bias is None else split(bias, [size, 2 * size])
            first, rest = split(weight, [size, 2 * size])
            return self._cut(linear(query, first, below and below[0]), 1) + self._cut(linear(key, rest, below and below[1]), 2)
        else:
            weights = list(split(weight, size))
        return [self._cut(linear(x, w, b), 1)[0] for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _cut(self, projected: Tensor, parts: int) -> list[Tensor]:
        """`projected` `[batch, time, parts * embed_dim]` as parts `[batch, heads, time, head_dim]`."""
        n, length, _ = projected.shape
        apart = permute(reshape(projected, (n, length, parts, self.num_heads, self.head_dim)), (0, 2, 3, 1, 4))
        return [select(apart, 1, i) for i in range(parts)]

    def _mask(self, q: Tensor, k: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None) -> Tensor | None:
        """Both masks as one for `scaled_dot_product_attention`, in which true means that a key is attended to."""
        n, heads, length, _ = q.shape
        keys = k.shape[2]
        masks = []
        if attn_mask is not None:
            shape = tuple(attn_mask.shape)
            if shape not in ((length, keys), (n * heads, length, keys)):
                raise ShapeError(
                    f"{OP}: expected `attn_mask` of shape {(length, keys)} or {(n * heads, length, keys)}, got {shape}"
                )
            masks.append(attn_mask if len(shape) == 2 else reshape(attn_mask, (n, heads, length, keys)))
        if key_padding_mask is not None:
            if tuple(key_padding_mask.shape) != (n, keys):
                raise ShapeError(f"{OP}: expected `key_padding_mask` of shape {(n, keys)}, got {tuple(key_padding_mask.shape)}")
            masks.append(reshape(key_padding_mask, (n, 1, 1, keys)))
        for mask in masks:
            if mask.dtype != np.bool_ and not is_float(mask.dtype):
                raise DTypeError(f"{OP}: only bool and floating types of masks are supported, got {mask.dtype}")
        if not masks:
            return None
        if all(mask.dtype == np.bool_ for mask in masks):
            return logical_not(masks[0] if len(masks) == 1 else logical_or(*masks))
        added = [astype(where(mask, -math.inf, 0.0), q.dtype) if mask.dtype == np.bool_ else mask for mask in masks]
        return added[0] if len(added) == 1 else add(*added)
