"""Elementwise kernels on operands of the result's shape: every form of tangent is scaled by the partial derivatives, worked out once."""

from __future__ import annotations

import math
from typing import Any

from diffcore.arrays import is_mutable
from diffcore.kernels.families import times
from diffcore.kernels.record import Call
from diffcore.seeds import ones_of
from dualdiff.blocks import Part, in_dtype, pushed
from dualdiff.forms import Diagonal, Form, Groups, Outer, Rows, Tangents, arrays_in, cast, together
from dualdiff.seeding import ABSENT, FACTORED, OWN, Family, Seed, Site, Variable, family_of, shared


def push_elementwise(call: Call, groups: Groups, result: Tangents) -> None:
    """The tangents of the result of an elementwise kernel, added to `result`."""
    rules, known = call.kernel.partials, dict[int, Any]()
    joint: list[tuple[Seed, dict[int, Form]]] = []
    for seed, forms in groups.items():
        if seed.lead == 0:
            push_given(call, seed, forms, result)
            continue
        scaled: dict[int, Form] = {}
        for i, form in forms.items():
            if rules[i] is None:
                continue
            if i not in known:
                rule = rules[i]
                known[i] = rule(call) if callable(rule) else rule
            scaled[i] = scaled_form(form, known[i], call)
        if not scaled:
            continue
        first, *others = scaled.values()
        if not others and not (len(groups) > 1 and len(call.shapes) > 1):
            result[seed] = first
        elif meets(seed, scaled, groups):
            joint.append((seed, scaled))
        elif type(first) is Diagonal and all(type(form) is Diagonal for form in others):
            result[seed] = sum_of_diagonals(list(scaled.values()), call)
        elif all(_same_base(first, other) for other in others):
            result[seed] = first if not others else first.scaled(_total([form.scale for form in scaled.values()], call))
        else:
            joint.append((seed, scaled))
    if joint:
        parts = _parts_of(call, joint, result)
        for family, own in parts.items():
            if family in result:
                own.append(Part(None, result[family].members, result[family]))
            made = pushed(call, own)
            if made is not None:
                result[family] = made


def push_given(call: Call, seed: Seed, forms: dict[int, Form], result: Tangents) -> None:
    """Push a single direction."""
    tangents = [forms.get(i) for i in range(len(call.shapes))]
    made = call.kernel.pushforward(call, tuple(tangents))  # type: ignore[misc]
    if made is not None:
        result[seed] = in_dtype(made, call.out)


def _same_base(first: Form, other: Form) -> bool:
    return type(first) in (Rows, Outer) and first.same_base(other)


def meets(seed: Seed, own: dict[int, Form], groups: Groups) -> bool:
    """Whether other operands have directions of the seed in another form, a dearer one."""
    if type(seed) is Family and seed is not FACTORED:
        return False
    if seed in groups.absent:
        return True
    for other, forms in groups.items():
        if other is not seed and type(other) is Family:
            for form in forms.values():
                if seed is FACTORED:
                    if any(not set(mine.members).isdisjoint(form.members) for mine in own.values()):
                        return True
                elif seed in form.members:
                    return True
    return False


def note_absent(seed: Seed, result: Tangents) -> None:
    """A run that does not carry the directions of a site has come to where they would be dense."""
    if type(seed) is Site:
        result[ABSENT] = result.get(ABSENT, frozenset()) | {seed}


def _parts_of(call: Call, joint: list[tuple[Seed, dict[int, Form]]], result: Tangents) -> dict[Seed, list[Part]]:
    """Forms of the result, scaled already, as parts of the blocks of their families."""
    parts: dict[Seed, list[Part]] = {}
    diagonals: dict[tuple[Seed, int], list[tuple[Any, Any]]] = {}
    scalar = math.prod(call.shape) == 1
    for seed, forms in joint:
        for i, form in forms.items():
            if type(form) is not Diagonal:
                family = shared(0) if seed is FACTORED else OWN if type(seed) is Variable and not scalar else seed
                parts.setdefault(family, []).append(Part(None, form.members, form))
            elif seed.is_active():  # type: ignore[attr-defined]
                family = seed if scalar and type(seed) is Variable else family_of(seed)
                diagonals.setdefault((family, i), []).append((seed, form.scale))
            else:
                note_absent(seed, result)
    for (family, i), own in diagonals.items():
        for members, array in together(own, call.primals[i], call.shape):
            parts.setdefault(family, []).append(Part(None, members, array))
    return parts


def scaled_form(form: Form, partial: Any, call: Call) -> Form:
    """A form after multiplication by a partial derivative."""
    if type(form) is Diagonal:
        scale = _product(form.scale, partial, call, whole=True)
        return form if scale is form.scale else Diagonal(scale)
    if arrays_in(form)[0].dtype != call.out.dtype:
        form = cast(form, call.out.dtype)
    scale = _product(form.scale, partial, call, whole=False)
    return form if scale is form.scale else form.scaled(scale)


def _product(scale: Any, partial: Any, call: Call, *, whole: bool) -> Any:
    """`scale * partial`, where `None` stands for ones, in the dtype of the result; with `whole` an array unless it is `None`."""
    if scale is None or not hasattr(scale, "dtype"):
        if isinstance(partial, int | float):
            made = partial if scale is None else scale * partial
            if made == 1:
                return None
            return times(ones_of(call.out), made) if whole else made
        if hasattr(partial, "dtype") and partial.dtype == call.out.dtype and tuple(partial.shape) == call.shape:
            if scale is None:
                if is_mutable(partial) and any(partial is x for x in (call.out, *call.primals)):
                    return partial.copy()  # the tensor may be changed in place, its tangent never
                return partial
            return partial * scale
        made = times(ones_of(call.out), partial)
        return in_dtype(made if scale is None else made * scale, call.out)
    return in_dtype(times(scale, partial), call.out)


def sum_of_diagonals(forms: list[Form], call: Call) -> Diagonal:
    """Diagonals of the result, added up."""
    if len(forms) == 1:
        return forms[0]
    total = ones_of(call.out) if forms[0].scale is None else forms[0].scale
    for form in forms[1:]:
        total = total + (1 if form.scale is None else form.scale)
    return Diagonal(in_dtype(total, call.out))


def _total(scales: list[Any], call: Call) -> Any:
    """The sum of what scales the same tangents."""
    total = 1 if scales[0] is None else scales[0]
    for scale in scales[1:]:
        total = total + (1 if scale is None else scale)
    if hasattr(total, "dtype"):
        return in_dtype(total, call.out)
    return None if total == 1 else total
