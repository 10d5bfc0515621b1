"""The data sets that networks are trained on: what is known of them before they are loaded, and how they are loaded.

Nothing heavy is imported before data are wanted. A data set of the user's own, `csv:FILE[:TARGET]` or `idx:FOLDER`, is read when it is
described (see `compare.userdata`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from compare.errors import InputError, choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

TEST_SHARE = 5
"""One example in this many is kept for testing."""
STEPS = 16
"""Letters of one example of text. In forward mode the work of a recurrent network grows with their square."""


class Description(msgspec.Struct, frozen=True):
    """What is known of a data set without loading it.

    `form` and `shape` are those of one example as it is stored: `"vector"` `[features]`, `"image"` `[channels, height, width]`,
    `"sequence"` `[steps, features]`, `"tokens"` `[steps]` (integers). `task` is what is to be learned (see `compare.tasks`), `outputs` the
    number of classes, of regressed numbers or of different tokens. With `standardised`, every feature (and every regressed number) is
    shifted and scaled to mean 0 and variance 1 over the training examples. `objects` are the most in an image, for detection.
    """

    name: str
    examples: int
    form: str
    shape: tuple[int, ...]
    task: str
    outputs: int
    account: str
    standardised: bool = False
    objects: int = 0

    @property
    def targets(self) -> tuple[int, ...]:
        """The shape of one example's target."""
        shapes: dict[str, tuple[int, ...]] = {"classification": (), "language": self.shape, "regression": (self.outputs,)}
        return shapes.get(self.task, (self.objects, 5))

    @property
    def trained_on(self) -> int:
        """Examples that are trained on; the rest is for testing."""
        return self.examples - self.examples // TEST_SHARE

    def delivered(self, takes: str) -> tuple[int, ...] | None:
        """The shape of an example in the form `takes`, or None where it cannot be brought into it.

        An image becomes a vector of its pixels, or a sequence of its rows; a sequence a vector of all its numbers.
        """
        if takes == self.form:
            return self.shape
        if takes == "vector" and self.form in ("image", "sequence"):
            return (math.prod(self.shape),)
        if takes == "sequence" and self.form == "image":
            channels, height, width = self.shape
            return (height, channels * width)
        return None


DATASETS: dict[str, Description] = {
    data.name: data
    for data in (
        Description("digits", 1797, "image", (1, 8, 8), "classification", 10, "handwritten digits of 8x8 pixels, from scikit-learn"),
        Description("iris", 150, "vector", (4,), "classification", 3, "three species of iris by petal and sepal (Fisher 1936)", True),
        Description("wine", 178, "vector", (13,), "classification", 3, "three cultivars by chemical analysis (Forina 1988)", True),
        Description("breast_cancer", 569, "vector", (30,), "classification", 2, "tumours by cell nuclei (Street et al. 1993)", True),
        Description("diabetes", 442, "vector", (10,), "regression", 1, "progress of diabetes in a year (Efron et al. 2004)", True),
        Description("linear", 1000, "vector", (2,), "regression", 1, "points on a plane with a little noise"),
        Description("xor", 400, "vector", (2,), "classification", 2, "noisy corners of a square, labelled by exclusive or"),
        Description("moons", 400, "vector", (2,), "classification", 2, "two interleaving half circles"),
        Description("blobs", 300, "vector", (2,), "classification", 3, "three clouds of points that straight lines part"),
        Description("series", 600, "sequence", (16, 1), "regression", 1, "a noisy sine: the value after 16 steps"),
        Description("adding", 1000, "sequence", (20, 2), "regression", 1, "the sum of two marked numbers among 20 (Hochreiter 1997)"),
        Description("text", 1200, "tokens", (STEPS,), "language", 23, "sentences of a small grammar, letter by letter"),
        Description("shapes", 1000, "image", (1, 16, 16), "classification", 4, "squares, circles, triangles and crosses"),
        Description("shapes-32", 1000, "image", (3, 32, 32), "classification", 10, "ten kinds of figures in colour, 32x32 pixels"),
        Description("detection", 500, "image", (3, 32, 32), "detection", 3, "one or two figures an image, with their boxes", objects=2),
        Description("noise-224", 16, "image", (3, 224, 224), "classification", 1000, "noise in the size of ImageNet, to measure with"),
    )
}
"""Every data set that is always there, by the name the command line knows it by."""

OWN = {"idx:FOLDER": "images and labels in the files of MNIST", "csv:FILE[:TARGET]": "a table; the last column is the target by default"}
"""How a user's own data are named, and what they are."""


def describe(name: str) -> Description:
    """What is known of the data set `name`. Reads a user's own files. Raises `InputError`, with what there is and a near miss."""
    kind, colon, rest = name.partition(":")
    if colon and kind in ("idx", "csv"):
        from compare import userdata

        return userdata.read(kind, rest).description
    return choose_described(name)


def choose_described(name: str) -> Description:
    """The description of one that is always there."""
    if name in DATASETS:
        return DATASETS[name]
    choose("data set", name, [*DATASETS, *OWN])
    raise InputError(f"data set {name!r}: FOLDER or FILE stands for a path of your own")


@dataclass(frozen=True)
class Split:
    """A data set in memory, split by a seed: inputs `(examples, *shape)` and targets `(examples, ...)`."""

    train_inputs: Array
    train_targets: Array
    test_inputs: Array
    test_targets: Array


def load(name: str, takes: str, *, seed: int, dtype: str) -> Split:
    """The data set `name` in the form `takes`, split at random by `seed` alone, so that every strategy sees the same.

    Floating-point inputs and targets are of `dtype`; labels and tokens stay integers. Raises `InputError` for numbers that are none.
    """
    import numpy as np

    described = describe(name)
    inputs, targets = _read(name)
    shape = described.delivered(takes)
    if shape is None:
        raise InputError(f"data set {name!r} cannot be delivered as {takes}")
    if described.form == "image" and takes == "sequence":
        inputs = inputs.transpose(0, 2, 1, 3)  # rows are steps
    inputs = inputs.reshape(len(inputs), *shape)
    order = np.random.default_rng([seed, 1]).permutation(len(inputs))
    train, test = np.split(order, [described.trained_on])
    if described.standardised:
        inputs = _standardised(inputs, train)
        targets = _standardised(targets, train) if described.task == "regression" else targets
    inputs, targets = (part.astype(dtype) if part.dtype.kind == "f" else part for part in (inputs, targets))
    return Split(inputs[train], targets[train], inputs[test], targets[test])


def batches(split: Split, *, batch: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Endless batches `(inputs, targets)` of exactly `batch` training examples, shuffled anew in each epoch, the same for one seed."""
    from diffcore import data

    loader = data.DataLoader(data.TensorDataset(split.train_inputs, split.train_targets), batch, shuffle=True, seed=seed, drop_last=True)
    while True:
        yield from loader


def _read(name: str) -> tuple[Any, Any]:
    """Inputs and targets of all examples as they are stored; regressed numbers `[n, outputs]`. Synthetic ones are always the same."""
    import numpy as np

    from diffcore import data
    from diffcore.data import synthetic

    described = describe(name)
    n = described.examples
    made: dict[str, Any] = {"dtype": np.float64, "seed": 0}

    def text() -> tuple[Any, Any]:
        letters = synthetic.character_text(n * STEPS + 1, seed=0)
        return synthetic.next_tokens(data.Vocabulary(letters).encode(letters), STEPS)

    if name not in DATASETS:
        from compare import userdata

        own = userdata.read(*name.split(":", 1))
        inputs, targets = own.inputs, own.targets
    else:
        readers: dict[str, Callable[[], tuple[Any, Any]]] = {
            "digits": data.load_digits,
            "iris": data.load_iris,
            "wine": data.load_wine,
            "breast_cancer": data.load_breast_cancer,
            "diabetes": data.load_diabetes,
            "linear": lambda: synthetic.linear_regression(n, 2, noise=0.1, **made),
            "xor": lambda: synthetic.xor(n, **made),
            "moons": lambda: synthetic.two_moons(n, **made),
            "blobs": lambda: synthetic.blobs(n, centers=[[-2, -2], [2, -2], [0, 2]], noise=0.6, features=2, **made),
            "series": lambda: synthetic.windows(synthetic.time_series(n + 16, period=25, noise=0.1, **made), 16),
            "adding": lambda: synthetic.adding_problem(n, 20, **made),
            "text": text,
            "shapes": lambda: synthetic.shapes(n, 16, **made),
            "shapes-32": lambda: synthetic.shapes(n, 32, 3, 10, **made),
            "detection": lambda: synthetic.detection(n, 32, 3, 3, 2, **made),
            "noise-224": lambda: synthetic.noise_images(n, **{**made, "dtype": np.float32}),
        }
        inputs, targets = readers[name]()
    inputs = inputs.reshape(n, *described.shape)
    return inputs, targets.reshape(n, -1) if described.task == "regression" else targets


def _standardised(values: Any, train: Any) -> Any:
    """Every column with mean 0 and variance 1 over the rows `train`; one that does not vary is only shifted."""
    mean, spread = values[train].mean(axis=0), values[train].std(axis=0)
    spread[spread == 0] = 1
    return (values - mean) / spread
