"""`no_grad` and its kin."""

from types import ModuleType
from typing import Any

import pytest

import dualdiff
import revdiff
from tests.imperative.variables import A, exact, variable


def test_no_grad_as_context_and_decorator(engine: ModuleType) -> None:
    x = variable(engine)
    with engine.no_grad():
        assert not engine.is_grad_enabled()
        y = x * 2
        with engine.enable_grad():
            assert engine.is_grad_enabled()
            z = x * 3
        assert not engine.is_grad_enabled()
    assert engine.is_grad_enabled()
    assert not y.requires_grad
    assert z.requires_grad
    assert y.is_leaf

    @engine.no_grad()
    def twice(x: Any) -> Any:
        """Docstring."""
        return x * 2

    assert not twice(x).requires_grad
    assert twice.__doc__ == "Docstring."
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception(engine: ModuleType) -> None:
    x = variable(engine)
    with pytest.raises(ValueError), engine.no_grad():
        raise ValueError
    assert engine.is_grad_enabled()
    assert (x * 2).requires_grad


def test_one_switch_can_be_entered_twice(engine: ModuleType) -> None:
    switch = engine.no_grad()
    with switch:
        with switch:
            assert not engine.is_grad_enabled()
        assert not engine.is_grad_enabled()
    assert engine.is_grad_enabled()


def test_the_switches_of_the_engines_are_apart() -> None:
    with revdiff.no_grad():
        assert (variable(dualdiff) * 2).requires_grad
    with dualdiff.no_grad():
        assert (variable(revdiff) * 2).requires_grad


def test_variables_made_inside_no_grad_are_variables(engine: ModuleType) -> None:
    with engine.no_grad():
        x = variable(engine)
    assert x.requires_grad
    (x * x).sum().backward()
    exact(x.grad, 2 * A)
