"""Every differentiable kernel is broken on purpose, in every way that it can be, and the checkers tell each time."""

from functools import cache

import numpy as np
import pytest

from compare.check.check import conditions
from compare.check.rules import is_finite
from compare.check.table import CHECKS
from compare.check.trial import Trial, trial
from diffcore.kernels import registered
from diffcore.kernels.record import never
from diffcore.testing import CheckFailed, active, check_derivative, check_rules
from diffcore.testing.mutations import MUTATIONS, replaced, spared
from diffcore.testing.scenarios import rows_of

KERNELS = {name: kernel for name, kernel in registered().items() if kernel.differentiable}
BY_NAME = {check.name: check for check in CHECKS}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
kernels = pytest.mark.parametrize("name", KERNELS)


@cache
def calls(name):
    """The kernel's calls in its own smooth rows that have elements, each with its row."""
    trials = [t for t in map(trial, rows_of(name)) if t.smooth and t.value.size]
    return [(call, t.row) for t in trials for call in t.differentiable_calls if call.kernel.name == name and call.out.size]


def violates(check, call, row):
    """Whether a checker refuses the call."""
    try:
        check(call, row.rng)
    except CheckFailed:
        return True
    return False


def caught(call, row):
    """Whether one of the checkers of rules refuses the call."""
    return violates(check_rules, call, row) or violates(check_derivative, call, row)


@kernels
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_broken_rule_is_caught(name, mutation):
    tried = 0
    for call, row in calls(name):
        for wrong in MUTATIONS[mutation](call):
            tried += 1
            if caught(wrong, row):
                assert spared(mutation, KERNELS[name], [call for call, _ in calls(name)]) == ""
                assert not caught(call, row)
                return
    reason = spared(mutation, KERNELS[name], [call for call, _ in calls(name)])
    assert reason, f"{mutation} of {name} was not caught in {tried} tries"
    assert tried == 0, f"{mutation} of {name} is said not to apply ({reason}), yet there was something to try"


@kernels
def test_every_declared_residual_is_missed_when_it_is_not_kept(name):
    kernel = KERNELS[name]
    kinks = [t for t in map(trial, rows_of(name)) if t.has_derivative and not t.row.smooth]
    at_kinks = [(call, t.row) for t in kinks for call in t.differentiable_calls]
    missed = set()
    for call, row in (*calls(name), *at_kinks):
        for wrong in MUTATIONS["residual not declared"](call) if call.kernel is kernel and is_finite(call) else ():
            i = next(i for i, names in enumerate(kernel.keeps) if names != wrong.kernel.keeps[i])
            (residual,) = kernel.keeps[i] - wrong.kernel.keeps[i]
            if (i, residual) not in missed and violates(check_rules, wrong, row):
                assert not violates(check_rules, call, row)
                missed.add((i, residual))
    assert missed == {(i, residual) for i, names in enumerate(kernel.keeps) for residual in names}


# what only engines use of a kernel


def fails(check, rows):
    """Whether a check fails on one of the rows, tried anew."""
    with conditions(check):
        for row in rows:
            t = Trial(row)
            if check.excuse(t):
                continue
            try:
                check.run(t)
            except Exception:
                return True
    return False


def usable(name, check):
    rows = [row for row in rows_of(name) if row.smooth and not check.excuse(trial(row)) and trial(row).value.size]
    return rows[:6]


def flipped(rule):
    return lambda call, *args: _minus(rule(call, *args))


def _minus(x):
    return None if x is None else [_minus(y) for y in x] if isinstance(x, list | tuple) else -x


@kernels
@pytest.mark.parametrize("rule", ["pushforward", "pullback"])
def test_the_engines_run_the_rules_of_the_kernel(name, rule):
    check, kernel = BY_NAME["Jacobian by dualdiff"], KERNELS[name]
    rows = usable(name, check)
    assert not fails(check, rows)
    wrong = {rule: flipped(getattr(kernel, rule))}
    if rule == "pushforward" and kernel.partials:  # by which alone operands of the result's shape are scaled
        wrong["partials"] = tuple(_scaled(partial) for partial in kernel.partials)
    with replaced(kernel, **wrong):
        assert fails(check, rows)


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if kernel.partials])
def test_a_wrong_partial_is_caught(name):
    kernel, check = KERNELS[name], BY_NAME["Jacobian by dualdiff"]
    wrong = tuple(_scaled(partial) for partial in kernel.partials)
    with replaced(kernel, partials=wrong):
        assert fails(check, usable(name, check))


def _scaled(partial):
    if partial is None:
        return None
    return (lambda call: 1.25 * np.asarray(partial(call), float)) if callable(partial) else 1.25 * partial


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if kernel.diagonal is not None])
def test_a_wrong_diagonal_rule_is_caught(name):
    kernel, check = KERNELS[name], BY_NAME["Jacobian by dualdiff"]
    behind = BY_NAME["behind a layer"]
    with replaced(kernel, diagonal=flipped(kernel.diagonal), merges=never):  # sites that merge have no need of it
        assert fails(check, usable(name, check)) or fails(behind, usable(name, behind))


@kernels
def test_a_kernel_that_wrongly_claims_to_keep_examples_apart_is_caught(name):
    kernel, check = KERNELS[name], BY_NAME["behind a layer"]
    rows = [row for row in rows_of(name) if row.smooth and not check.excuse(trial(row)) and trial(row).value.size]
    mixing = [row for row in rows if any(mixes(call) for call in trial(row).calls if call.kernel is kernel)]
    assert not fails(check, rows)
    with replaced(kernel, examples=lambda *_: True, merges=never):  # where sites merge, nothing hangs on it
        assert not mixing or fails(check, mixing)


def mixes(call):
    """Whether the kernel says that it mixes the examples of its first operand (rows of several features) into several results."""
    i = (*active(call), 0)[0]
    several = len(call.shapes[i]) > 1 and call.shapes[i][0] > 1 and call.out.size > 1
    return several and not call.kernel.examples(i, call.shapes, call.shape, call.params)
