"""Images of figures: the area of each by geometry, the box around it by its pixels."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from diffcore.data import box_iou, synthetic
from diffcore.data.synthetic.shapes import drawn

AREAS = {
    "square": 4,
    "circle": np.pi,
    "triangle": 2,
    "cross": 4 - 4 * (2 / 3) ** 2,
    "ring": np.pi * (1 - 0.36),
    "diamond": 2,
    "horizontal stripes": 4 * 3 / 5,
    "vertical stripes": 4 * 3 / 5,
    "checks": 4 * 13 / 25,
}


@pytest.mark.parametrize("name", synthetic.FIGURES)
def test_figures_have_their_areas_and_their_boxes(name: str) -> None:
    figure, radius = list(synthetic.FIGURES).index(name), 100.0
    (mask,) = drawn(figure, np.array([150.0]), np.array([140.0]), np.array([radius]), 300)
    if name in AREAS:
        assert abs(mask.sum() / radius**2 - AREAS[name]) < 0.05
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    for found, expected in ((rows, (40, 239)), (columns, (50, 249))):
        assert abs(found[[0, -1]] - expected).max() <= 1


def test_figures_are_bright_inside_the_image_and_differ() -> None:
    images, labels = synthetic.shapes(60, 48, 3, classes=10, noise=0, seed=0)
    assert labels.tolist() == [i % 10 for i in range(60)]
    for image in images:
        values = [np.unique(channel) for channel in image]
        assert all(len(v) == 2 and v[0] < 0.3 and v[1] >= 0.6 for v in values)
        wide = np.flatnonzero((image[0] == values[0][1]).any(0))
        assert 0.5 * 48 - 2 <= wide[-1] - wide[0] + 1 <= 0.9 * 48 + 1
    noisy, _ = synthetic.shapes(60, 48, 3, classes=10, seed=0)
    assert (noisy.min(), noisy.max()) == (0, 1)
    assert noisy.dtype == np.float32


def test_figures_can_be_told_apart_by_their_pixels() -> None:
    images, labels = synthetic.shapes(600, 12, 1, classes=4, seed=0)
    flat = images.reshape(600, -1)
    assert LogisticRegression(max_iter=300).fit(flat[:500], labels[:500]).score(flat[500:], labels[500:]) > 0.5


def test_boxes_fit_their_figures() -> None:
    images, boxes = synthetic.detection(30, 64, 1, classes=1, objects=1, noise=0, seed=0)
    for (image,), ((label, x, y, width, height),) in zip(images, boxes, strict=True):
        assert label == 0
        rows, columns = np.nonzero(image >= 0.6)
        edges = np.array([columns.min(), columns.max() + 1, rows.min(), rows.max() + 1])
        expected = 64 * np.array([x - width / 2, x + width / 2, y - height / 2, y + height / 2])
        assert abs(edges - expected).max() <= 1


@pytest.mark.parametrize("size", [8, 64])
def test_figures_of_one_image_hardly_overlap_and_lie_inside(size: int) -> None:
    _, boxes = synthetic.detection(100, size, 1, classes=5, objects=4, dtype=np.float64, seed=0)
    real = boxes[:, :, 0] >= 0
    assert (real[:, 0].all(), set(real.sum(1)) >= {1, 2}, set(np.unique(boxes[:, :, 0]))) == (True, True, {-1, 0, 1, 2, 3, 4})
    assert (boxes[~real] == [-1, 0, 0, 0, 0]).all()
    low, high = boxes[..., 1:3] - boxes[..., 3:] / 2, boxes[..., 1:3] + boxes[..., 3:] / 2
    assert low[real].min() >= -1e-12
    assert high[real].max() <= 1 + 1e-12
    for rows, there in zip(boxes, real, strict=True):
        assert np.diff(there.astype(int)).max() <= 0  # the empty rows come last
        overlap = box_iou(rows[there, 1:], rows[there, 1:])
        assert (overlap - np.eye(len(overlap))).max() <= 0.05 + 1e-12


def test_noise_is_normal() -> None:
    images, labels = synthetic.noise_images(50, (3, 20, 20), classes=4, seed=0)
    assert abs(images.mean()) < 0.02
    assert abs(images.std() - 1) < 0.02
    assert set(labels) == {0, 1, 2, 3}
