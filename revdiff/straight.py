"""Chains of kernels as straight-line code: what they do forward and back, written out in Python once per sequence of kernels.

For small layers most of the time of a chain goes into finding out, step by step, what to call with what and what to keep. That is the
same every time, so it is worked out once and put down as two functions, as the standard library's dataclasses do. Kernels say what they
come to on arrays as they are (`Kernel.inline`); the others are called, and keep a `Call` each. No text is run but that of this file and of
the kernels of `diffcore`: variables are numbered, so no name of a parameter, layer or kernel of anyone's is in it. For Linear, Tanh,
Linear on a batch of vectors that is no variable, `source` is:

    def forward(x, level, what, parameters):
        p0, p1, p2, p3 = parameters
        ...  # whether these are arrays of one dtype at one level, and variables
        v1 = np.matmul(v0, a0.mT)
        v1 += a1
        s1 = v1.shape
        if len(s1) != 2:
            return None
        v2 = compute1(np, v1)
        ...

    def pullback(node, g):
        v0, s1, v2, a2 = node.aux[1]
        node.parents = node.aux = None
        g3 = np.add.reduce(g, axis=0) if type(g) is ndarray else g.sum(axis=0)
        g2 = g.mT @ v2
        g = g @ a2
        ...
        return None, [g0, g1, g2, g3]
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from textwrap import indent
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
from numpy import ndarray

from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels import OURS
from diffcore.kernels.families import times
from diffcore.kernels.record import Call, Inline, Kernel, Rule
from diffcore.nn.chain import Step
from revdiff.node import NO_PARAMS, Node

_new = object.__new__
_words = re.compile(r"\w+").findall
_numbers = count()


class Recorded(NamedTuple):
    """A step of a chain, and what of its call is kept (see `diffcore.kernels.record.Plan`); `needs` is empty where nothing is recorded.

    `stand_in` is that of the kernel where the next step does not keep the result as its operand.
    """

    kernel: Kernel
    start: int
    stop: int
    needs: tuple[bool, ...]
    drop: tuple[int, ...] = ()
    keep_out: bool = False
    keep_aux: tuple[bool, ...] | None = None
    stand_in: Rule | None = None


class Kept(NamedTuple):
    """What a recorded step keeps, by the names of variables: its `call`, or operands (`None` for those dropped), result and shape."""

    call: str | None = None
    primals: tuple[str | None, ...] = ()
    out: str | None = None
    shape: str = ""


class Straight(NamedTuple):
    """A chain written out.

    `forward(value, level, what, parameters)` returns the result, its shape and dtype, the parents and the values kept, or `None` where the
    code does not apply; `pullback(node, g)` frees the node and returns the cotangents of the input and of the parameters. `names` are those
    of the values kept; `kept` tells what they are, for every step in `recorded`. `undecided` chains end in a `Call` whose result
    is settled only when it is used (see `revdiff.residuals.settle`).
    """

    forward: Callable[..., Any]
    pullback: Callable[..., Any]
    source: str
    recorded: list[Recorded]
    names: tuple[str, ...]
    kept: list[Kept]
    result_shape: str
    undecided: bool

    def calls(self, node: Node) -> list[Call]:
        """The calls of the recorded steps of a closed `node`, as they would have been recorded one by one."""
        values: dict[str | None, Any] = dict(zip(self.names, node.aux[1], strict=True))
        values |= {self.result_shape: node.shape, None: None}
        found = []
        for step, kept in zip(self.recorded, self.kept, strict=True):
            if kept.call is not None:
                found.append(values[kept.call])
                continue
            primals = [values[name] for name in kept.primals]
            found.append(Call(step.kernel, primals, values[kept.out], NO_PARAMS, (), values[kept.shape], ()))
        return found


def planned(steps: tuple[Step, ...], needed: bool) -> list[Recorded]:
    """What is kept of every step. Whether a cotangent of its first operand is `needed` is given for the first, and so known for all."""
    found: list[Recorded] = []
    for kernel, start, stop in steps:
        mask = (2 << stop - start) - 1 - (not needed)
        found.append(Recorded(kernel, start, stop, *kernel.plan(mask, 1 + stop - start)) if mask else Recorded(kernel, start, stop, ()))
        needed = needed or bool(mask)
        if len(found) > 1 and 0 in found[-1].drop:
            found[-2] = found[-2]._replace(stand_in=found[-2].kernel.stand_in)
    return found


def inline_of(kernel: Kernel) -> Inline | None:
    """The lines of code of a kernel, which only those of `diffcore` can have."""
    return kernel.inline if kernel in OURS else None


def _called(step: Recorded, operands: list[Any]) -> tuple[Any, Call]:
    """The result of a step, and its call with what is kept of it."""
    kernel = step.kernel
    call: Call = _new(Call)
    call.kernel = kernel
    call.primals = operands
    call.params = NO_PARAMS
    call.shapes = tuple([x.shape for x in operands]) if kernel.reads_shapes else ()
    if kernel.aux:
        value, aux = kernel.forward(np, *operands)
        call.aux = aux if step.keep_aux is None else tuple([a if kept else None for a, kept in zip(aux, step.keep_aux, strict=True)])
    else:
        value = kernel.compute(np, *operands)
        call.aux = ()
    call.out = (value if step.stand_in is None else step.stand_in(value)) if step.keep_out else None
    call.shape = value.shape
    for i in step.drop:
        operands[i] = None
    return value, call


def _tuple(names: Sequence[str]) -> str:
    """Names separated by commas, so that they are a tuple also where there is one."""
    return ", ".join(names) + ("," if len(names) == 1 else "")


class _Writer:
    """Puts down the code of a chain, step by step."""

    def __init__(self, plan: list[Recorded], ndim: int) -> None:
        self._plan = plan
        self._ndim: int | None = ndim  # of the value that the next step takes, where that is known
        self._forward: list[str] = []
        self._backward: list[list[str]] = []
        self._names: dict[str, None] = {}  # of values kept, in order
        self._kept: list[Kept] = []
        self._known: dict[str, Any] = {"AbstractArray": AbstractArray, "called": _called, "ndarray": ndarray, "np": np, "times": times}
        self._shape = "s0"
        for i, step in enumerate(plan):
            self._step(i, step)

    def _step(self, i: int, step: Recorded) -> None:
        x, out = f"v{i}", f"v{i + 1}"
        arrays = [f"a{j}" for j in range(step.start, step.stop)]
        inline = inline_of(step.kernel)
        if inline is None:
            self._ndim = None  # the result may have any number of axes
        if not step.needs:
            self._known[f"kernel{i}"] = step.kernel
            self._forward.append(f"{out} = kernel{i}.compute(np, {x})")
            self._shape = self._shape_of(out)
        elif inline is None or inline.ndim not in (None, self._ndim) or step.kernel.deferred and i == len(self._plan) - 1:
            self._call(i, step, [x, *arrays], out)
        else:
            self._inline(i, step, inline, [x, *arrays], out)
        if x not in self._names:
            self._forward.append(f"del {x}")

    def _shape_of(self, value: str) -> str:
        shape = f"s{value[1:]}"
        self._forward.append(f"{shape} = {value}.shape")
        return shape

    def _call(self, i: int, step: Recorded, operands: list[str], out: str) -> None:
        """A kernel that is called, forward and back."""
        self._known |= {f"step{i}": step, f"kernel{i}": step.kernel}
        self._forward.append(f"{out}, c{i} = called(step{i}, [{', '.join(operands)}])")
        self._shape = self._shape_of(out)
        self._names[f"c{i}"] = None
        self._kept.append(Kept(f"c{i}"))
        cotangents = ["g", *(f"g{j}" for j in range(step.start, step.stop))]
        self._backward.append([f"{_tuple(cotangents)} = kernel{i}.pullback(c{i}, g, {step.needs})"])

    def _inline(self, i: int, step: Recorded, inline: Inline, operands: list[str], out: str) -> None:
        """A kernel that stands in line."""
        kernel = step.kernel
        self._known |= {f"{name}{i}": value for name, value in inline.uses.items()}
        names = {name: f"{name}{i}" for name in inline.uses} | dict(zip(kernel.operands, operands, strict=True)) | {"out": out}
        self._forward += [line.format_map(names) for line in inline.forward]
        if not inline.same_shape:
            self._shape = self._shape_of(out)
            if inline.ndim is not None:  # parameters of more axes make results of more
                self._forward += [f"if len({self._shape}) != {inline.ndim}:", "    return None"]
        elif self._shape == "s0" and not any(line.startswith("s0 = ") for line in self._forward):
            self._forward.insert(0, "s0 = v0.shape")
        primals = tuple(None if position in step.drop else name for position, name in enumerate(operands))
        if step.keep_out and step.stand_in is not None:
            self._known[f"stand_in{i}"] = step.stand_in
            self._forward.append(f"o{i} = stand_in{i}({out})")
            names["out"] = f"o{i}"
        kept_out = names["out"] if step.keep_out else None
        self._names |= dict.fromkeys(name for name in (*primals, kept_out, self._shape) if name is not None)
        self._kept.append(Kept(None, primals, kept_out, self._shape))
        names["g"] = names[f"g_{kernel.operands[0]}"] = "g"
        names |= {f"g_{name}": f"g{j}" for name, j in zip(kernel.operands[1:], range(step.start, step.stop), strict=True)}
        wanted = [lines for name, lines in inline.pullback.items() if step.needs[kernel.operands.index(name)]]
        self._backward.append([line.format_map(names) for lines in wanted for line in lines])

    def _forward_source(self, number: int) -> str:
        """`forward`, which begins with whether everything is as the code takes it to be."""
        each = range(number)
        tensors, arrays, nodes = ([f"{letter}{j}" for j in each] for letter in "pan")
        lines, same_kind, same_dtype = ["kind, dtype = type(v0), v0.dtype"], "", ""
        if number:
            lines.append(f"{_tuple(tensors)} = parameters")
            lines += [f"{array} = {tensor}.primal" for array, tensor in zip(arrays, tensors, strict=True)]
            lines += [f"{node} = {tensor}.carried" for node, tensor in zip(nodes, tensors, strict=True)]
            lines += [f"if not level == {' == '.join(f'{tensor}.level' for tensor in tensors)}:", "    return None"]
            lines += [f"if {' or '.join(f'{node} is None' for node in nodes)}:", "    return None"]
            same_kind = f" or not kind is {' is '.join(f'type({array})' for array in arrays)}"
            same_dtype = f" or not dtype == {' == '.join(f'{array}.dtype' for array in arrays)}"
        lines += [f"if kind is not ndarray and kind is not AbstractArray{same_kind}:", "    return None"]
        lines += [f"if dtype.kind != 'f'{same_dtype}:", "    return None"]
        parents = ", ".join(["what", *nodes])
        lines += [*self._forward, f"return v{len(self._plan)}, {self._shape}, dtype, [{parents}], ({_tuple(self.names)})"]
        return "def forward(v0, level, what, parameters):\n" + indent("\n".join(lines), "    ")

    def _backward_source(self, number: int) -> str:
        """`pullback`, which lets go of everything as soon as it has been read."""
        lines = [f"{_tuple(self.names)} = node.aux[1]"] if self.names else []
        lines.append("node.parents = node.aux = None")
        first = {name: len(self._backward) - 1 for name in self.names}  # the step that reads it last, which is the first to have read it
        for i in range(len(self._backward) - 1, -1, -1):
            first.update((word, i) for word in _words(" ".join(self._backward[i])) if word in first)
        done: dict[int, list[str]] = {}
        for name, i in first.items():
            done.setdefault(i, []).append(name)
        for i in range(len(self._backward) - 1, -1, -1):
            lines += self._backward[i]
            if i and i in done:
                lines.append(f"del {', '.join(done[i])}")
        below = "g" if self._plan[0].needs and self._plan[0].needs[0] else "None"
        lines.append(f"return {below}, [{', '.join(f'g{j}' for j in range(number))}]")
        return "def pullback(node, g):\n" + indent("\n".join(lines), "    ")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the values kept: all but the result's shape, which the node has."""
        return tuple(name for name in self._names if name != self._shape)

    def written(self) -> Straight:
        """The chain, as functions."""
        number = self._plan[-1].stop
        source = f"{self._forward_source(number)}\n\n\n{self._backward_source(number)}\n"
        file = f"<chain {' '.join(step.kernel.name for step in self._plan)} #{next(_numbers)}>"
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # tracebacks show the lines
        exec(compile(source, file, "exec"), self._known)  # noqa: S102  # of text from here and from the kernels' declarations
        finalize(self._known["forward"], linecache.cache.pop, file, None).atexit = False
        recorded = [step for step in self._plan if step.needs]
        undecided = bool(self._kept) and self._kept[-1].call is not None
        forward, pullback = self._known["forward"], self._known["pullback"]
        return Straight(forward, pullback, source, recorded, self.names, self._kept, self._shape, undecided)


@lru_cache(maxsize=256)
def straight(steps: tuple[Step, ...], needed: bool, ndim: int) -> Straight:
    """The code of `steps` for an input of `ndim` axes, whose cotangent is `needed` or not; at least one step must have something to record.

    Written once per sequence of kernels, so networks of the same layers share it.
    """
    return _Writer(planned(steps, needed), ndim).written()
