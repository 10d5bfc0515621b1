"""What the knobs do, which images are too small, and the words that describe an architecture."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from compare.errors import InputError
from compare.networks import NETWORKS

Function = Callable[..., Any]


def count(net: Any) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


PARAMETERS = {
    "lenet": {"": 1_825, "width=4": 6_577, "depth=3": 2_637},
    "small-alexnet": {"": 3_340, "width=4": 12_470, "depth=3": 3_924},
    "small-vgg": {"": 2_038, "width=8": 7_618, "depth=3": 5_270},
    "small-nin": {"": 2_826, "width=16": 10_506, "depth=2": 6_266},
    "small-googlenet": {"": 1_423, "width=6": 5_166, "depth=3": 2_205},
    "small-resnet": {"": 2_965, "width=6": 11_284, "depth=2": 6_451},
    "small-densenet": {"": 2_128, "width=6": 7_702, "depth=3": 3_289},
    "rnn": {"": 586, "width=32": 1_674, "depth=2": 1_130},
    "lstm": {"": 1_834, "width=32": 5_706, "depth=2": 4_010},
    "gru": {"": 1_418, "width=32": 4_362, "depth=2": 3_050},
    "rnn-language": {"": 587, "width=32": 2_827, "depth=2": 899},
    "lstm-language": {"": 1_523, "width=32": 9_163, "depth=2": 2_771},
    "gru-language": {"": 1_211, "width=32": 7_051, "depth=2": 2_147},
    "small-vit": {"": 2_314, "width=24": 8_074, "depth=2": 4_198},
    "yolo": {"": 2_508, "width=10": 9_508, "depth=4": 3_418},
}
"""Scalar parameters at the default knobs and where one of them is turned, as PyTorch counts them."""


def test_knobs_change_the_number_of_parameters(case: Any, engine: ModuleType) -> None:
    for knobs, parameters in PARAMETERS[case.network.name].items():
        turned = {name: int(value) for name, value in [knobs.split("=")]} if knobs else {}
        assert count(case.meta(engine, **turned)) == parameters, knobs
    assert PARAMETERS[case.network.name][""] < 3500  # forward mode has one direction for each


SHAPES = {
    "lenet": "2c-5c-40-28-10",
    "small-alexnet": "2c-6c-12c-8c-32-32-10",
    "alexnet": "64c-192c-384c-256c-256c-4096-4096-1000",
    "small-vgg": "2x4c-2x8c-16-16-10",
    "vgg11": "1x64c-1x128c-2x256c-2x512c-2x512c-4096-4096-1000",
    "small-nin": "8c-24c-10",
    "nin": "96c-256c-384c-1024c-1000",
    "small-googlenet": "9c-11i-22i-10",
    "googlenet": "192c-256i-480i-512i-512i-512i-528i-832i-832i-1024i-1000",
    "small-resnet": "3c-1x3r-1x6r-1x12r-10",
    "resnet50": "64c-3x256r-4x512r-6x1024r-3x2048r-1000",
    "small-densenet": "6c-2x3d-2x3d-10",
    "densenet121": "64c-6x32d-12x32d-24x32d-16x32d-1000",
    "lstm": "8-16h-10",
    "gru-language": "11t-12-12h-11",
    "small-vit": "17x12-1x3h-10",
    "vit_b16": "197x768-12x12h-1000",
    "yolo": "5c-10c-10c-10c-8g",
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_says_what_is_there(name: str, cases: dict[str, Any]) -> None:
    network = NETWORKS[name]
    shape, outputs = (network.inputs, network.outputs) if network.family else (cases[name].shape, cases[name].outputs)
    assert network.shape(shape, outputs, width=network.width, depth=network.depth) == SHAPES[name]


LEAST = {
    "lenet": 8,
    "alexnet": 63,
    "small-alexnet": 1,
    "vgg11": 32,
    "vgg16": 32,
    "small-vgg": 4,
    "nin": 67,
    "small-nin": 1,
    "googlenet": 1,
    "small-googlenet": 1,
    "resnet18": 1,
    "resnet50": 1,
    "small-resnet": 1,
    "densenet121": 29,
    "small-densenet": 4,
    "yolo": 1,
}
"""Pixels along the side of the smallest image."""


@pytest.mark.parametrize("name", LEAST)
def test_images_that_are_too_small_are_refused_by_name_and_size(name: str, engine: ModuleType, build: Function) -> None:
    least = LEAST[name]
    net = build(name, engine, (3, least, least + 1)).requires_grad_(False)
    assert net(engine.zeros((2, 3, least, least + 1), device="meta")).shape[0] == 2
    if least > 1:
        with pytest.raises(InputError, match=f"{name}: images of {least - 1}x{least + 9} are too small .* at least {least}x{least}"):
            build(name, engine, (3, least - 1, least + 9))


@pytest.mark.parametrize("name", [*LEAST, "small-vit", "vit_b16"])
def test_what_is_no_image_is_refused(name: str, engine: ModuleType, build: Function) -> None:
    with pytest.raises(InputError, match=rf"{name}: examples must be images .* but their shape is \(64,\)"):
        build(name, engine, (64,))


@pytest.mark.parametrize(("shape", "sizes"), [((1, 9, 8), "9x8"), ((1, 8, 1), "8x1")])
def test_images_that_patches_do_not_cover_are_refused(shape: tuple[int, ...], sizes: str, engine: ModuleType, build: Function) -> None:
    with pytest.raises(InputError, match=rf"small-vit: images of {sizes} are not made of patches of 2x2: .* multiple of 2, at least 2"):
        build("small-vit", engine, shape)


def test_what_is_no_sequence_is_refused(engine: ModuleType, build: Function) -> None:
    with pytest.raises(InputError, match=r"lstm: examples must be sequences \(steps, features\), but their shape is \(64,\)"):
        build("lstm", engine, (64,))
    with pytest.raises(InputError, match=r"gru-language: examples must be sequences of tokens \(steps,\), but their shape is \(8, 8\)"):
        build("gru-language", engine, (8, 8))


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("vgg16", 12, r"vgg16: `depth` \(=12\) must be 11, 13, 16, 19"),
        ("resnet18", 20, r"resnet18: `depth` \(=20\) must be 18, 34, 50, 101, 152"),
        ("densenet121", 120, r"densenet121: `depth` \(=120\) must be 121, 161, 169, 201"),
        ("small-googlenet", 10, r"small-googlenet: `depth` \(=10\) must be at most 9, the inception modules that there are"),
    ],
)
def test_a_depth_that_was_never_described_is_refused(name: str, depth: int, message: str, engine: ModuleType, build: Function) -> None:
    with pytest.raises(InputError, match=message):
        build(name, engine, (3, 64, 64), depth=depth)


def test_lenet_reads_digits_of_both_sizes(engine: ModuleType, build: Function) -> None:
    for size in (8, 11, 12, 28, 32):
        net = build("lenet", engine, (1, size, size)).requires_grad_(False)
        assert net(engine.zeros((2, 1, size, size), device="meta")).shape == (2, 7)


def test_heads_of_attention_divide_the_features(engine: ModuleType, build: Function) -> None:
    heads = [build("small-vit", engine, (1, 8, 8), width=width).blocks[0].self_attn.num_heads for width in (1, 4, 10, 12, 13, 16)]
    assert heads == [1, 1, 2, 3, 1, 4]
