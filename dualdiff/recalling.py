"""Pushes on shapes, remembered: what pushing blocks of tangents through a kernel came to once, it comes to for blocks like those.

A plan within a memory budget runs a function over and over, with the directions of one seed after the other; behind the layer of that seed
all of these runs push blocks of as many directions through the same kernels. What a ledger is told then depends on shapes alone: blocks
are pushed whole, whosever directions they are. Seeds that ask what is carried in a run (those of sites, and fresh variables) are left out.

Where a push is none that was met before, its parts may be: of one run with all directions, whose blocks grow from layer to layer, each
seed's own rows go through kernels as those of the layers before did, and a site is expanded as sites like it were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

from diffcore.kernels.record import Call
from diffcore.ledger import state
from diffcore.recalled import NEVER, Recalled, Unlike, frozen_params, traits
from diffcore.watch import watch
from dualdiff.forms import GIVEN, Diagonal, Form, Groups, Outer, Rows, Tangents
from dualdiff.seeding import APART, FACTORED, OWN, Directions, Features, Seed, Site, Variable

MEMBERS = 8
"""Seeds in a block up to which it is described."""


class _Names:
    """Seeds and members of blocks by number, and the arrays in the order in which they are met."""

    def __init__(self, call: Call) -> None:
        self.arrays: list[Any] = [*call.primals, call.out, *call.aux]
        self.seeds: list[Any] = [OWN, FACTORED, APART]
        self.members: list[tuple[Any, ...]] = []

    def seed(self, seed: Any) -> tuple[int, Hashable]:
        """The number of a seed, and its kind."""
        if seed not in self.seeds:
            if type(seed) not in (Directions, Variable, Features) and seed is not GIVEN:
                raise Unlike
            self.seeds.append(seed)
        return self.seeds.index(seed), (type(seed), getattr(seed, "count", None), seed.lead if seed is not GIVEN else 1)

    def of(self, members: tuple[Any, ...]) -> tuple[int, Hashable]:
        """The number of a tuple of members, and what they are."""
        if len(members) > MEMBERS:
            raise Unlike
        number = next((i for i, known in enumerate(self.members) if known is members), None)
        if number is None:
            number = len(self.members)
            self.members.append(members)
        return number, tuple([self.seed(member) for member in members])

    def form(self, form: Form) -> Hashable:
        """What a form is; its arrays are noted."""
        kind = _noted(form, self.arrays)
        return None if kind is None else (kind, self.of(form.members))


def _noted(form: Form, arrays: list[Any]) -> type | None:
    """The kind of a form, `None` for an array; what it is made of is added to the `arrays`."""
    kind = type(form)
    if kind is Rows:
        arrays += (form.array, form.scale)
    elif kind is Outer:
        arrays += (form.left, form.right, form.scale)
    elif hasattr(form, "dtype"):
        arrays.append(form)
        return None
    else:
        raise Unlike
    return kind


def is_recalling() -> bool:
    """Whether a ledger is open that recalls calls."""
    return bool(watch.count) and state.ledger is not None and state.ledger.recalled is not None


def recalled_push(call: Call, groups: Groups, result: Tangents, work: Callable[[], None]) -> None:
    """`work()`, which pushes `groups` into `result`; where it is known what comes of it, that is put there and booked."""
    ledger: Any = state.ledger
    recalled: Recalled = ledger.recalled
    names = _Names(call)
    try:
        recalled.check(call.kernel)
        key = _key(ledger, call, groups, result, names)
    except Unlike:
        work()
        return
    before = set(result)

    def described() -> Any:
        work()
        try:
            return tuple([_described(seed, form, names) for seed, form in result.items() if seed not in before])
        except Unlike:
            return NEVER

    known, made = recalled.once(ledger, key, names.arrays, described)
    if known:
        for seed, form in made:
            result[names.seeds[seed]] = _form(form, names)


def recalled_block(call: Call, forms: dict[int, Form], n: int, out: Any, work: Callable[[], Any]) -> Any:
    """What `work()` makes, which pushes `n` directions of some operands through the kernel, into `out` where that is given."""
    ledger: Any = state.ledger
    arrays = [*call.primals, call.out, *call.aux, out]
    try:
        _check(ledger.recalled, call)
        kinds = tuple([(i, _noted(form, arrays)) for i, form in forms.items()])
        key = call.kernel, "block", state.role, n, frozen_params(call.params), kinds, len(call.primals), traits(ledger, arrays)
    except Unlike:
        return work()
    return ledger.recalled.once(ledger, key, arrays, work)[1]


def recalled_diagonal(call: Call, operand: int, form: Diagonal, seed: Any, work: Callable[[], Any]) -> Any:
    """What `work()` makes of a diagonal that goes through the kernel: an `Outer` of this one seed, an array, or nothing."""
    ledger: Any = state.ledger
    arrays = [*call.primals, call.out, *call.aux, form.scale]
    try:
        _check(ledger.recalled, call)
        what = operand, seed.rows.start, seed.rows.stop, seed.examples, len(call.primals)
        key = call.kernel, "diagonal", state.role, what, frozen_params(call.params), traits(ledger, arrays)
    except Unlike:
        return work()

    def described() -> Any:
        made = work()
        return (made.left, made.right, made.scale) if type(made) is Outer else (made,)

    _, made = ledger.recalled.once(ledger, key, arrays, described)
    return made[0] if len(made) == 1 else Outer((seed,), *made)


def recalled_expansion(site: Site, form: Form, axis: int, shape: tuple[int, ...], work: Callable[[], list[Any]]) -> list[Any]:
    """What `work()` makes: the tangents that those of a site are of the variables behind it."""
    ledger: Any = state.ledger
    arrays: list[Any] = []
    try:
        sites = _site(ledger.recalled, site, arrays)
        if type(form) is Diagonal:
            kind: type | None = Diagonal
            arrays.append(form.scale)
        else:
            kind = _noted(form, arrays)
        key = "expansion", state.role, sites, kind, axis, shape, traits(ledger, arrays)
    except Unlike:
        return work()
    made: list[Any] = ledger.recalled.once(ledger, key, arrays, work)[1]
    return made


def _site(recalled: Recalled, site: Site, arrays: list[Any]) -> Hashable:
    """What a site is, whose variables they are apart; what its call has kept is added to the `arrays`."""
    call = site.call
    _check(recalled, call)
    arrays += (*call.primals, call.out, *call.aux)
    if any(type(variable.whole) is not Variable for _, variable in site.targets):
        raise Unlike
    targets = tuple([(i, variable.whole.window) for i, variable in site.targets])
    what = call.kernel, frozen_params(call.params), call.shapes, call.shape, len(call.aux), targets, site.window, site.size, site.examples
    if site.merged is None:
        return what
    before, scale = site.merged
    arrays.append(scale)
    return what, _site(recalled, before, arrays)


def _check(recalled: Recalled, call: Call) -> None:
    """Raise `Unlike` for a part of a push that is not of one kernel, under whose name it is booked, or of one that may do anything."""
    if not state.kernel:
        raise Unlike
    recalled.check(call.kernel)


def _key(ledger: Any, call: Call, groups: Groups, result: Tangents, names: _Names) -> Hashable:
    if groups.absent or result and (math.prod(call.shape) == 1 or any(type(seed) is not Variable for seed in result)):
        raise Unlike
    parts: list[Hashable] = []
    for seed, forms in groups.items():
        if seed not in (OWN, FACTORED, APART) and type(seed) is not Directions:
            raise Unlike
        parts.append((names.seed(seed), tuple([(i, names.form(form)) for i, form in forms.items()])))
    order = sorted(range(len(names.seeds)), key=lambda i: getattr(names.seeds[i], "order", 0))
    params = frozen_params(call.params)
    return call.kernel, "push", state.role, params, tuple(parts), tuple(order), len(call.primals), traits(ledger, names.arrays)


def _described(seed: Seed, form: Form, names: _Names) -> tuple[int, Any]:
    """A seed and its form as numbers and arrays."""
    if seed not in names.seeds:
        raise Unlike
    number = names.seeds.index(seed)
    kind = type(form)
    if kind is not Rows and kind is not Outer:
        return number, form
    at = next((i for i, known in enumerate(names.members) if known is form.members), None)
    members = tuple([names.seeds.index(member) for member in form.members]) if at is None else at
    return number, (("rows", members, form.array, form.scale) if kind is Rows else ("outer", members, form.left, form.right, form.scale))


def _form(form: Any, names: _Names) -> Form:
    if type(form) is not tuple:
        return form
    kind, members, *arrays = form
    whose = names.members[members] if type(members) is int else tuple([names.seeds[i] for i in members])
    return Rows(whose, *arrays) if kind == "rows" else Outer(whose, *arrays)
