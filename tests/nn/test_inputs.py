"""What a layer is called with that is no tensor is told in one line, worded like PyTorch's; all other errors stay as they are."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import DTypeError, ShapeError

LAYERS: dict[str, tuple[Any, ...]] = {
    "Linear": (3, 4),
    "Conv2d": (3, 4, 3),
    "ConvTranspose2d": (3, 4, 3),
    "BatchNorm1d": (3,),
    "LayerNorm": (3,),
    "GroupNorm": (1, 3),
    "Embedding": (5, 3),
    "Tanh": (),
    "Softmax": (-1,),
    "Dropout": (0.5,),
    "Flatten": (),
    "MaxPool2d": (2,),
    "AdaptiveAvgPool2d": (1,),
    "ZeroPad2d": (1,),
    "LSTM": (3, 4),
    "GRUCell": (3, 4),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("wrong", ["x", None, {}], ids=repr)
def test_what_is_no_tensor_is_told_by_name(engine: ModuleType, name: str, wrong: Any) -> None:
    layer = getattr(engine.nn, name)(*LAYERS[name])
    for called in (layer, engine.nn.Sequential(layer)):
        with pytest.raises(TypeError) as caught:
            called(wrong)
        assert str(caught.value) == f"{name}(): argument 'input' (position 1) must be Tensor, not {type(wrong).__name__}"


def test_the_wording_is_that_of_pytorch(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    for wrong in ("x", None):
        with pytest.raises(TypeError) as theirs:
            torch.nn.Linear(3, 4)(wrong)
        with pytest.raises(TypeError) as ours:
            engine.nn.Linear(3, 4)(wrong)
        assert str(ours.value).lower() == str(theirs.value).lower()


def test_a_list_is_told_what_to_do(engine: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"^Linear\(\): argument 'input' .* must be Tensor, not list: make a tensor of it, as in `tensor"):
        engine.nn.Linear(3, 4)([1.0, 2.0, 3.0])


def test_each_argument_has_its_name_and_position(engine: ModuleType) -> None:
    x = engine.tensor(np.ones((2, 3), np.float32))
    with pytest.raises(TypeError, match=r"^CrossEntropyLoss\(\): argument 'target' \(position 2\) must be Tensor, not str$"):
        engine.nn.CrossEntropyLoss()(x, "y")
    with pytest.raises(TypeError, match=r"^Bilinear\(\): argument 'input2' \(position 2\) must be Tensor, not NoneType$"):
        engine.nn.Bilinear(3, 3, 2)(x, None)


def test_other_errors_stay_as_they_are(engine: ModuleType) -> None:
    x = engine.tensor(np.ones((2, 3), np.float32))
    with pytest.raises(ShapeError, match="linear"):
        engine.nn.Linear(4, 3)(x)
    with pytest.raises(DTypeError, match="embedding"):
        engine.nn.Embedding(5, 3)(x)
    with pytest.raises(TypeError, match="positional argument"):
        engine.nn.Linear(3, 4)()

    class Own(engine.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = engine.nn.Linear(3, 4)

        def forward(self, words: Any) -> Any:
            return self.layer(words.missing)

    class Special(engine.nn.Linear):
        def forward(self, words: Any) -> Any:
            return words.missing

    for module in (Own(), Special(3, 4)):
        with pytest.raises(AttributeError, match="'str' object has no attribute 'missing'"):
            module("words")
