"""The detector's loss against the formula worked out box by box, what it puts out, and its score."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from compare.networks import NETWORKS
from compare.networks.yolo import THRESHOLD
from compare.tasks import TASKS
from diffcore.data import box_iou, encode_boxes

YOLO = NETWORKS["yolo"]
RNG = np.random.default_rng(2)
BOXES = np.array(
    [
        [[1, 0.30, 0.40, 0.30, 0.25], [2, 0.80, 0.70, 0.40, 0.30]],
        [[0, 0.31, 0.41, 0.20, 0.20], [2, 0.33, 0.45, 0.50, 0.10]],  # both in one cell: the first counts
        [[2, 0.99, 0.00, 0.10, 0.90], [-1, 0, 0, 0, 0]],
        [[-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]],
    ]
)


class Fixed:
    """A network whose outputs are what it is given."""

    def __call__(self, outputs: Any) -> Any:
        return outputs


def loss_by_hand(outputs: np.ndarray, boxes: np.ndarray, cells: int) -> float:
    """Equation 3 of the paper, with one box a cell, cell by cell."""
    total = 0.0
    for grid, rows in zip(outputs, boxes, strict=True):
        owners: dict[tuple[int, int], np.ndarray] = {}
        for box in rows:
            if box[0] >= 0:
                owners.setdefault((int(box[2] * cells), int(box[1] * cells)), box)
        for row in range(cells):
            for column in range(cells):
                confidence, x, y, root_width, root_height, *classes = grid[:, row, column]
                if (row, column) not in owners:
                    total += 0.5 * confidence**2
                    continue
                label, middle_x, middle_y, width, height = owners[row, column]
                answered = [(column + x) / cells, (row + y) / cells, root_width**2, root_height**2]
                overlap = box_iou([answered], [[middle_x, middle_y, width, height]])[0, 0]
                total += 5 * ((x - (middle_x * cells - column)) ** 2 + (y - (middle_y * cells - row)) ** 2)
                total += 5 * ((root_width - width**0.5) ** 2 + (root_height - height**0.5) ** 2)
                total += (confidence - overlap) ** 2
                total += sum((value - (i == label)) ** 2 for i, value in enumerate(classes))
    return total / len(outputs)


@pytest.mark.parametrize("cells", [1, 3, 4])
def test_the_loss_is_the_paper_s(engine: ModuleType, cells: int) -> None:
    outputs = RNG.normal(0.3, 0.3, size=(4, 8, cells, cells))
    found = YOLO.loss(engine.nn.functional, Fixed(), engine.tensor(outputs), engine.tensor(BOXES))
    assert float(found) == pytest.approx(loss_by_hand(outputs, BOXES, cells), rel=1e-12)


def perfect(cells: int) -> np.ndarray:
    """What a perfect detector puts out: the encoding of the boxes, with the roots of their sides."""
    grid = encode_boxes(BOXES, cells, 3)
    grid[:, 3:5] = np.sqrt(grid[:, 3:5])
    return grid


def test_a_perfect_answer_costs_nothing_and_a_worse_one_something(engine: ModuleType) -> None:
    def loss(outputs: np.ndarray) -> float:
        return float(YOLO.loss(engine.nn.functional, Fixed(), engine.tensor(outputs), engine.tensor(BOXES)))

    grid = perfect(4)
    assert loss(grid) == pytest.approx(0, abs=1e-12)
    for channel in range(8):
        worse = grid.copy()
        worse[0, channel, 1, 1] += 0.1
        assert loss(worse) > 1e-3


def test_the_overlap_that_confidence_should_be_has_no_derivative(engine: ModuleType) -> None:
    """So the gradient of the confidence is that of a square, and moving a box does not pull its confidence."""
    outputs = RNG.normal(0.3, 0.3, size=(4, 8, 4, 4))
    targets = engine.tensor(BOXES)
    gradient = engine.grad(lambda x: YOLO.loss(engine.nn.functional, Fixed(), x, targets))(outputs)
    answered = [(1 + outputs[0, 1, 1, 1]) / 4, (1 + outputs[0, 2, 1, 1]) / 4, *outputs[0, 3:5, 1, 1] ** 2]
    overlap = box_iou([answered], BOXES[0, :1, 1:])[0, 0]
    assert gradient[0, 0, 1, 1] == pytest.approx(2 * (outputs[0, 0, 1, 1] - overlap) / 4, rel=1e-12)
    assert gradient[0, 1, 1, 1] == pytest.approx(2 * 5 * (outputs[0, 1, 1, 1] - 0.2) / 4, rel=1e-12)
    np.testing.assert_allclose(gradient[3, 0], outputs[3, 0] / 4, rtol=1e-12)  # 0.5 * confidence^2 where there is nothing
    assert not gradient[3, 1:].any()


def test_boxes_are_read_off_the_grid() -> None:
    found = YOLO.predict(perfect(4))
    assert found.shape == (4, 2, 6)
    np.testing.assert_allclose(found[0], [[*BOXES[0, 0], 1], [*BOXES[0, 1], 1]], atol=1e-12)
    np.testing.assert_allclose(found[1, 0], [*BOXES[1, 0], 1], atol=1e-12)
    assert (found[1, 1, 0], found[2, 1, 0]) == (-1, -1)
    assert (found[3, :, 0] == -1).all()
    measured = TASKS["detection"].measure(found, BOXES)
    assert measured == pytest.approx(4 / 5)  # the second box of one cell is beyond a detector with one box a cell
    assert TASKS["detection"].measure(YOLO.predict(np.zeros((4, 8, 4, 4))), BOXES) == 0


def test_boxes_below_the_threshold_and_negative_roots_are_not_put_out() -> None:
    grid = np.zeros((1, 8, 2, 2), np.float32)
    grid[0, :, 0, 0] = THRESHOLD * 0.9, 0.5, 0.5, 0.5, 0.5, 1, 0, 0
    grid[0, :, 1, 1] = 0.9, 0.5, 0.5, -0.5, 0.5, 1, 0, 0
    found = YOLO.predict(grid)
    assert found.shape == (1, 1, 6)
    assert found[0, 0, 3] == 0  # a width below nothing is nothing
    assert not grid[0, 3].max() > 0.5  # what was given is left as it was
    assert grid[0, 3, 1, 1] == -0.5
