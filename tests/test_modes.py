"""The switches of both engines: as context managers, as decorators with and without parentheses, and on generators."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest


def off(engine: ModuleType) -> list[Any]:
    """Everything that switches derivatives off, as a decorator."""
    return [engine.no_grad, engine.no_grad(), engine.inference_mode, engine.inference_mode(), engine.inference_mode(True)]


def test_decorators_with_and_without_parentheses(engine: ModuleType) -> None:
    x = engine.ones(2, requires_grad=True)

    def doubled(x: Any, *, by: float = 2.0) -> Any:
        """Twice."""
        return x * by

    for decorator in off(engine):
        wrapped = decorator(doubled)
        assert (wrapped.__name__, wrapped.__doc__) == ("doubled", "Twice.")
        for _ in range(2):
            assert not wrapped(x, by=3.0).requires_grad
        assert engine.is_grad_enabled()
    with engine.no_grad():
        for decorator in (engine.enable_grad, engine.enable_grad(), engine.inference_mode(False)):
            assert decorator(doubled)(x).requires_grad
            assert not engine.is_grad_enabled()


def test_context_managers_nest_and_put_back(engine: ModuleType) -> None:
    for make in (engine.no_grad, engine.inference_mode, lambda: engine.set_grad_enabled(False)):
        with make():
            assert not engine.is_grad_enabled()
            with engine.enable_grad():
                assert engine.is_grad_enabled()
            with engine.set_grad_enabled(True):
                assert engine.is_grad_enabled()
            assert not engine.is_grad_enabled()
        assert engine.is_grad_enabled()
        with pytest.raises(KeyError), make():
            raise KeyError
        assert engine.is_grad_enabled()
    with engine.inference_mode(False):
        assert engine.is_grad_enabled()


def test_set_grad_enabled_acts_at_once(engine: ModuleType) -> None:
    try:
        engine.set_grad_enabled(False)
        assert not engine.is_grad_enabled()
        assert not (engine.ones(1, requires_grad=True) * 2).requires_grad
    finally:
        engine.set_grad_enabled(True)
    assert engine.is_grad_enabled()


def test_set_grad_enabled_as_a_decorator_acts_in_the_calls_alone(engine: ModuleType) -> None:
    @engine.set_grad_enabled(False)
    def seen() -> bool:
        return engine.is_grad_enabled()

    assert engine.is_grad_enabled()
    assert (seen(), seen()) == (False, False)
    assert engine.is_grad_enabled()


@pytest.mark.parametrize("bare", [True, False])
def test_generators_run_within_and_their_consumers_without(engine: ModuleType, bare: bool) -> None:
    closed = []

    def steps(n: int) -> Iterator[Any]:
        try:
            for i in range(n):
                try:
                    got = yield i, engine.is_grad_enabled()
                    assert got is None or got == "sent"
                except ValueError:
                    yield "caught", engine.is_grad_enabled()
        finally:
            closed.append(engine.is_grad_enabled())
        return "done"

    decorate: Callable[..., Any] = engine.no_grad if bare else engine.no_grad()
    assert [(item, engine.is_grad_enabled()) for item in decorate(steps)(2)] == [((0, False), True), ((1, False), True)]
    running = decorate(steps)(3)
    assert next(running) == (0, False)
    assert running.send("sent") == (1, False)
    assert running.throw(ValueError) == ("caught", False)
    assert engine.is_grad_enabled()
    running.close()
    assert closed == [False, False]

    def outer() -> Iterator[Any]:
        assert (yield from decorate(steps)(1)) == "done"

    assert list(outer()) == [(0, False)]
    assert engine.is_grad_enabled()
