"""What can be learned: for each task the loss that is minimised by default, and the score by which the result is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Task:
    """One kind of thing to learn; subclasses say how it is lost and scored.

    `score` names the score, `unit` is `"%"` where it is a fraction of one and shown in percent, else empty. Larger is better.
    `targets` says what the targets of a batch look like.
    """

    name: str
    score: str
    unit: str
    targets: str

    def loss(self, functional: Any, outputs: Any, targets: Any) -> Any:
        """The scalar that is minimised on a batch, by the functions of `engine.nn.functional`."""
        raise NotImplementedError

    def measure(self, predicted: Array, targets: Array) -> float | None:
        """The score of what a network predicts for some examples (see `Network.predict`); None where there is none."""
        raise NotImplementedError


class Classification(Task):
    """One of several classes: cross-entropy; the share of examples whose largest output is that of their class."""

    name, score, unit = "classification", "accuracy", "%"
    targets = "class numbers `[n]`"

    def loss(self, functional: Any, outputs: Any, targets: Any) -> Any:
        return functional.cross_entropy(outputs, targets)

    def measure(self, predicted: Array, targets: Array) -> float | None:
        return float((predicted.argmax(axis=-1) == targets).mean()) if targets.size else None


class Language(Classification):
    """The next token at every step of a sequence: cross-entropy per token; the share of tokens foretold."""

    name, score = "language", "token accuracy"
    targets = "token numbers `[n, steps]`"

    def loss(self, functional: Any, outputs: Any, targets: Any) -> Any:
        """Of outputs `[n, steps, tokens]`."""
        return functional.cross_entropy(outputs.transpose(1, 2), targets)


class Regression(Task):
    """Numbers: mean squared error; the coefficient of determination, the share of the targets' variance that is explained."""

    name, score, unit = "regression", "R²", ""
    targets = "numbers `[n, outputs]`"

    def loss(self, functional: Any, outputs: Any, targets: Any) -> Any:
        return functional.mse_loss(outputs, targets)

    def measure(self, predicted: Array, targets: Array) -> float | None:
        """`1 - sum (y - p)^2 / sum (y - mean y)^2`, over all outputs together; None where the targets do not vary."""
        import numpy as np

        wanted = targets.astype(np.float64)
        spread = ((wanted - wanted.mean(axis=0)) ** 2).sum() if len(wanted) else 0.0
        return float(1 - ((wanted - predicted) ** 2).sum() / spread) if spread > 0 else None


class Detection(Task):
    """Objects in an image, each with its class and box: the network's own loss; the mean intersection over union of the boxes.

    Every object counts once, with the overlap of the best box of its class that no surer box has taken already, or 0 where there is none;
    boxes left over count 0 as well. 1 is perfect.
    """

    name, score, unit = "detection", "mean IoU", ""
    targets = "boxes `[n, objects, 5]` of class, centre x and y, width, height (in parts of the image), class -1 for none"

    def loss(self, functional: Any, outputs: Any, targets: Any) -> Any:
        raise NotImplementedError("a detector brings its own loss, because its outputs have a form of its own")

    def measure(self, predicted: Array, targets: Array) -> float | None:
        pairs = zip(predicted, targets, strict=True)
        matches = [_overlaps(boxes[boxes[:, 0] >= 0], objects[objects[:, 0] >= 0]) for boxes, objects in pairs]
        count = sum(map(len, matches))
        return sum(map(sum, matches)) / count if count else None


def _overlaps(boxes: Any, objects: Any) -> list[float]:
    """The overlap of every object of one image with the box that finds it, and 0 for every other box and every object left."""
    from diffcore.data import box_iou

    free = list(range(len(objects)))
    found = []
    for box in boxes[(-boxes[:, 5]).argsort(kind="stable")]:
        fitting = [i for i in free if objects[i, 0] == box[0]]
        shares = box_iou(box[None, 1:5], objects[fitting, 1:5])[0].tolist() if fitting else [0.0]
        found.append(max(shares))
        if found[-1] > 0:
            free.remove(fitting[shares.index(found[-1])])
    return found + [0.0] * len(free)


TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Regression(), Language(), Detection())}
"""Every task, by name."""
