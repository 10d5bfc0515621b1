"""What the tests of layers share."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def same_under_jit(x64: None) -> Callable[..., None]:
    """`check(engine, net, loss, x)`: value and gradients of `loss(net, x)` are the same in a function compiled by jax."""
    import jax

    def check(engine: ModuleType, net: Any, loss: Callable[[Any, Any], Any], x: Any) -> None:
        value, expected = engine.value_and_grad(loss)(net, x)

        def step(parameters: Any, x: Any) -> Any:
            def of_parameters(parameters: Any) -> Any:
                return loss(lambda x: engine.nn.functional.functional_call(net, parameters, x), x)

            return engine.value_and_grad(of_parameters)(parameters)

        arrays = {name: jax.numpy.asarray(p.detach().numpy()) for name, p in net.named_parameters()}
        found, gradients = jax.jit(step)(arrays, jax.numpy.asarray(x))
        np.testing.assert_allclose(found, value, rtol=1e-12)
        for name in expected:
            np.testing.assert_allclose(gradients[name], expected[name], rtol=1e-11, atol=1e-13)

    return check
