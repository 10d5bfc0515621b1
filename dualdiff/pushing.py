"""One operation in forward mode: compute the value, then push every tangent through the kernel.

Where the kernel is linear in a freshly seeded variable, the directions move to its result (a site). Elementwise kernels scale every form of
tangent (`dualdiff.scaling`), at a result with one element all are contracted and collected (`dualdiff.collecting`), other kernels keep the
forms that they can, and push the rest as blocks (`dualdiff.passing`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy import ndarray

from diffcore import anomaly
from diffcore.arrays import is_float
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.works import touched
from diffcore.examples import Owners, met, own_rows, owners_after
from diffcore.kernels.record import Call, Kernel
from diffcore.ledger import Storage, did, label, state
from diffcore.modes import Mode
from diffcore.watch import watch
from dualdiff.collecting import contract_all
from dualdiff.forms import GIVEN, IDENTITY, KINDS, Form, Groups, Rows, Tangents, arrays_in
from dualdiff.passing import push_all
from dualdiff.recalling import is_recalling, recalled_push
from dualdiff.scaling import push_elementwise
from dualdiff.seeding import ABSENT, APART, OWN, Directions, Elements, Family, Features, Seed, Variable
from dualdiff.sites import may_be_site, planted

mode = Mode()
"""Whether tangents are carried in this thread; see `no_grad`."""


def record(
    kernel: Kernel, primals: list[Any], carried: list[Tangents | None], mask: int, out: Any, aux: Any, params: dict[str, Any]
) -> Tangents | None:
    """The tangents of `out = kernel(*primals)` from those of its operands; `None` for a constant."""
    if kernel.pushforward is None or not mode.enabled or not is_float(out.dtype):
        return None
    if type(out) is AbstractArray:
        primals = [_shadow(x) if type(x) is ndarray else x for x in primals]
    call = Call(kernel, primals, out, params, tuple([getattr(x, "shape", ()) for x in primals]), out.shape, aux)
    outer = state.phase, state.kernel
    state.phase, state.kernel = "tangent", kernel.name
    try:
        made = push(call, carried)
        if watch.count and anomaly.is_anomaly_enabled():
            anomaly.check_tangents(kernel, _arrays(carried), _arrays([made]))
        return made or None
    finally:
        state.phase, state.kernel = outer


def _shadow(x: ndarray) -> AbstractArray:
    """A constant that a program on abstract arrays has brought itself: what rules make of it must not be real. Its bytes are its own."""
    return AbstractArray(x.shape, x.dtype, Storage(0), x.strides)


def _arrays(carried: Sequence[Tangents | None]) -> list[Any]:
    return [array for tangents in carried for form in (tangents or {}).values() for array in arrays_in(form)]


def push(call: Call, carried: Sequence[Tangents | None]) -> Tangents:
    """The tangents of `call.out` from those of its operands."""
    result: Tangents = {}
    groups = _grouped(call, carried, result)
    pushed = 0
    if watch.count and state.ledger is not None:
        pushed = sum(map(len, groups.values()))
        state.ledger.next_operation()
    if groups:
        apart = any(_is_strict(seed) for seed in groups)
        if apart:
            owners, groups = _owned(call, groups)
        if is_recalling():
            recalled_push(call, groups, result, lambda: _push_groups(call, groups, result))
        else:
            _push_groups(call, groups, result)
        if apart and APART in result:
            result[Family(0, strict=True, owners=owners)] = result.pop(APART)
    if watch.count and state.ledger is not None:
        if pushed:
            did("push", call.kernel.name, pushed)
            if not call.kernel.view:
                touched([*call.primals, *_arrays(carried)], _arrays([result]))
        for form in result.values():
            for array in arrays_in(form):
                label(array, "tangent")
    return result


def _push_groups(call: Call, groups: Groups, result: Tangents) -> None:
    kernel, shape = call.kernel, call.shape
    if math.prod(shape) == 1 and kernel.pullback is not None and _shrinks(call, groups) and any(map(_contracts, groups)):
        alone = Groups((seed, forms) for seed, forms in groups.items() if not _contracts(seed))
        contract_all(call, Groups((seed, forms) for seed, forms in groups.items() if _contracts(seed)), result)
        result.pop(ABSENT, None)
        if alone:
            push_all(call, alone, result)
    elif kernel.partials and all(call.shapes[i] == shape for forms in groups.values() for i in forms):
        push_elementwise(call, groups, result)
    else:
        push_all(call, groups, result)


def _shrinks(call: Call, groups: Groups) -> bool:
    return any(math.prod(call.shapes[i]) > 1 for forms in groups.values() for i in forms)


def _is_strict(seed: Seed) -> bool:
    return isinstance(seed, Features) or type(seed) is Family and seed.strict


def _owned(call: Call, groups: Groups) -> tuple[Owners, Groups]:
    """Whose the elements of the result are, where examples must stay apart, and the groups with their blocks as one.

    Raises `GradientError` where examples mix.
    """
    owners: dict[int, Owners] = {}
    joined = Groups()
    joined.absent = groups.absent
    for seed, forms in groups.items():
        if not _is_strict(seed):
            joined[seed] = forms
            continue
        for i in forms:
            known = seed.owners if type(seed) is Family else None
            own = own_rows(call.shapes[i]) if known is None else known
            owners[i] = met(call.kernel, owners[i], own) if i in owners else own
        if type(seed) is Family:
            joined.setdefault(APART, {}).update(forms)
        else:
            joined[seed] = forms
    return owners_after(call.kernel, owners, call.shapes, call.shape, call.params), joined


def _contracts(seed: Seed) -> bool:
    """Whether directions may be contracted where a result has one element: not a single one, nor those that must keep their structure."""
    return seed.lead > 0 and not isinstance(seed, Elements) and not _is_strict(seed)


def _grouped(call: Call, carried: Sequence[Tangents | None], result: Tangents) -> Groups:
    """Tangents grouped by seed, {operand position: form}; fresh variables at a site are replaced by the site's own seed in `result`."""
    groups = Groups()
    targets: list[tuple[int, Variable]] = []
    kernel = call.kernel
    for i, tangents in enumerate(carried):
        if tangents is None:
            continue
        for seed, form in tangents.items():
            if seed is ABSENT:
                groups.absent |= form
                result[ABSENT] = groups.absent
                continue
            if form is IDENTITY and isinstance(seed, Variable):
                if type(seed) is Variable:
                    # Whether a run carries a variable's own directions is asked where they are used, so that all runs meet the same sites.
                    if kernel.keeps_order:
                        result[seed] = form
                        continue
                    if i in kernel.sites and may_be_site(call, i):
                        targets.append((i, seed))
                        continue
                if not seed.is_active():
                    continue
            elif seed.lead and not isinstance(form, KINDS):
                seed, form = _given(seed, form)
            if seed in groups:
                groups[seed][i] = form
            else:
                groups[seed] = {i: form}
    if targets:
        is_site, site = planted(call, targets)
        if site is not None:
            result[site] = IDENTITY
        elif not is_site:
            for i, variable in targets:
                if variable.is_active():
                    groups.setdefault(variable, {})[i] = IDENTITY
    return groups


def _given(seed: Seed, form: Any) -> tuple[Seed, Form]:
    """Directions that a variable was given as an array, as a block."""
    return (seed, Rows((GIVEN,), form)) if type(seed) is Directions else (OWN, Rows((seed,), form))
