"""A one-shot detector: one look at the image gives all boxes and their classes on a grid."""

from __future__ import annotations

from typing import Any

from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.kit import Kit

COORDINATES, NO_OBJECT = 5.0, 0.5
"""How much errors of boxes, and confidence where there is no object, weigh in the loss (the paper's values)."""
THRESHOLD = 0.2
"""The least score (confidence times the largest class value) of a box that is put out."""
BOX = 5
"""Channels of the grid before those of the classes: confidence, x and y within the cell, square roots of width and height."""


class Yolo(Network):
    """Convolutions with leaky ReLU; `depth` of them halve the image to a grid, each cell of which answers for the object whose middle it
    holds
    (Redmon, Divvala, Girshick, Farhadi 2016, "You only look once: unified, real-time object detection").

    Outputs are `[n, 5 + classes, cells, cells]`: confidence, x and y of the middle within the cell, the square roots of width and
    height (parts of the image), and a value for each class, all without activation, as in the paper. There is one box a cell,
    and a 1x1 convolution in the place of the paper's linear layers (as from its successor on).
    """

    name = "yolo"
    account = "one-shot detector after YOLO (Redmon 2016); --width maps in the first convolution, --depth halvings of the image"
    task, data = "detection", "detection"
    width, depth = 5, 3
    optimizer, lr, batch = "adam", 0.01, 32

    def _maps(self, width: int, depth: int) -> list[int]:
        return [width, *[2 * width] * depth]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Maps, then the channels of the grid, for instance `5c-10c-10c-10c-8g`."""
        return "-".join([*(f"{maps}c" for maps in self._maps(width, depth)), f"{BOX + outputs}g"])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """One `Sequential`; `outputs` is the number of classes."""
        features = Features(kit, self.name, inputs)
        for i, maps in enumerate(self._maps(width, depth)):
            features.convolution(maps, Window(3, 2 if i < depth else 1, 1)).add(kit.LeakyReLU(0.1))
        return features.convolution(BOX + outputs, Window(1)).built()

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """The sum of squared errors of the paper's equation 3, per image.

        `5 (x, y)^2 + 5 (sqrt w, sqrt h)^2 + (confidence - IoU)^2 + classes^2` at the cells that hold the middle of an object, and
        `0.5 confidence^2` at all others. The overlap of the box put out with the true one is what confidence should be, and
        counts as a constant. Of two objects in a cell the first one counts.

        **Arguments:** `targets` `[n, objects, 5]`: class, x and y of the middle, width and height in parts of the image; class -1 for no
        object.
        """
        outputs = net(inputs)
        cells, dtype = outputs.shape[-1], outputs.dtype
        labels, middles, sides = targets[:, :, 0], targets[:, :, 1:3] * cells, targets[:, :, 3:]
        corners = middles.floor().clamp(0, cells - 1)
        columns, rows = (functional.one_hot(corners[:, :, i].long(), cells).to(dtype) for i in (0, 1))
        held = rows.unsqueeze(3) * columns.unsqueeze(2) * (labels >= 0).to(dtype).unsqueeze(2).unsqueeze(3)
        held = (held * (held.cumsum(1) == 1).to(dtype)).flatten(2)  # [n, objects, cells * cells]: a 1 at the cell of each object
        present = held.sum(2, keepdim=True)

        answers = held @ outputs.flatten(2).transpose(1, 2)  # [n, objects, channels], zeros for none
        within = (middles - corners) * present
        classes = functional.one_hot(labels.clamp(0).long(), outputs.shape[1] - BOX).to(dtype) * present
        roots = sides.clamp(0).sqrt() * present
        overlaps = _overlaps(answers[:, :, 1:BOX].detach(), within, sides * present, cells)
        empty = 1 - held.sum(1)
        lost = (
            COORDINATES * _squares(answers[:, :, 1:3] - within)
            + COORDINATES * _squares(answers[:, :, 3:BOX] - roots)
            + _squares(answers[:, :, 0] - overlaps)
            + _squares(answers[:, :, BOX:] - classes)
            + NO_OBJECT * _squares(outputs[:, 0].flatten(1) * empty)
        )
        return lost / outputs.shape[0]

    def predict(self, outputs: Any) -> Any:
        """Boxes `[n, most, 6]` of class, x, y, width, height and score, the surest first, none twice; class -1 for none."""
        import numpy as np

        from diffcore.data import decode_boxes

        grid = np.array(outputs)
        grid[:, 3:BOX] = np.maximum(grid[:, 3:BOX], 0) ** 2
        found = decode_boxes(grid, threshold=THRESHOLD)
        boxes = np.zeros((len(found), max(map(len, found), default=0), 6), grid.dtype)
        boxes[:, :, 0] = -1
        for rows, image in zip(boxes, found, strict=True):
            rows[: len(image)] = image
        return boxes


def _squares(errors: Any) -> Any:
    return (errors * errors).sum()


def _overlaps(answers: Any, within: Any, sides: Any, cells: int) -> Any:
    """Intersection over union of the boxes answered with the true ones, `[n, objects]`; both have their middles counted from one cell's
    corner. 0 where there is no object.
    """
    answered = answers[:, :, 2:] * answers[:, :, 2:]
    low = (answers[:, :, :2] / cells - answered / 2).maximum(within / cells - sides / 2)
    high = (answers[:, :, :2] / cells + answered / 2).minimum(within / cells + sides / 2)
    lengths = (high - low).clamp(0)
    common = lengths[:, :, 0] * lengths[:, :, 1]
    union = answered[:, :, 0] * answered[:, :, 1] + sides[:, :, 0] * sides[:, :, 1] - common
    return common / (union + (union == 0).to(union.dtype))


NETWORK = Yolo()
