"""Recomputation that a compiler must not merge with the first computation.

XLA sees that both are the same and would compute it once and keep it: what checkpointing avoids. The inputs of a further run go through a
barrier together with the cotangent that has arrived: so they are other values to XLA, and cannot be computed with before the cotangent is
there. On accelerators that is `jax.lax.optimization_barrier`, as in `jax.checkpoint`. XLA for the CPU drops such barriers before it merges
what is equal, so there the inputs are selected by a condition that holds for every cotangent, which XLA does not find out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffcore import tree
from diffcore.arrays import is_array, is_traced
from diffcore.dispatch import Boxed
from diffcore.seeds import array_under

if TYPE_CHECKING:
    from revdiff.checkpointing.segment import Invocation


def barriered(invocation: Invocation, after: Any) -> Invocation:
    """`invocation` with its traced arrays, and the key that it draws from, behind a barrier that waits for `after`; else as it is."""
    leaves, build = tree.flatten((invocation.args, invocation.kwargs))
    arrays = [array_under(x) for x in leaves]
    traced = [i for i, x in enumerate(arrays) if is_array(x) and is_traced(x)]
    if not traced:
        return invocation
    start = invocation.moment.start
    keyed = start is not None and start.stream is not None
    held = [arrays[i] for i in traced] + ([start.key] if keyed else [])  # type: ignore[union-attr]  # there is a start
    behind = _behind(held, array_under(after))
    for i, array in zip(traced, behind, strict=False):
        leaves[i] = _on(leaves[i], array)
    args, kwargs = build(leaves)
    moment = invocation.moment
    if keyed:
        moment = moment.started(start._replace(key=behind[-1]))  # type: ignore[union-attr]
    return invocation._replace(args=args, kwargs=kwargs, moment=moment)


def _on(x: Any, array: Any) -> Any:
    """`x` with all its levels, around another array."""
    return x.box(_on(x.primal, array), x.level, x.carried) if isinstance(x, Boxed) else array


def _behind(arrays: list[Any], after: Any) -> list[Any]:
    """The same values, as values that XLA takes for others and that wait for `after`."""
    import jax

    signal = next((x for x in (after, *arrays) if is_array(x) and x.size and x.dtype.kind in "fiu"), None)
    if signal is None:
        return list(jax.lax.optimization_barrier(arrays))
    return list(jax.lax.platform_dependent(arrays, signal, cpu=_selected, default=_barred))


def _barred(arrays: list[Any], signal: Any) -> list[Any]:
    import jax

    behind: list[Any] = jax.lax.optimization_barrier((arrays, signal))[0]
    return behind


def _selected(arrays: list[Any], signal: Any) -> list[Any]:
    import jax

    first = signal.reshape(-1)[0]
    bits = jax.lax.bitcast_convert_type(first, f"uint{8 * signal.dtype.itemsize}") if signal.dtype.kind == "f" else first
    always = (bits | 1) != 0
    return [_select(always, x) for x in arrays]


def _select(condition: Any, x: Any) -> Any:
    """`x` where the condition holds; also for keys."""
    import jax
    import jax.numpy as jnp

    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_select(condition, jax.random.key_data(x)), impl=jax.random.key_impl(x))
    return jnp.where(condition, x, jnp.zeros((), x.dtype))
