"""Full-size presets have the published numbers of parameters; nothing is allocated to count them."""

import time
import tracemalloc
from types import ModuleType
from typing import Any

import pytest

from compare.networks import NETWORKS
from compare.networks.kit import Kit

PUBLISHED = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg16": 138_357_544,
    "nin": 7_595_176,
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
    "vit_b16": 86_567_656,
}
"""torchvision's counts; for `nin`, which it has not, that of the authors' model in the Caffe model zoo."""


def layer(fan_in: int, fan_out: int, kernel: int = 1, *, bias: bool = True) -> int:
    """Numbers in a convolution, or with a kernel of 1 in a linear layer."""
    return fan_in * fan_out * kernel * kernel + (fan_out if bias else 0)


def normalised(fan_in: int, fan_out: int, kernel: int = 1) -> int:
    """Numbers in a convolution without bias and its batch norm."""
    return layer(fan_in, fan_out, kernel, bias=False) + 2 * fan_out


def vgg(*channels: int) -> int:
    return sum(layer(a, b, 3) for a, b in zip((3, *channels), channels)) + layer(25088, 4096) + layer(4096, 4096) + layer(4096, 1000)  # noqa: B905


def inception(fan_in: int, one: int, narrow: int, wide: int, second_narrow: int, second: int, pooled: int) -> int:
    return (
        normalised(fan_in, one)
        + normalised(fan_in, narrow)
        + normalised(narrow, wide, 3)
        + normalised(fan_in, second_narrow)
        + normalised(second_narrow, second, 3)
        + normalised(fan_in, pooled)
    )


def bottleneck(fan_in: int, maps: int, count: int) -> int:
    first = normalised(fan_in, maps) + normalised(maps, maps, 3) + normalised(maps, 4 * maps)
    further = normalised(4 * maps, maps) + normalised(maps, maps, 3) + normalised(maps, 4 * maps)
    return first + normalised(fan_in, 4 * maps) + (count - 1) * further


def basic(fan_in: int, maps: int) -> int:
    """A stage of two blocks."""
    shortcut = normalised(fan_in, maps) if fan_in != maps else 0
    return normalised(fan_in, maps, 3) + 3 * normalised(maps, maps, 3) + shortcut


def dense(channels: int, count: int) -> int:
    given = range(channels, channels + 32 * count, 32)
    return sum(2 * c + layer(c, 128, bias=False) + 2 * 128 + layer(128, 32, 3, bias=False) for c in given)


def transition(channels: int) -> int:
    return 2 * channels + layer(channels, channels // 2, bias=False)


FORMULA = {
    "alexnet": layer(3, 64, 11) + layer(64, 192, 5) + layer(192, 384, 3) + layer(384, 256, 3) + layer(256, 256, 3)
    + layer(9216, 4096) + layer(4096, 4096) + layer(4096, 1000),
    "vgg11": vgg(64, 128, 256, 256, 512, 512, 512, 512),
    "vgg16": vgg(64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
    "nin": layer(3, 96, 11) + 2 * layer(96, 96) + layer(96, 256, 5) + 2 * layer(256, 256) + layer(256, 384, 3) + 2 * layer(384, 384)
    + layer(384, 1024, 3) + layer(1024, 1024) + layer(1024, 1000),
    "googlenet": normalised(3, 64, 7) + normalised(64, 64) + normalised(64, 192, 3)
    + inception(192, 64, 96, 128, 16, 32, 32) + inception(256, 128, 128, 192, 32, 96, 64)
    + inception(480, 192, 96, 208, 16, 48, 64) + inception(512, 160, 112, 224, 24, 64, 64)
    + inception(512, 128, 128, 256, 24, 64, 64) + inception(512, 112, 144, 288, 32, 64, 64)
    + inception(528, 256, 160, 320, 32, 128, 128) + inception(832, 256, 160, 320, 32, 128, 128)
    + inception(832, 384, 192, 384, 48, 128, 128) + layer(1024, 1000),
    "resnet18": normalised(3, 64, 7) + basic(64, 64) + basic(64, 128) + basic(128, 256) + basic(256, 512) + layer(512, 1000),
    "resnet50": normalised(3, 64, 7) + bottleneck(64, 64, 3) + bottleneck(256, 128, 4) + bottleneck(512, 256, 6)
    + bottleneck(1024, 512, 3) + layer(2048, 1000),
    "densenet121": normalised(3, 64, 7) + dense(64, 6) + transition(256) + dense(128, 12) + transition(512) + dense(256, 24)
    + transition(1024) + dense(512, 16) + 2 * 1024 + layer(1024, 1000),
    "vit_b16": layer(3, 768, 16) + 768 + 197 * 768
    + 12 * (layer(768, 3 * 768) + layer(768, 768) + layer(768, 3072) + layer(3072, 768) + 4 * 768) + 2 * 768 + layer(768, 1000),
}  # fmt: skip


def built(engine: Any, name: str, **knobs: int) -> Any:
    network = NETWORKS[name]
    knobs = {"width": network.width, "depth": network.depth, **knobs}
    return network.build(Kit(engine, device="meta"), network.inputs, network.outputs, **knobs)


def count(net: Any) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_every_full_size_preset_is_counted() -> None:
    assert {name for name, network in NETWORKS.items() if network.family} == PUBLISHED.keys() == FORMULA.keys()
    for name in PUBLISHED:
        network = NETWORKS[name]
        assert (network.inputs, network.outputs) == ((3, 224, 224), 1000)
        assert NETWORKS[network.family].family == ""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(engine: ModuleType, name: str) -> None:
    tracemalloc.start()
    try:
        start = time.process_time()
        net = built(engine, name)
        taken, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count(net) == PUBLISHED[name] == FORMULA[name]
    assert peak < 8e6  # the modules themselves; the parameters of vgg16 would be 553 MB
    assert taken < 5  # under a trace that slows it down several times


@pytest.mark.parametrize("name", PUBLISHED)
def test_torch_has_the_same_parameters(engine: ModuleType, torch: ModuleType, name: str) -> None:
    ours, theirs = built(engine, name), built(torch, name)
    assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [(n, tuple(p.shape)) for n, p in theirs.named_parameters()]


def test_lenet_at_full_size_has_the_textbook_s(engine: ModuleType) -> None:
    net = NETWORKS["lenet"].build(Kit(engine, device="meta"), (1, 28, 28), 10, width=6, depth=2)
    assert count(net) == 61_706 == layer(1, 6, 5) + layer(6, 16, 5) + layer(400, 120) + layer(120, 84) + layer(84, 10)


@pytest.mark.parametrize(
    ("name", "depth", "parameters"),
    [
        ("vgg16", 13, 133_047_848),
        ("vgg16", 19, 143_667_240),
        ("resnet50", 34, 21_797_672),
        ("resnet50", 101, 44_549_160),
        ("resnet50", 152, 60_192_808),
        ("densenet121", 169, 14_149_480),
        ("densenet121", 201, 20_013_928),
    ],
)
def test_the_depth_of_a_full_size_preset_gives_its_siblings(engine: ModuleType, name: str, depth: int, parameters: int) -> None:
    assert count(built(engine, name, depth=depth)) == parameters


def test_densenet161(engine: ModuleType) -> None:
    assert count(built(engine, "densenet121", depth=161, width=48)) == 28_681_000


def test_alexnet_and_vgg_have_torchvision_s_names(engine: ModuleType) -> None:
    linear = [f"classifier.{i}.{kind}" for i in (1, 4, 6) for kind in ("weight", "bias")]
    convolutions = [f"features.{i}.{kind}" for i in (0, 3, 6, 8, 10) for kind in ("weight", "bias")]
    assert [name for name, _ in built(engine, "alexnet").named_parameters()] == convolutions + linear
    linear = [f"classifier.{i}.{kind}" for i in (0, 3, 6) for kind in ("weight", "bias")]
    convolutions = [f"features.{i}.{kind}" for i in (0, 3, 6, 8, 11, 13, 16, 18) for kind in ("weight", "bias")]
    assert [name for name, _ in built(engine, "vgg11").named_parameters()] == convolutions + linear
