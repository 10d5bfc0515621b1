"""The kernel record, and the record of one call of it, which is all that derivative rules may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MethodType
from typing import Any, NamedTuple

from diffcore.dispatch import apply

Shape = tuple[int, ...]
Rule = Callable[..., Any]


def never(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """The default for `Kernel.examples`: assume that examples are mixed, which is always correct."""
    return False


def no_params(params: dict[str, Any]) -> bool:
    """The default for `Kernel.uniform`: the parameters may be those of single examples."""
    return False


class Call:
    """One application of a kernel: operands, result, parameters and shapes.

    Forward mode fills everything. Reverse mode fills only what `Kernel.keeps` says the needed cotangents read; the rest is `None`.
    `shapes` are the operands' shapes, `shape` the result's, `aux` the kernel's own residuals in the order of `Kernel.aux`.
    """

    __slots__ = ("aux", "kernel", "out", "params", "primals", "shape", "shapes")

    def __init__(self, kernel: Kernel, primals: Any, out: Any, params: dict[str, Any], shapes: Any, shape: Any, aux: Any) -> None:
        self.kernel = kernel
        self.primals = primals
        self.out = out
        self.params = params
        self.shapes = shapes
        self.shape = shape
        self.aux = aux


class Separable(NamedTuple):
    """Tangents `left[b, j] * right[j, ...]` of example `b` in direction `j`: `left` `[batch, k]` (`None` for ones), `right` `[k, ...]`."""

    left: Any
    right: Any


class Inline(NamedTuple):
    """What a kernel comes to on numpy's arrays, all of one floating dtype, as lines of Python that can stand among those of others.

    In them `{out}` and the names of operands stand for variables, `{g}` for the cotangent of the result and `{g_name}` for that of an
    operand, names in `uses` for functions; `np`, `ndarray` and `times` are known. `pullback` gives the lines per operand, the first operand
    last, because its cotangent takes the place of the result's. `ndim` is the number of axes of the first operand and of the result that
    the lines are for (`None` for any); cotangents have no axes in front. `same_shape` says that the result has the operand's shape.

    So `linear` and the pullback of elementwise kernels stand twice, as rules and as lines. The rules serve tensors, jax, any leading axes
    and a derivative of the derivative; finding out that none of that is asked, and the calls it takes, cost a small layer more than its
    arithmetic. The lines are what the rules come to where that is known beforehand, and a test holds every kernel's lines to its own rules,
    bit for bit (`tests/nn/test_straight.py`). Lines are only taken from the kernels of `diffcore` (`diffcore.kernels.OURS`).
    """

    forward: tuple[str, ...]
    pullback: Mapping[str, tuple[str, ...]]
    uses: Mapping[str, Any]
    ndim: int | None = None
    same_shape: bool = False


class Derived(NamedTuple):
    """A residual that is `kernel(operand, **params)`, where the rules of `kernel` read its result alone.

    So it can be differentiated in turn from its value, without the operand being kept.
    """

    kernel: Kernel
    operand: str
    params: dict[str, Any]


class Plan(NamedTuple):
    """What one call keeps: `needs` per operand, the positions of operands to `drop`, whether the result stays, and which aux.

    `keep_aux` is `None` where all stay.
    """

    needs: tuple[bool, ...]
    drop: tuple[int, ...]
    keep_out: bool
    keep_aux: tuple[bool, ...] | None


@lru_cache(maxsize=256)  # bounded, because lists of operands come in every length
def _plan_of_nothing_kept(mask: int, count: int) -> Plan:
    return Plan(tuple(bool(mask >> i & 1) for i in range(count)), tuple(range(count)), False, None)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)  # `jax.jit` refers weakly to what it compiles
class Kernel:
    """A primitive operation with its derivative rules; made by the families, called like a function.

    Conventions of the rules, for an operand `x` of shape `s` and a result of shape `r`:

    - a tangent of `x` has shape `s` (one direction) or `[k, *s]` (k directions, all with the same leading axis);
      a cotangent has shape `r` or `[p, *r]`. Rules leave leading axes in place, so they serve both.
    - `pushforward(call, tangents)` gets one tangent per operand, `None` for a symbolic zero, and returns the result's.
    - `pullback(call, cotangent, needs)` returns one cotangent per operand, `None` where `needs` is false or it is zero.
    - rules use operators, array methods and kernels, so that they run on arrays as they are and on tensors differentiably.

    `compute(xp, *operands, **params)` runs on arrays only; `forward` is `compute` that also returns `aux`.
    """

    name: str
    operands: tuple[str, ...]
    compute: Rule
    pushforward: Rule | None = None
    pullback: Rule | None = None
    keeps: tuple[frozenset[str], ...] = ()
    """Per operand: the names of operands, aux and `out` that its cotangent reads."""
    aux: Mapping[str, Rule | Derived] = field(default_factory=dict)
    """Residuals that are neither operand nor result, each with its definition from those by name, or as a `Derived`."""
    anew: frozenset[str] = frozenset()
    """What floating aux are derived anew from, where a pullback is differentiated in turn; kept with any aux, beside what `keeps` names."""
    forward: Rule = None  # type: ignore[assignment]  # filled in below when not given
    partials: tuple[Any, ...] = ()
    """Elementwise kernels: per operand the partial derivative as a function of the call, or a number."""
    diagonal: Rule | None = None
    """`diagonal(call, operand, scale, rows, examples)`: pushes those `rows` of a diagonal tangent, to a dense or `Placed` one, or to a
    `Separable` one where examples share the directions; `None` where there is no short cut. `scale` is `None` for ones."""
    matrix: Rule | None = None
    """`matrix(call, operand)`: the matrix `[i, o]` that the last axis of this operand is multiplied by, whatever its other axes, so that
    directions fold into those; `None` where there is none."""
    terms: Rule | None = None
    """`terms(call)`: of a linear kernel of one operand, indices of the operand that give arrays of the result's shape, whose sum it is; or
    `None`. So factors can be multiplied part by part, in order in memory."""
    moves: bool = False
    """Each element of the result is one element of the first operand, the same one for every direction, or 0: factors of a tangent can be
    moved one by one."""
    uniform: Callable[[dict[str, Any]], bool] = no_params
    """`uniform(params)`: a linear kernel of one operand whose parameters say nothing of single examples, so that what all examples share
    (`[k, ...]` in the place of `[batch, ...]`) goes through the kernel by itself."""
    merges: Callable[..., bool] = never
    """`merges(operand, shapes, shape, params)`: no element of that operand reaches more than one element of the result (as in pooling over
    windows apart), so that directions which touch one element each still do."""
    keeps_order: bool = False
    """The result holds the operand's elements in the same row-major order (reshape)."""
    examples: Callable[..., bool] = never
    """`examples(operand, shapes, shape, params)`: row `b` of the result depends on row `b` of that operand alone."""
    carries_axis: Callable[..., int | None] | None = None
    """`carries_axis(axis, operand, shapes, shape, params)`: where `axis` of that operand comes to lie in the result, if the result at each
    position along it depends on that position of the operand alone; `None` where positions mix."""
    joins_groups: Callable[..., tuple[int, int] | None] | None = None
    """`joins_groups(axis, operand, shapes, shape, params)`: for positions along `axis` of that operand that mix within groups alone, one
    group after the other: how many groups there are, and along which axis of the result what they come to lies, in their order."""
    sites: tuple[int, ...] = ()
    """Operands the kernel is linear in that are typically parameters: their directions may be seeded on the result."""
    variadic: bool = False
    """Takes any number of operands, all named by the one name in `operands`, is linear in them jointly and keeps none of them."""
    reads_shapes: bool = True
    """Whether the pullback reads the operands' shapes."""
    arranges: bool = False
    """The parameters alone say which element of which operand each element of the result is, or that it is 0."""
    view: bool = False
    """Whether the result may share memory with the first operand (of which it is then a linear function)."""
    stand_in: Rule | None = None
    """`stand_in(out)`: what the rules may read in place of the result, in fewer bytes. Reverse mode keeps that where nothing else keeps the
    result, as the operand of another operation, so that it would be alive for these rules alone."""
    holds: tuple[Any, ...] = ()
    """Further tensors and arrays that the rules of this one call hold, as those of functions of users may."""
    deferred: bool = field(init=False, default=False)
    """Whether the operations that take the result decide what is kept of it, or of what it is a view of."""
    makes: bool = False
    """Whether the pullback returns arrays that it has made, a different one per operand, and that nobody else holds."""
    accumulate: Rule | None = None
    """Kernels that take a part of their only operand: `accumulate(call, g, total)` adds the operand's cotangent to `total`, in its memory
    where that can be, and returns the sum; so the cotangents of many parts take the time of the whole once."""
    explain: Callable[..., str | None] | None = None
    """`explain(shapes, params)`: why these shapes do not fit, or `None`."""
    case: Callable[..., str] | None = None
    """`case(*operands, **params)`: a name for what the value is computed by, `""` for the usual code, where operands of some shapes take a
    way that is far shorter. It sees shapes, dtypes and parameters alone. A ledger tells such calls apart."""
    inline: Inline | None = None
    """The same once more as lines of code without parameters, for kernels that small networks are made of; ignored in kernels of others."""
    _plans: dict[int, Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.forward is None:
            object.__setattr__(self, "forward", self._compute_and_derive)
        object.__setattr__(self, "deferred", self.view or self.stand_in is not None)

    __call__ = apply

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A kernel in a class body is a method, like a function."""
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<kernel {self.name}({', '.join(self.operands)})>"

    @property
    def differentiable(self) -> bool:
        return self.pullback is not None

    def cased(self, operands: Any, params: dict[str, Any]) -> str:
        """The name, and what the value of these operands is computed by."""
        try:
            case = "" if self.case is None else self.case(*operands, **params)
        except (ValueError, TypeError, IndexError):  # as the value will say better
            case = ""
        return f"{self.name} {case}" if case else self.name

    def names(self, count: int) -> tuple[str, ...]:
        """The names of `count` operands."""
        return tuple(f"{self.operands[0]}[{i}]" for i in range(count)) if self.variadic else self.operands

    def plan(self, mask: int, count: int) -> Plan:
        """What reverse mode keeps when those of `count` operands in `mask` (bit `i` for operand `i`) want a cotangent.

        Worked out once per mask, and for variadic kernels once per mask and count.
        """
        if self.variadic:
            return _plan_of_nothing_kept(mask, count)
        found = self._plans.get(mask)
        if found is None:
            needs = tuple(bool(mask >> i & 1) for i in range(len(self.operands)))
            read = frozenset[str]().union(*(names for names, need in zip(self.keeps, needs, strict=True) if need))
            keep_aux = tuple(name in read for name in self.aux)
            if any(keep_aux):
                read |= self.anew
            found = Plan(
                needs,
                tuple(i for i, name in enumerate(self.operands) if name not in read),
                "out" in read,
                None if all(keep_aux) else keep_aux,
            )
            self._plans[mask] = found
        return found

    def axis_after(self, axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
        """Where the examples that lie along `axis` of an operand lie in the result; `None` where they mix, or may."""
        if axis == 0 and self.examples(operand, shapes, shape, params):
            return 0
        return None if self.carries_axis is None else self.carries_axis(axis, operand, shapes, shape, params)

    def derive_aux(self, out: Any, primals: Any, params: dict[str, Any]) -> tuple[Any, ...]:
        """The aux residuals by their definitions, on arrays or tensors."""
        known = {"out": out, **params, **dict(zip(self.operands, primals, strict=False))}
        return tuple(
            define.kernel(known[define.operand], **define.params)
            if isinstance(define, Derived)
            else define(*(known[n] for n in names_of(define)))
            for define in self.aux.values()
        )

    def _compute_and_derive(self, xp: Any, *primals: Any, **params: Any) -> tuple[Any, tuple[Any, ...]]:
        out = self.compute(xp, *primals, **params)
        return out, self.derive_aux(out, primals, params)


def names_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's positional parameters."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount]


_registry: dict[str, Kernel] = {}


def register(kernel: Kernel) -> Kernel:
    """Add a kernel to the registry, which the tests and the checker walk. Names are unique."""
    if kernel.name in _registry:
        raise ValueError(f"a kernel named {kernel.name!r} is registered already")
    _registry[kernel.name] = kernel
    return kernel


def registered() -> dict[str, Kernel]:
    """Every registered kernel by name."""
    return dict(_registry)
