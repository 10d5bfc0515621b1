"""The families: what has to be declared of a kernel, and the derivative rules that follow from its algebra.

A declaration names what it reads. `tanh = elementwise("tanh", ..., x=lambda out: 1 - out * out)` reads the result, so
that is what reverse mode keeps for the cotangent of `x`; it can name operands, `out`, `aux` residuals and parameters of the kernel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from diffcore.arrays import is_mutable
from diffcore.kernels.broadcast import align, fill, unbroadcast
from diffcore.kernels.promotion import floating, promoting
from diffcore.kernels.record import Call, Derived, Inline, Kernel, Rule, Shape, names_of, never, no_params, register


def _signature(compute: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Operand names and parameter names of a compute function: positional ones after `xp`, and keyword-only ones."""
    parameters = inspect.signature(compute).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return tuple(positional[1:]), tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _reader(name: str, operands: tuple[str, ...], aux: tuple[str, ...], params: tuple[str, ...]) -> Callable[[Call], Any]:
    if name == "out":
        return lambda call: call.out
    if name in operands:
        i = operands.index(name)
        return lambda call: call.primals[i]
    if name in aux:
        i = aux.index(name)
        return lambda call: call.aux[i]
    if name in params:
        return lambda call: call.params[name]
    raise ValueError(f"a rule reads {name!r}, which is none of {(*operands, *aux, *params, 'out')}")


class _Names:
    """The vocabulary of one kernel; turns a declared rule into a function of the call, and into what it keeps."""

    def __init__(self, compute: Rule, aux: Mapping[str, Rule]) -> None:
        self.operands, self.params = _signature(compute)
        self.aux = tuple(aux)
        self.definitions = aux

    def bind(self, rule: Any, *, given: int = 0) -> Any:
        """`rule` as a function of the call, after the cotangent where `given` is 2; numbers stay numbers."""
        if not callable(rule):
            return rule
        names = names_of(rule)[given:]
        readers = [_reader(n, self.operands, self.aux, self.params) for n in names]
        if given and len(names) == 1 and names[0] in self.operands:
            i = self.operands.index(names[0])
            return lambda g, call: rule(g, call, call.primals[i])
        if given:
            return (lambda g, call: rule(g, call, *[read(call) for read in readers])) if readers else rule
        if names == ("out",):
            return lambda call: rule(call.out)
        if len(readers) == 1:
            read = readers[0]
            return lambda call: rule(read(call))
        return lambda call: rule(*[read(call) for read in readers])

    def keeps(self, rule: Any, *, given: int = 0) -> frozenset[str]:
        """What reverse mode must keep for `rule`: the names it reads, and what its aux need to be derived anew."""
        if not callable(rule):
            return frozenset()
        return frozenset(n for n in names_of(rule)[given:] if n not in self.params)


_NUMBER = (int, float)


class Choice(NamedTuple):
    """A partial that is the number `chosen` where the boolean `mask` is true and `otherwise` elsewhere, in whatever dtype it meets."""

    mask: Any
    chosen: float
    otherwise: float

    def times(self, t: Any) -> Any:
        """`t` times it; where a factor is 0, so is the result, whatever `t` is."""
        from diffcore.kernels.elementwise import where

        if self.otherwise:
            return where(self.mask, t if self.chosen == 1 else t * self.chosen, t * self.otherwise)
        out = where(self.mask, t, 0)
        if self.chosen == 1:
            return out
        if is_mutable(out):
            out *= self.chosen
            return out
        return out * self.chosen


def times(t: Any, partial: Any) -> Any:
    """`t * partial` for a partial that may be a number, an array, a mask of booleans (which selects), or a `Choice`."""
    if type(partial) is ndarray and partial.dtype.kind == "f":
        return t * partial
    if isinstance(partial, _NUMBER):
        return t if partial == 1 else -t if partial == -1 else t * partial
    if type(partial) is Choice:
        return partial.times(t)
    if partial.dtype.kind == "b":
        from diffcore.kernels.elementwise import where

        return where(partial, t, 0)
    return t * partial


def _into_partial(g: Any, partial: Any, call: Call) -> Any:
    """`times(g, partial)`, in the memory of `partial` where the rule has made that anew: it saves an array at the peak of a pass.

    What a rule returns is new unless it is one of the arrays that it read, or a view, which knows its base.
    """
    known = type(partial) is ndarray or is_mutable(partial)
    new = known and partial.base is None and partial is not call.out and partial is not call.primals[0]
    if new and type(g) is type(partial) and g.shape == partial.shape and g.dtype == partial.dtype and partial.dtype.kind == "f":
        return np.multiply(g, partial, out=partial)
    return times(g, partial)


def _inline(compute: Rule, names: _Names, partial: Any) -> Inline | None:
    """An elementwise kernel of one operand without parameters as lines of code: those of `_into_partial`, with what they call."""
    if len(names.operands) > 1 or names.aux or names.params or not callable(partial):
        return None
    (operand,) = names.operands
    read = [f"{{{name}}}" for name in names_of(partial)]
    alike = "type(partial) is type({g}) and partial.shape == {g}.shape and partial.dtype == {g}.dtype"
    new = " and ".join(["partial.base is None", *(f"partial is not {name}" for name in read)])
    return Inline(
        (f"{{out}} = {{compute}}(np, {{{operand}}})",),
        {
            operand: (
                f"partial = {{partial}}({', '.join(read)})",
                f"if {alike} and {new}:",
                f"    {{g_{operand}}} = np.multiply({{g}}, partial, out=partial)",
                "else:",
                f"    {{g_{operand}}} = times({{g}}, partial)",
                "del partial",
            )
        },
        {"compute": compute, "partial": partial},
        same_shape=True,
    )


def elementwise(
    name: str,
    compute: Rule,
    *,
    on_floats: Rule | None = None,
    aux: Mapping[str, Rule] | None = None,
    forward: Rule | None = None,
    stand_in: Rule | None = None,
    **partials: Any,
) -> Kernel:
    """A kernel that acts element by element with broadcasting.

    `partials` give, per operand, the partial derivative: a function of what it reads, a number, or nothing (no derivative).
    A partial may return a boolean mask, which selects where the derivative is 1. `on_floats` may be `compute` for floating operands alone.
    """
    aux = aux or {}
    names = _Names(compute, aux)
    rules = tuple(names.bind(partials.get(n)) for n in names.operands)
    rule = rules[0]
    several = len(names.operands) > 1
    if partials and len(names.operands) - (names.operands[0] == "condition") == 2:
        compute = promoting(compute, skip=len(names.operands) - 2)

    def pushforward(call: Call, tangents: Any) -> Any:
        total = None
        for t, rule, shape in zip(tangents, rules, call.shapes, strict=True):
            if t is None or rule is None:
                continue
            if several:
                t = align(t, len(shape), len(call.shape))
            term = times(t, rule(call) if callable(rule) else rule)
            total = term if total is None else total + term
        if total is None or not several:
            return total
        return fill(total, call.shape, next(t.ndim - len(s) for t, s in zip(tangents, call.shapes, strict=True) if t is not None))

    def pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
        if not several:
            return (_into_partial(g, rule(call), call) if callable(rule) else times(g, rule),)
        return tuple(
            unbroadcast(times(g, rule(call) if callable(rule) else rule), len(call.shape), shape) if need and rule is not None else None
            for need, rule, shape in zip(needs, rules, call.shapes, strict=True)
        )

    smooth = any(rule is not None for rule in rules)
    return register(
        Kernel(
            name,
            names.operands,
            compute,
            pushforward if smooth else None,
            pullback if smooth else None,
            keeps=tuple(names.keeps(partials.get(n)) for n in names.operands),
            aux=aux,
            forward=forward,  # type: ignore[arg-type]
            partials=rules if smooth else (),
            examples=_rows_align,
            carries_axis=_axes_align,
            sites=tuple(range(len(names.operands))) if several and smooth else (),
            reads_shapes=several,
            stand_in=stand_in,
            inline=_inline(on_floats or compute, names, partials.get(names.operands[0])),
            explain=_do_not_broadcast if several else None,
        )
    )


def transcendental(name: str, compute: Rule, **partials: Any) -> Kernel:
    """An elementwise kernel whose result is a floating number also for whole ones."""
    return elementwise(name, floating(compute), on_floats=compute, **partials)


def _rows_align(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return len(shapes[operand]) == len(shape) > 0 and shapes[operand][0] == shape[0]


def _axes_align(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return axis if len(shapes[operand]) == len(shape) and shapes[operand][axis] == shape[axis] else None


def _do_not_broadcast(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    widest = max(len(s) for s in shapes)
    for axis in range(-1, -widest - 1, -1):
        sizes = {s[axis] for s in shapes if len(s) >= -axis and s[axis] != 1}
        if len(sizes) > 1:
            shown = " and ".join(str(s) for s in shapes if s)
            return f"shapes {shown} do not broadcast: they disagree at axis {axis}, {' != '.join(map(str, sorted(sizes)))}"
    return None


def alone(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """`Kernel.merges` of kernels that give every element of the operand to at most one of the result."""
    return True


def always(params: dict[str, Any]) -> bool:
    """`Kernel.uniform` of kernels whose parameters are of all examples alike."""
    return True


def _same_params(params: dict[str, Any], lead: Shape) -> dict[str, Any]:
    return params


def linear_map(
    name: str,
    compute: Rule,
    transpose: Callable[[Any, Call, Shape], Any],
    *,
    lift: Callable[[dict[str, Any], Shape], dict[str, Any]] | None = _same_params,
    push: Callable[[Any, Call, int], Any] | None = None,
    examples: Callable[..., bool] = never,
    carries_axis: Callable[..., int | None] | None = None,
    diagonal: Rule | None = None,
    keeps_order: bool = False,
    view: bool = False,
    terms: Rule | None = None,
    moves: bool = False,
    arranges: bool = False,
    uniform: Callable[[dict[str, Any]], bool] = no_params,
    merges: Callable[..., bool] = never,
    accumulate: Callable[[Call, Any, Any], Any] | None = None,
    explain: Callable[..., str | None] | None = None,
) -> Kernel:
    """A kernel that is linear in its only operand.

    `transpose(g, call, lead)` maps a cotangent of shape `[*lead, *r]` back. A tangent is pushed by the kernel itself with
    `lift(params, lead)`, or by `push(t, call, number of leading axes)` where no parameters do that.
    """
    operands, _ = _signature(compute)

    def pushforward(call: Call, tangents: Any) -> Any:
        (t,) = tangents
        lead = t.ndim - len(call.shapes[0])
        if push is not None:
            return push(t, call, lead)
        return kernel(t, **lift(call.params, tuple(t.shape[:lead])))  # type: ignore[misc]

    def pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
        return (transpose(g, call, tuple(g.shape[: g.ndim - len(call.shape)])),)

    kernel = Kernel(
        name,
        operands,
        compute,
        pushforward,
        pullback,
        keeps=(frozenset(),),
        examples=examples,
        carries_axis=carries_axis,
        diagonal=diagonal,
        keeps_order=keeps_order,
        view=view,
        terms=terms,
        moves=moves,
        arranges=arranges,
        uniform=uniform,
        merges=merges,
        accumulate=accumulate,
        explain=explain,
    )
    return register(kernel)


def _pullback_of(rules: tuple[Rule, ...]) -> Rule:
    """The pullback that takes the cotangent of each operand by its own rule."""
    return lambda call, g, needs: [rule(g, call) if need else None for need, rule in zip(needs, rules, strict=True)]


def multilinear(
    name: str,
    compute: Rule,
    *,
    push: Callable[[Call, int, Any], Any],
    diagonal: Rule | None = None,
    matrix: Rule | None = None,
    examples: Callable[..., bool] = never,
    carries_axis: Callable[..., int | None] | None = None,
    joins_groups: Callable[..., tuple[int, int] | None] | None = None,
    sites: tuple[int, ...] = (),
    reads_shapes: bool = True,
    explain: Callable[..., str | None] | None = None,
    pullback: Rule | None = None,
    case: Callable[..., str] | None = None,
    inline: Inline | None = None,
    **adjoints: Rule,
) -> Kernel:
    """A kernel that is linear (or affine) in each operand.

    `adjoints` give per operand the cotangent as a function of the result's cotangent, the call, and the operands it reads.
    `push(call, operand, tangent)` is the kernel itself with the tangent in that operand's place. `pullback` may take all of them together.
    """
    names = _Names(compute, {})
    rules = tuple(names.bind(adjoints[n], given=2) for n in names.operands)

    def pushforward(call: Call, tangents: Any) -> Any:
        total = None
        for i, t in enumerate(tangents):
            if t is not None:
                term = push(call, i, t)
                total = term if total is None else total + term
        return total

    return register(
        Kernel(
            name,
            names.operands,
            compute,
            pushforward,
            pullback or _pullback_of(rules),
            keeps=tuple(names.keeps(adjoints[n], given=2) for n in names.operands),
            diagonal=diagonal,
            matrix=matrix,
            examples=examples,
            carries_axis=carries_axis,
            joins_groups=joins_groups,
            sites=sites,
            reads_shapes=reads_shapes,
            makes=True,
            explain=explain,
            case=case,
            inline=inline,
        )
    )


def linear_joint(
    name: str,
    compute: Rule,
    *,
    pushforward: Rule,
    pullback: Rule,
    examples: Callable[..., bool] = never,
    carries_axis: Callable[..., int | None] | None = None,
    arranges: bool = False,
    explain: Callable[..., str | None] | None = None,
) -> Kernel:
    """A kernel that is linear in all its operands jointly, with both rules by hand, and of which nothing is kept.

    `compute(xp, *operands, **params)` may take any number of operands; `pushforward` then gets as many tangents, of which some are `None`.
    """
    operands, _ = _signature(compute)
    variadic = [p.name for p in inspect.signature(compute).parameters.values() if p.kind is p.VAR_POSITIONAL]
    return register(
        Kernel(
            name,
            (*operands, *variadic),
            compute,
            pushforward,
            pullback,
            keeps=(frozenset(),) * (len(operands) + len(variadic)),
            variadic=bool(variadic),
            examples=examples,
            carries_axis=carries_axis,
            arranges=arranges,
            explain=explain,
        )
    )


def irregular(
    name: str,
    compute: Rule,
    *,
    pushforward: Rule | None = None,
    pullback: Rule | None = None,
    keeps: tuple[frozenset[str], ...] = (),
    aux: Mapping[str, Rule | Derived] | None = None,
    anew: frozenset[str] = frozenset(),
    forward: Rule | None = None,
    examples: Callable[..., bool] = never,
    carries_axis: Callable[..., int | None] | None = None,
    sites: tuple[int, ...] = (),
    diagonal: Rule | None = None,
    moves: bool = False,
    merges: Callable[..., bool] = never,
    explain: Callable[..., str | None] | None = None,
) -> Kernel:
    """A kernel with both rules by hand, or with none (comparisons, `argmax`): then its result is a constant."""
    operands, _ = _signature(compute)
    return register(
        Kernel(
            name,
            operands,
            compute,
            pushforward,
            pullback,
            keeps=keeps or (frozenset(),) * len(operands),
            aux=aux or {},
            anew=anew,
            forward=forward,  # type: ignore[arg-type]
            examples=examples,
            carries_axis=carries_axis,
            sites=sites,
            diagonal=diagonal,
            moves=moves,
            merges=merges,
            explain=explain,
        )
    )
