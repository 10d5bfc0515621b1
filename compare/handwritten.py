"""One network differentiated by hand: what reverse mode costs when a person writes it for this network and no other.

Two linear layers with tanh between them and the mean cross-entropy of the softmax: the yardstick of `compare.bench`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def value_and_grad(parameters: dict[str, Array]) -> Callable[[Array, NDArray[np.integer[Any]]], tuple[np.floating[Any], dict[str, Array]]]:
    """The function `(images, labels) -> (loss, gradients by name)` at `parameters`.

    `parameters` are weight `(hidden, features)`, bias `(hidden,)`, weight `(classes, hidden)`, bias `(classes,)`, in this order.
    """
    names = list(parameters)
    weight, bias, last_weight, last_bias = parameters.values()

    def differentiated(images: Array, labels: NDArray[np.integer[Any]]) -> tuple[np.floating[Any], dict[str, Array]]:
        count = len(labels)
        rows = np.arange(count)
        hidden = images @ weight.T
        hidden += bias
        np.tanh(hidden, out=hidden)
        logits = hidden @ last_weight.T
        logits += last_bias
        logits -= logits.max(axis=1, keepdims=True)
        picked = logits[rows, labels]
        # From here on `logits` holds the softmax, then the cotangent of the logits: softmax minus one-hot, over the batch.
        np.exp(logits, out=logits)
        sums = logits.sum(axis=1, keepdims=True)
        loss = (np.log(sums).sum() - picked.sum()) / count
        logits /= sums
        logits[rows, labels] -= 1
        logits /= count
        cotangent = logits @ last_weight
        last = logits.T @ hidden, logits.sum(axis=0)
        # The derivative of tanh is 1 - tanh**2; `hidden` is not needed after this and is overwritten.
        np.multiply(hidden, hidden, out=hidden)
        np.subtract(1, hidden, out=hidden)
        cotangent *= hidden
        first = cotangent.T @ images, cotangent.sum(axis=0)
        return loss, dict(zip(names, (*first, *last), strict=True))

    return differentiated
