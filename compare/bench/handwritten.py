"""A multilayer perceptron differentiated by hand: what reverse mode costs when a person writes it for this network and no other.

Linear layers with tanh between them and the mean cross-entropy of the softmax: the yardstick of reverse mode on numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Differentiated = Callable[[Array, NDArray[np.integer[Any]]], tuple[np.floating[Any], dict[str, Array]]]


def value_and_grad(parameters: dict[str, Array]) -> Differentiated:
    """The function `(images, labels) -> (loss, gradients by name)` at `parameters`.

    `parameters` are, layer by layer, a weight `(outputs, inputs)` and a bias `(outputs,)`. With `h_0` the images and
    `h_l = tanh(W_l h_(l-1) + b_l)`, the cotangent of the logits is softmax minus one-hot over the batch; going back to `h_(l-1)` multiplies
    by `W_l`, and over the tanh by `1 - h_l^2`.
    """
    names = list(parameters)
    weights, biases = list(parameters.values())[::2], list(parameters.values())[1::2]
    last = len(weights) - 1

    def differentiated(images: Array, labels: NDArray[np.integer[Any]]) -> tuple[np.floating[Any], dict[str, Array]]:
        count = len(labels)
        rows = np.arange(count)
        inputs = [images]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            hidden = inputs[-1] @ weight.T
            hidden += bias
            np.tanh(hidden, out=hidden)
            inputs.append(hidden)
        logits = inputs[-1] @ weights[last].T
        logits += biases[last]
        logits -= logits.max(axis=1, keepdims=True)
        picked = logits[rows, labels]
        # From here on `logits` holds the softmax, then its cotangent.
        np.exp(logits, out=logits)
        sums = logits.sum(axis=1, keepdims=True)
        loss = (np.log(sums).sum() - picked.sum()) / count
        logits /= sums
        logits[rows, labels] -= 1
        logits /= count
        cotangent, gradients = logits, []
        for layer in range(last, -1, -1):
            value = inputs[layer]
            gradients += [cotangent.sum(axis=0), cotangent.T @ value]
            if layer:
                cotangent = cotangent @ weights[layer]
                # The derivative of tanh is 1 - tanh**2; the values are not needed after this and are overwritten.
                np.multiply(value, value, out=value)
                np.subtract(1, value, out=value)
                cotangent *= value
        return loss, dict(zip(names, reversed(gradients), strict=True))

    return differentiated
