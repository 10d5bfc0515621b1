"""Fixtures that every room of the tests may use: the two engines, the array backends, jax in 64 bits."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff

ENGINES = {"revdiff": revdiff, "dualdiff": dualdiff}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> ModuleType:
    """Each engine in turn."""
    return ENGINES[request.param]


@pytest.fixture
def x64() -> Iterator[None]:
    """jax with 64-bit numbers for the length of a test."""
    import jax

    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable(True):
        yield


@pytest.fixture(params=["numpy", "jax"])
def array(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """A function that makes a float64 array of each backend in turn."""
    if request.param == "numpy":
        return lambda values: np.array(values, dtype=np.float64)
    request.getfixturevalue("x64")
    import jax.numpy as jnp

    return lambda values: jnp.array(values, dtype=jnp.float64)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import jax

    if not any(device.platform == "gpu" for device in jax.devices()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="jax sees no GPU here"))


@pytest.fixture
def peak() -> Callable[[Callable[[], Any]], int]:
    """A function that gives the bytes which a call allocates at its peak, by `tracemalloc`, after a call that is not counted."""
    from compare.measure import traced

    return traced
