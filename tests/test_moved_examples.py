"""Directions shared by examples that have come to lie along another axis than 0: they stay shared where they can, and are right always."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.kernels import registered
from diffcore.testing.mutations import replaced
from dualdiff.forms import Aside
from dualdiff.seeding import Seeding, Site

RNG = np.random.default_rng(6)
X, W, V = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=(2, 3))
B, C, S = RNG.normal(size=2), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4))
Y = RNG.normal(size=(4, 2, 3))


def first(w: Any) -> Any:
    """A site of 4 examples with 3 features."""
    return ops.linear(X, w)


def second(w: Any) -> Any:
    """A site of 4 examples with 2 times 3 features."""
    return ops.linear(Y, w)


KEPT: dict[str, tuple[Callable[..., Any], int]] = {
    "transposed": (lambda w: first(w).T, 1),
    "transposed and on": (lambda w: (first(w).T.tanh() * C + 1).exp(), 1),
    "transposed and back": (lambda w: (first(w).T * C).T, 0),
    "rolled": (lambda w: second(w).permute(2, 0, 1), 1),
    "last": (lambda w: second(w).permute(1, 2, 0), 2),
    "stacked": (lambda w: ops.stack([first(w).tanh(), first(w)]), 1),
    "stacked and picked": (lambda w: ops.stack([first(w).tanh(), first(w)])[1], 0),
    "stacked behind": (lambda w: ops.stack([first(w).T, C], 2), 1),
    "stacked beside constants": (lambda w: ops.stack([X, first(w)]), 1),
    "joined": (lambda w: ops.cat([first(w).T, C]), 1),
    "cut": (lambda w: first(w).T[1:], 1),
    "a row": (lambda w: first(w).T[1], 0),
    "with a new axis": (lambda w: first(w)[None], 1),
    "with two": (lambda w: first(w)[:, None].permute(1, 2, 0)[None], 3),
    "through a layer": (lambda w: ops.linear(second(w).permute(1, 0, 2), V, B), 1),
    "through a layer without bias": (lambda w: ops.linear(second(w).permute(1, 0, 2), V), 1),
    "scaled for each of two": (lambda w: first(w)[None] * np.stack([X, 1 - X]), 1),
    "with its own": (lambda w: first(w).T.tanh() * first(w).T, 1),
}
"""Programs that keep examples apart, and where the examples are in the end."""

MIXED: dict[str, Callable[..., Any]] = {
    "two orders meet": lambda w: (first(w)[:3] + first(w).T[:, :3]).tanh(),
    "summed over": lambda w: first(w).T.sum(1).exp(),
    "some of them": lambda w: first(w).T[:, 1:].tanh(),
    "one of them": lambda w: first(w).T[:, 2] * first(w).T[:, 1],
    "in another order": lambda w: first(w).T[:, ::-1] * C,
    "by an array": lambda w: first(w).T[:, [1, 0, 0]].exp(),
    "through a product": lambda w: (first(w).T @ S).tanh(),
    "through a layer": lambda w: ops.linear(first(w).T, S).tanh(),
    "joined one after the other": lambda w: ops.cat([first(w).T, first(w).T * C], 1).tanh(),
    "reshaped": lambda w: first(w).T.reshape(2, 6) ** 2,
    "repeated": lambda w: first(w).T.reshape(3, 4, 1).expand(3, 4, 2).tanh(),
    "against itself": lambda w: first(w) @ first(w).T,
    "as softmax over them": lambda w: ops.softmax(first(w).T, -1),
}
PROGRAMS = {**{name: program for name, (program, _) in KEPT.items()}, **{f"mixed: {name}": program for name, program in MIXED.items()}}


@pytest.mark.parametrize("case", PROGRAMS)
def test_gradients_and_jacobians_are_those_of_reverse_mode(case: str) -> None:
    program = PROGRAMS[case]

    def loss(w: Any) -> Any:
        out = program(w)
        return (out * (1 + np.arange(out.numel()).reshape(out.shape)) * 0.1).sum() + (out * out).mean()

    expected, whole = revdiff.grad(loss)(W), revdiff.jacobian(program)(W)
    for seeding in Seeding.MODES:
        for memory in (None, "4KB") if case in ("stacked", "transposed and on", "mixed: through a layer") else (None,):
            found = dualdiff.grad(loss, seeding=seeding, memory=memory)(W)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, err_msg=f"{seeding} {memory}")
        np.testing.assert_allclose(dualdiff.jacobian(program, seeding=seeding)(W), whole, rtol=1e-12, atol=1e-14, err_msg=seeding)


@pytest.mark.parametrize("case", KEPT)
def test_directions_stay_shared(case: str) -> None:
    program, axis = KEPT[case]
    w = dualdiff.tensor(W, requires_grad=True)
    (seed,) = {type(seed) for seed in program(w).tangents}
    assert seed is Site
    for form in program(w).tangents.values():
        assert (form.axis if isinstance(form, Aside) else 0) == axis


@pytest.mark.parametrize("name", [name for name, kernel in registered().items() if kernel.carries_axis is not None])
def test_a_kernel_says_where_an_axis_goes_by_what_it_does(name: str) -> None:
    """Change one example of one operand: the result changes at that example of the axis named, and nowhere else."""
    from compare.check.trial import trial
    from diffcore.testing.checks import active
    from diffcore.testing.scenarios import rows_of

    said = 0
    for row in rows_of(name)[:8]:
        for call in trial(row).calls:
            if call.kernel.name != name or not call.out.size:
                continue
            for i in active(call):
                for axis, size in enumerate(call.shapes[i]):
                    to = call.kernel.axis_after(axis, i, call.shapes, call.shape, call.params)
                    if to is None or size < 2:
                        continue
                    said += 1
                    assert call.shape[to] == size
                    changed = [np.array(x) if j == i else x for j, x in enumerate(call.primals)]
                    changed[i][(slice(None),) * axis + (0,)] += 0.25
                    with np.errstate(all="ignore"):
                        after = np.asarray(call.kernel(*changed, **call.params))
                    rest = (slice(None),) * to + (slice(1, None),)
                    np.testing.assert_array_equal(after[rest], np.asarray(call.out)[rest], err_msg=row.id)
    assert said or name not in ("transpose", "concatenate", "getitem", "linear", "mul", "tanh")


@pytest.mark.parametrize("name", ["transpose", "getitem", "concatenate", "linear", "linear_unbiased", "mul"])
def test_a_kernel_that_names_a_wrong_axis_is_caught(name: str) -> None:
    kernel = registered()[name]
    wrong = lambda axis, operand, shapes, shape, params: len(shape) - 1 if shape else None
    with replaced(kernel, carries_axis=wrong):
        assert any(fails(case) for case in PROGRAMS)


def fails(case: str) -> bool:
    """Whether a program has a wrong gradient, or its tangents no longer fit together."""
    try:
        test_gradients_and_jacobians_are_those_of_reverse_mode(case)
    except Exception:
        return True
    return False
