"""What can be no function, no layer and no input of a checkpoint is told in one line, by name."""

from typing import Any

import numpy as np
import pytest

import revdiff
from revdiff import nn

X = revdiff.tensor(np.ones((2, 4)))
NET = nn.Sequential(nn.Linear(4, 4, dtype=np.float64), nn.Tanh(), nn.Linear(4, 2, dtype=np.float64))


@pytest.mark.parametrize("wrong", [5, None, "net", {"a": NET}])
def test_what_cannot_be_called_is_refused(wrong: Any) -> None:
    told = rf"checkpoint: `function` must be a module, a function or a list of such, not {type(wrong).__name__}"
    for call in (
        lambda: revdiff.checkpoint(wrong, X),
        lambda: revdiff.checkpoint(wrong, X, segments=2),
        lambda: revdiff.utils.checkpoint.checkpoint(wrong, X),
        lambda: revdiff.utils.checkpoint.checkpoint_sequential(wrong, 2, X),
    ):
        with pytest.raises(TypeError, match=told):
            call()


def test_a_class_in_place_of_a_layer_is_refused() -> None:
    with pytest.raises(TypeError, match=r"checkpoint: `function` is the class Linear, not a layer of it: give `Linear\(\.\.\.\)`"):
        revdiff.checkpoint(nn.Linear, X)
    with pytest.raises(TypeError, match=r"checkpoint: `function\[1\]` is the class Tanh, not a layer of it"):
        revdiff.checkpoint([NET[0], nn.Tanh], X, segments=2)
    with pytest.raises(TypeError, match=r"saved: `source` is the class Linear, not a layer of it"):
        revdiff.saved(nn.Linear, X)


def test_layers_and_inputs_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError, match=r"checkpoint_schedule: `function\[2\]` must be a module or a function, not int"):
        revdiff.checkpoint_schedule([NET[0], NET[1], 3], X, segments=2)
    for x in (None, "x"):
        with pytest.raises(TypeError, match=f"checkpoint: the input must be a tensor, or a structure with some, not {x!r}"):
            revdiff.checkpoint(NET, x, schedule="sqrt")


@pytest.mark.parametrize("wrong", [5, None, "net"])
def test_what_has_recorded_nothing_and_cannot_be_called_has_nothing_saved(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"saved: `source` must be a module, a function or recorded tensors, not {type(wrong).__name__}"):
        revdiff.saved(wrong, X)


def test_what_is_no_number_of_segments_is_refused() -> None:
    for wrong in (0, -1, 2.5, True, "a"):
        for call in (revdiff.checkpoint, revdiff.checkpoint_schedule):
            with pytest.raises(ValueError, match=r"checkpoint: `segments` \(=.*\) must be a positive integer"):
                call(NET, X, segments=wrong)


@pytest.mark.parametrize(("name", "value"), [("schedule", "sqrt"), ("segments", 2), ("snapshots", 2), ("memory", "1MB")])
def test_options_of_layers_are_refused_for_one(name: str, value: Any) -> None:
    option: dict[str, Any] = {name: value}
    for function, kind in ((NET[0], "Linear"), (lambda x: NET(x), "one function")):
        with pytest.raises(TypeError, match=rf"checkpoint: `{name}` \(={value!r}\) is for layers .* a list of functions, not {kind}$"):
            revdiff.checkpoint(function, X, **option)
    taken = revdiff.checkpoint(lambda x, **options: x * len(options), X, **option)
    np.testing.assert_array_equal(taken.detach().numpy(), X.numpy())
