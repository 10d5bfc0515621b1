"""What users call: `checkpoint`, and `checkpoint_schedule`, which shows what it would do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from diffcore.dispatch import clock
from diffcore.ledger import did
from diffcore.nn.module import Module
from diffcore.replay import Moment
from diffcore.transforms import check_function
from revdiff import tape
from revdiff.checkpointing.chain import Chain, Steps
from revdiff.checkpointing.choosing import choose, is_chain, layers_of, wishes
from revdiff.checkpointing.schedule import Schedule
from revdiff.checkpointing.segment import Invocation, Segment, evaluated

_OPTIONS = ("segments", "schedule", "snapshots", "memory")


def checkpoint(
    function: Any,
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Callable[[], Any] | None = None,
    determinism_check: str = "default",
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which only the inputs are kept: a backward pass that comes to it runs it again for the residuals.

    A `Sequential`, or a list of functions called one after another, is cut into steps, between which some values are kept, if one of these
    is given:

    - `memory`: bytes, or a text such as `"64MB"`. The cheapest schedule that keeps to it is found from the shapes. It bounds the bytes
      alive at once that are made from the call on until its backward pass has ended: values, residuals, cotangents, workspace; so all but
      the input, the parameters and their gradients, and what is done with the output (see `Schedule.peak`). Derivatives of higher order
      keep more, since their graph goes through the backward pass.
    - `segments`: so many steps of equally many layers; each but the last, which takes the rest, is run twice, as by PyTorch's
      `checkpoint_sequential`.
    - `schedule`: `"sqrt"` for `sqrt(n)` such steps (Chen et al. 2016); `"revolve"` (binomial: Griewank and Walther 2000) or `"mixed"`
      (Maddison 2024) with at most `snapshots` values kept, the input included, by default `ceil(log2 n) + 1`; each of these, `"segments"`
      and `"optimal"` (the default: Beaumont et al. 2019) also within a `memory`; or a `Schedule` made by `checkpoint_schedule`.

    **Arguments:** `function`: called again with the same arguments, random numbers (unless `preserve_rng_state` is false) and parameters,
    which must do the same again; tensors in nested dicts, lists and tuples in and out, other values too. `context_fn`: returns a context
    manager for the first run and one for further runs. `determinism_check`: `"none"` leaves out the check that further runs do the same.
    `early_stop`: whether a further run ends as soon as all that was asked for is there. `use_reentrant` is accepted for PyTorch's sake;
    both give what `False` does there.

    Raises `CheckpointError` (in the backward pass) when a further run does something else, `GradientError` when an input was changed in
    place, `MemoryBudgetError` naming the least that would do for a `memory` below it, `ValueError` for options that do not go together.
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: `determinism_check` (={determinism_check!r}) must be 'default' or 'none'")
    if not isinstance(function, list | tuple):
        check_function("checkpoint", "function", function, "a module, a function or a list of such")
    if is_chain(function):
        options = {name: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
    else:
        options = {}
        for name in _OPTIONS:
            if name in kwargs and not _takes(function, name):
                kind = type(function).__name__ if isinstance(function, Module) else "one function"
                raise TypeError(
                    f"checkpoint: `{name}` (={kwargs[name]!r}) is for layers that are called one after another: `function` must then be a "
                    f"plain Sequential or a list of functions, not {kind}"
                )
    if isinstance(function, list | tuple) or any(option is not None for option in options.values()):
        return _chained(function, args, kwargs, options, preserve_rng_state, context_fn, determinism_check, early_stop)
    if not tape.mode.enabled:
        return function(*args, **kwargs)
    return _evaluated(Segment, function, args, kwargs, preserve_rng_state, context_fn, determinism_check, early_stop)


def _takes(function: Any, name: str) -> bool:
    """Whether `function` has a parameter of that name, or takes any."""
    try:
        parameters = inspect.signature(function.forward if isinstance(function, Module) else function).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def checkpoint_schedule(
    function: Any, x: Any, *, segments: int | None = None, schedule: str | None = None, snapshots: int | None = None, memory: Any = None
) -> Schedule:
    """The schedule by which `checkpoint` would run a `Sequential` or a list of functions on inputs like `x`, with what it costs.

    Nothing is computed. Printed it is a drawing; it is a sequence of actions; and `checkpoint(function, x, schedule=it)` follows it.
    Raises as `checkpoint` does.
    """
    if not is_chain(function):
        raise TypeError(f"checkpoint_schedule: `function` must be a Sequential or a list of functions, not {type(function).__name__}")
    return choose(function, _layers("checkpoint_schedule", function, x), x, wishes(segments, schedule, snapshots, memory), measure=True)


def _layers(transform: str, function: Any, x: Any) -> list[Any]:
    """The layers that are called one after another on `x`. Raises `TypeError` for what is none, and for an `x` that cannot be one."""
    layers = layers_of(function)
    for i, layer in enumerate(layers):
        check_function(transform, f"function[{i}]", layer, "a module or a function")
    if x is None or isinstance(x, str):
        raise TypeError(f"{transform}: the input must be a tensor, or a structure with some, not {x!r}")
    return layers


def _chained(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any], *how: Any) -> Any:
    if len(args) != 1 or kwargs:
        extra = f", not {len(args)} arguments" if len(args) != 1 else f", and no argument {next(iter(kwargs))!r}"
        raise TypeError(f"checkpoint: layers that are called one after another take one input{extra}")
    wanted = wishes(*(options.get(name) for name in _OPTIONS))
    layers = _layers("checkpoint", function, args[0])
    if not tape.mode.enabled:
        x = args[0]
        for layer in layers:
            x = layer(x)
        return x
    return _evaluated(Chain, Steps(layers, choose(function, layers, args[0], wanted)), args, {}, *how)


def _evaluated(
    kind: type[Segment],
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    preserve_rng_state: bool,
    context_fn: Callable[[], Any] | None,
    determinism_check: str,
    early_stop: bool,
) -> Any:
    did("checkpoint", "revdiff")
    first, further = (nullcontext(), nullcontext()) if context_fn is None else context_fn()
    invocation = Invocation(
        function, args, kwargs, Moment(preserve_rng_state), next(clock), lambda: further, determinism_check == "default", early_stop
    )
    with first:
        return evaluated(kind, invocation)
