"""What a network must say of itself to be compared."""

from __future__ import annotations

from copy import copy
from typing import Any

from compare.networks.kit import Kit
from compare.tasks import TASKS


class Network:
    """A family of networks with two knobs, `width` and `depth`; subclasses describe one in a file of its own.

    `takes` is the form in which it wants an example: `"vector"` `[features]`, `"image"` `[channels, height, width]`,
    `"sequence"` `[steps, features]` or `"tokens"` `[steps]` (integers). `task` names what is learned (see `compare.tasks`).

    An instance is a preset: the attributes below are what a run uses where nothing else is asked for. The small preset of a family
    trains on two cores in seconds. A full-size one is another instance, under its usual name, with `family`, the knobs, `inputs`,
    `outputs` and `data` of its publication.
    """

    name: str
    """The name on the command line."""
    account: str
    """One line: what it is, what the knobs mean, and where it comes from."""
    family = ""
    """Of a full-size preset: the name of the small one."""
    takes = "image"
    task = "classification"
    tasks: tuple[str, ...] = ()
    """Further tasks that it can learn."""
    data = "digits"
    """The data set that it learns by default."""
    inputs: tuple[int, ...] | None = None
    outputs: int | None = None
    """The shape of an example and the number of outputs that it is made for, and no other; `None` for any."""
    width: int
    depth: int
    """The knobs; a preset's own are its defaults."""
    knobs: tuple[str, ...] = ("width", "depth")
    """Those of the two that mean something; the others cannot be turned."""
    optimizer = "sgd"
    lr = 0.1
    momentum = 0.9
    """Of SGD; other optimizers have none."""
    steps = 1000
    batch = 64
    """How it is trained by default, such that it learns `data`."""

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """The architecture in a few characters, for tables and titles."""
        raise NotImplementedError

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """The network for examples of shape `inputs` and `outputs` numbers per example, made with `kit`.

        `outputs` is the number of classes, of regressed numbers or of different tokens. It draws its parameters from the engine's
        seed. Raises `InputError` for inputs or knobs that it cannot be made for.
        """
        raise NotImplementedError

    def prepare(self, net: Any, inputs: Any) -> None:
        """Set what `net` takes from the training examples (a numpy array) before it is trained, for instance centres. Nothing by default.

        Buffers are set, in place; the parameters stay as drawn.
        """

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """The scalar that is minimised on a batch, by the functions of `engine.nn.functional`: the task's own by default."""
        return TASKS[self.task].loss(functional, net(inputs), targets)

    def predict(self, outputs: Any) -> Any:
        """What the task scores (numpy arrays), from what the network puts out: the same by default.

        Classification takes `[n, classes]`, the largest of which is the answer; detection boxes `[n, k, 6]` (or a list of `[k, 6]`): class,
        centre x and y, width, height (in parts of the image) and confidence; class -1 where there is no box.
        """
        return outputs

    def learning(self, task: str) -> Network | None:
        """This network set to learn `task`, or None where it cannot."""
        if task == self.task:
            return self
        if task not in self.tasks:
            return None
        other = copy(self)
        other.task = task
        return other
