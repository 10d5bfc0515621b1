"""The subjects written in plain jax, as its users write them, and the ways in which jax differentiates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compare.bench.subjects import Subject

Parameters = dict[str, Any]


def loss_of(subject: Subject) -> Callable[[Parameters, Any, Any], Any]:
    """`loss(parameters, images, labels)`: the mean cross-entropy of the network, parameters under the names of its layers."""
    forward = {"mlp": _mlp, "lenet": _lenet}[subject.network]

    def loss(parameters: Parameters, images: Any, labels: Any) -> Any:
        logs = jax.nn.log_softmax(forward(parameters, images))
        return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean()

    return loss


def _layers(parameters: Parameters) -> list[tuple[Any, Any]]:
    """Weight and bias of each layer, in order."""
    arrays = list(parameters.values())
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def _dense(layers: list[tuple[Any, Any]], x: Any) -> Any:
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight.T + bias)
    weight, bias = layers[-1]
    return x @ weight.T + bias


def _ordered(subject: Subject, parameters: Parameters) -> Parameters:
    """jax sorts the keys of dictionaries; the layers' own order is that of the subject."""
    return {name: parameters[name] for name in subject.parameters}


def _mlp(parameters: Parameters, x: Any) -> Any:
    return _dense(_layers(parameters), x)


def _lenet(parameters: Parameters, x: Any) -> Any:
    first, second, *dense = _layers(parameters)
    for (weight, bias), padding in ((first, 2), (second, 0)):
        x = jax.lax.conv_general_dilated(x, weight, (1, 1), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW"))
        x = jnp.tanh(x + bias[:, None, None])
        x = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID") / 4
    return _dense(dense, x.reshape(len(x), -1))


def arguments(subject: Subject) -> tuple[Any, Any, Any]:
    """Parameters, images and labels on jax's device."""
    placed: tuple[Any, Any, Any] = jax.device_put((subject.parameters, *subject.batch_arrays))
    return placed


def value_and_grad(subject: Subject) -> Callable[[], tuple[Any, Parameters]]:
    """`jax.jit(jax.value_and_grad)`."""
    loss = loss_of(subject)
    return compiled(jax.value_and_grad(lambda p, x, y: loss(_ordered(subject, p), x, y)), subject)


def compiled(function: Callable[..., Any], subject: Subject) -> Callable[[], tuple[Any, Parameters]]:
    """`function(parameters, images, labels)` under `jax.jit`, waited for."""
    jitted, given = jax.jit(function), arguments(subject)

    def work() -> tuple[Any, Parameters]:
        result: tuple[Any, Parameters] = jax.block_until_ready(jitted(*given))
        return result

    return work


def jacfwd(subject: Subject) -> Callable[[], tuple[Any, Parameters]]:
    """`jax.jit(jax.jacfwd)` by all parameters at once."""
    loss = loss_of(subject)

    def twice(p: Parameters, x: Any, y: Any) -> tuple[Any, Any]:
        value = loss(_ordered(subject, p), x, y)
        return value, value

    both = compiled(jax.jacfwd(twice, has_aux=True), subject)

    def work() -> tuple[Any, Parameters]:
        gradients, value = both()
        return value, gradients

    return work


def chunk(subject: Subject, size: int) -> Callable[[], tuple[Any, Parameters]]:
    """`vmap(jvp)` over `size` one-hot directions, those of the first parameters; every chunk of as many directions is the same work."""
    loss = loss_of(subject)
    names = list(subject.parameters)
    shapes = [subject.parameters[name].shape for name in names]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    flat = jnp.concatenate([jnp.asarray(subject.parameters[name]).ravel() for name in names])

    def of_flat(vector: Any, x: Any, y: Any) -> Any:
        parts = jnp.split(vector, ends[:-1])
        return loss({name: part.reshape(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}, x, y)

    def derivatives(vector: Any, start: Any, x: Any, y: Any) -> Any:
        def along(index: Any) -> Any:
            direction = jnp.zeros_like(vector).at[index].set(1)
            return jax.jvp(lambda v: of_flat(v, x, y), (vector,), (direction,))[1]

        return jax.vmap(along)(start + jnp.arange(size))

    jitted = jax.jit(derivatives)
    given = (flat, jnp.int32(0), *arguments(subject)[1:])
    return lambda: (None, {"": jax.block_until_ready(jitted(*given))})
