"""Functions with derivatives written by the user: `autograd.Function`, as in PyTorch, for both engines.

    class Cube(revdiff.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g
        @staticmethod
        def jvp(ctx, t):          # what `dualdiff` needs
            (x,) = ctx.saved_tensors
            return 3 * x * x * t

    y = Cube.apply(x)

A call becomes one kernel of its own: `forward` runs on constants, `backward` is its pullback and `jvp` its pushforward, and both see the
saved tensors at the level of whoever differentiates, so functions nest in all transforms like any op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_float, namespace
from diffcore.dispatch import Boxed, apply
from diffcore.errors import GradientError, ShapeError
from diffcore.kernels.record import Call, Kernel
from diffcore.seeds import array_under, concatenate, zeros_of


class FunctionCtx:
    """What `forward` leaves for the derivatives: saved tensors, and whatever attributes it sets."""

    needs_input_grad: tuple[bool, ...]
    """Per argument of `apply`, whether its gradient is wanted."""

    def __init__(self) -> None:
        self._saved: tuple[Any, ...] = ()
        self._saved_forward: tuple[Any, ...] | None = None
        self._constant: tuple[Any, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (inputs, outputs or others; others are constants to second derivatives) for `backward`."""
        self._saved = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`; without it, `jvp` gets what `save_for_backward` kept."""
        self._saved_forward = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """These results are constants."""
        self._constant = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Refused: a function that changes its inputs in place is not supported."""
        raise GradientError("mark_dirty: a Function cannot change its inputs in place here; return a new tensor")

    def set_materialize_grads(self, value: bool) -> None:
        """With `False`, missing gradients and tangents arrive as `None` instead of zeros."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that were saved."""
        return self._saved


class Function:
    """Base of functions with derivatives of their own: subclass it with static methods, call it with `apply`; see `diffcore.function`.

    `forward(ctx, *args)` computes, or `forward(*args)` beside `setup_context(ctx, inputs, output)`; `backward(ctx, *gradients)` returns one
    gradient (or `None`) per argument; `jvp(ctx, *tangents)` gets one tangent per argument (`None` for those that are no tensors) and
    returns one per result.
    """

    kind: type[Any]
    """The engine's tensor class."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def jvp(ctx: FunctionCtx, *tangents: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """`forward` at `args`, differentiated by `backward` and `jvp`."""
        return _Application(cls, args)()


class _Application:
    """One call of a `Function`: its kernel, and what `forward` left behind.

    A kernel has one result, so several outputs travel as one vector and are taken apart again outside.
    """

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.places = [i for i, x in enumerate(args) if isinstance(x, Boxed) or is_array(x)]
        self.ctx = FunctionCtx()
        self.sources: dict[str, list[tuple[str, Any]]] = {}
        self.shapes: list[tuple[int, ...]] = []
        self.constants: list[Any] = []  # per output, the value of one without a derivative
        self.single = True
        self.plain: list[tuple[int, Any]] = []

    def __call__(self) -> Any:
        operands = [self.args[i] for i in self.places]
        value = self._value([array_under(x) for x in operands])  # outside of dispatch, which would reword the user's own errors
        names = tuple(f"args[{i}]" for i in self.places)
        kernel = Kernel(
            self.function.__name__,
            names,
            lambda xp, *arrays: value,
            forward=lambda xp, *arrays: (value, ()),  # not the record's own, with which it would refer to itself
            pushforward=self._pushforward,
            pullback=self._pullback if self._has("backward") or self.function.kind.engine == "revdiff" else None,
            keeps=(self._kept(names),) * len(names),
            holds=tuple(x for what, x in self.sources.get("backward", ()) if what == "constant"),
        )
        packed = apply(kernel, *operands)
        outs: list[Any] = []
        start = 0
        for shape, constant in zip(self.shapes, self.constants, strict=True):
            if constant is not None:
                outs.append(self.function.kind(constant))
                continue
            stop = start + int(np.prod(shape, dtype=np.int64))
            outs.append(packed if self._whole else packed[start:stop].reshape(shape))
            start = stop
        outs = [x if isinstance(x, Boxed) else self.function.kind(x) for x in outs]
        for i, value in self.plain:  # what is no tensor is handed through
            outs.insert(i, value)
        return outs[0] if self.single else tuple(outs)

    @property
    def _whole(self) -> bool:
        """Whether the kernel's result is the only differentiable output as it is."""
        return self._moving(len(self.constants)) == 1

    def _moving(self, count: int) -> int:
        """How many of the first `count` outputs have a derivative."""
        return sum(c is None for c in self.constants[:count])

    # the value
    def _value(self, arrays: Sequence[Any]) -> Any:
        """The outputs of `forward` on constants, as the one array that the kernel returns."""
        kind, function = self.function.kind, self.function
        args = list(self.args)
        for i, array in zip(self.places, arrays, strict=True):
            args[i] = kind(array)
        ctx = self.ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(x, Boxed) and x.carried is not None for x in self.args)
        outer, kind._mode.enabled = kind._mode.enabled, False
        try:
            if function.setup_context is Function.setup_context:
                out = function.forward(ctx, *args)
            else:
                out = function.forward(*args)
                function.setup_context(ctx, tuple(args), out)
        finally:
            kind._mode.enabled = outer
        self.single = not isinstance(out, tuple | list)
        outs = (out,) if self.single else tuple(out)
        if not any(isinstance(x, Boxed) for x in outs):
            raise TypeError(f"{function.__name__}.forward must return a tensor or a tuple with tensors, got {type(out).__name__}")
        self.plain = [(i, x) for i, x in enumerate(outs) if not isinstance(x, Boxed)]
        outs = tuple(x for x in outs if isinstance(x, Boxed))
        marked = {id(x) for x in ctx._constant}
        values = [x.primal for x in outs]
        self.shapes = [tuple(v.shape) for v in values]
        self.constants = [v if id(x) in marked or not is_float(v.dtype) else None for x, v in zip(outs, values, strict=True)]
        known = {id(args[i]): ("arg", j) for j, i in enumerate(self.places)}
        known |= {id(x): ("out", j) for j, x in enumerate(outs) if self.constants[j] is None}
        for what, tensors in (("backward", ctx._saved), ("forward", ctx._saved_forward)):
            if tensors is not None:
                self.sources[what] = [known.get(id(x), ("constant", x)) for x in tensors]
        moving = [v for v, c in zip(values, self.constants, strict=True) if c is None]
        if not moving:
            return values[0]
        if len(moving) == 1:
            return moving[0]
        return namespace(moving).concatenate([v.reshape(-1) for v in moving])

    def _kept(self, names: tuple[str, ...]) -> frozenset[str]:
        """The operands among what `forward` saved for `backward`, and `out` where a result is."""
        kinds = {"arg": lambda i: names[i], "out": lambda i: "out"}
        return frozenset(kinds[what](i) for what, i in self.sources.get("backward", ()) if what in kinds)

    # the derivatives
    def _has(self, rule: str) -> bool:
        return getattr(self.function, rule) is not getattr(Function, rule)

    def _context(self, call: Call, what: str, needs: Sequence[bool]) -> FunctionCtx:
        """The context as `forward` left it, with the saved tensors as `call` has them: at the level of whoever differentiates."""
        ctx = FunctionCtx()
        ctx.__dict__.update(self.ctx.__dict__)
        sources = self.sources.get(what, self.sources.get("backward", []))
        ctx._saved = tuple(self._saved(source, call) for source in sources)
        wanted = dict(zip(self.places, needs, strict=True))
        ctx.needs_input_grad = tuple(wanted.get(i, False) for i in range(len(self.args)))
        return ctx

    def _saved(self, source: tuple[str, Any], call: Call) -> Any:
        what, value = source
        if what == "constant":
            return value
        return self._tensor(call.primals[value] if what == "arg" else self._part(call.out, value, 0))

    def _tensor(self, value: Any) -> Any:
        return value if isinstance(value, Boxed) else self.function.kind(value)

    def _part(self, packed: Any, output: int, lead: int) -> Any:
        """Output number `output` of a packed value, cotangent or tangent with `lead` axes in front."""
        if self._whole:
            return packed
        sizes = [int(np.prod(s, dtype=np.int64)) for s, c in zip(self.shapes, self.constants, strict=True) if c is None]
        position = self._moving(output)
        start = sum(sizes[:position])
        index = (*(slice(None),) * lead, slice(start, start + sizes[position]))
        return packed[index].reshape((*packed.shape[:lead], *self.shapes[output]))

    def _pullback(self, call: Call, g: Any, needs: tuple[bool, ...]) -> list[Any]:
        name = self.function.__name__
        if not self._has("backward"):
            raise GradientError(
                f"{name} has no `backward`, which reverse mode needs: add a static method `backward(ctx, *gradients)` that returns the "
                f"gradient of each argument, or differentiate with dualdiff"
            )
        lead = g.ndim - len(call.shape)
        if lead:
            rows = [self._pullback(call, g[k], needs) for k in range(g.shape[0])]
            return [_stacked(column) for column in zip(*rows, strict=True)]
        ctx = self._context(call, "backward", needs)
        given = [self._tensor(self._part(g, j, 0)) if c is None else self._missing(ctx, c) for j, c in enumerate(self.constants)]
        found = self.function.backward(ctx, *given)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(self.args):
            raise GradientError(
                f"function {name}Backward returned an incorrect number of gradients (expected {len(self.args)}, got {len(found)})"
            )
        result = []
        for i, shape, need in zip(self.places, call.shapes, needs, strict=True):
            gradient = found[i]
            if need and gradient is not None and tuple(gradient.shape) != tuple(shape):
                raise ShapeError(
                    f"Function {name}Backward returned an invalid gradient at index {i} - got {list(gradient.shape)} but expected shape "
                    f"compatible with {list(shape)}"
                )
            result.append(_below(gradient) if need and gradient is not None else None)
        return result

    def _missing(self, ctx: FunctionCtx, constant: Any) -> Any:
        return self.function.kind(zeros_of(constant)) if ctx._materialize else None

    def _pushforward(self, call: Call, tangents: Sequence[Any]) -> Any:
        name = self.function.__name__
        if not self._has("jvp"):
            raise GradientError(
                f"{name} has no `jvp`, which forward mode needs: add a static method `jvp(ctx, *tangents)` that returns the tangent of "
                f"each result, or differentiate with revdiff"
            )
        lead = next(t.ndim - len(s) for t, s in zip(tangents, call.shapes, strict=True) if t is not None)
        if lead:
            k = next(t.shape[0] for t in tangents if t is not None)
            return _stacked([self._pushforward(call, [None if t is None else t[j] for t in tangents]) for j in range(k)])
        ctx = self._context(call, "forward", [t is not None for t in tangents])
        given: list[Any] = [None] * len(self.args)
        for i, t, primal in zip(self.places, tangents, call.primals, strict=True):
            if t is not None:
                given[i] = self._tensor(t)
            elif ctx._materialize and is_float(primal.dtype):
                given[i] = self._tensor(zeros_of(primal))
        found = self.function.jvp(ctx, *given)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(self.constants):
            raise GradientError(f"{name}.jvp returned {len(found)} tangents for {len(self.constants)} results")
        moving = []
        for j, (t, shape) in enumerate(zip(found, self.shapes, strict=True)):
            if self.constants[j] is None:
                if t is not None and tuple(t.shape) != shape:
                    raise ShapeError(f"{name}.jvp returned a tangent of shape {tuple(t.shape)} for result {j} of shape {shape}")
                moving.append(zeros_of(call.out, shape) if t is None else _below(t))
        if len(moving) == 1:
            return moving[0]
        return concatenate([t.reshape(-1) for t in moving])


def _below(x: Any) -> Any:
    """What a rule returns for the tensor `x` of the user's: its array, where it is a constant of the imperative level."""
    while isinstance(x, Boxed) and x.carried is None:
        x = x.primal
    return x


def _stacked(values: Sequence[Any]) -> Any:
    """Values of equal shape along a new first axis; `None` for none."""
    if values[0] is None:
        return None
    return concatenate([v.reshape((1, *v.shape)) for v in values])


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a `backward` whose own derivative must not be asked for: then there is an error instead of a wrong number."""

    def wrapped(ctx: FunctionCtx, *gradients: Any) -> Any:
        carrying = [x for x in (*gradients, *ctx.saved_tensors) if isinstance(x, Boxed) and x.carried is not None]
        if carrying:
            raise GradientError("trying to differentiate twice a function that was marked with @once_differentiable")
        return backward(ctx, *gradients)

    return wrapped
