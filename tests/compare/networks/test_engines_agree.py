"""One training step of every small network in both engines: the same loss, gradients, statistics and new parameters."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from compare.networks import NETWORKS
from diffcore.errors import MemoryBudgetError


def stepped(case: Any, engine: Any, training: bool, **options: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The loss, the gradients, and parameters and statistics after one step of SGD."""
    net = case.build(engine).train(training)
    loss, gradients = case.derived(engine, net, **options)
    for name, parameter in net.named_parameters():
        parameter.grad = engine.tensor(np.asarray(gradients[name]))
    engine.optim.SGD(net.parameters(), lr=0.1, momentum=0.9).step()
    return loss, gradients, {name: value.numpy() for name, value in net.state_dict().items()}


@pytest.fixture(params=[True, False], ids=["training", "evaluation"])
def training(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Both modes in turn; in training dropout draws and batch norm mixes the examples."""
    return request.param


@pytest.mark.parametrize("seeding", ["activations", "parameters"])
def test_a_training_step_is_the_same_in_both_engines(case: Any, training: bool, seeding: str, close: Callable[..., None]) -> None:
    expected_loss, expected, reference = stepped(case, revdiff, training)
    loss, gradients, after = stepped(case, dualdiff, training, seeding=seeding)
    close(loss, expected_loss)
    assert gradients.keys() == expected.keys()
    assert reference.keys() == after.keys()
    for name, gradient in expected.items():
        close(gradients[name], gradient)
    for name, value in reference.items():
        close(after[name], value)


def test_a_step_changes_every_parameter(case: Any) -> None:
    """Nothing is cut off from the loss, so agreement is about something."""
    before = {name: np.array(value.numpy()) for name, value in case.build(revdiff).state_dict().items()}
    _, gradients, after = stepped(case, revdiff, True)
    still = [name for name in gradients if np.array_equal(before[name], after[name])]
    assert still == []


@pytest.mark.parametrize(("name", "memory"), [("lenet", "1MB"), ("rnn", "1MB"), ("small-resnet", "4MB")])
def test_forward_keeps_a_memory_bound(name: str, memory: str, cases: dict[str, Any], close: Callable[..., None]) -> None:
    _, expected, reference = stepped(cases[name], revdiff, True)
    _, gradients, after = stepped(cases[name], dualdiff, True, seeding="parameters", memory=memory)
    for name, gradient in expected.items():
        close(gradients[name], gradient)
    for name, value in reference.items():  # statistics moved once, however often the network ran
        close(after[name], value)


def test_a_bound_that_is_too_small_names_the_least_that_would_do(cases: dict[str, Any]) -> None:
    with pytest.raises(MemoryBudgetError, match=r"at least \d+ bytes would do"):
        stepped(cases["lenet"], dualdiff, True, seeding="parameters", memory=1000)


@pytest.mark.parametrize("name", ["small-vgg", "small-vit"])
def test_dropout_draws_from_the_seed(name: str, cases: dict[str, Any]) -> None:
    case = cases[name]
    net = case.build(revdiff)

    def outputs(seed: int) -> Any:
        revdiff.manual_seed(seed)
        return net(revdiff.tensor(case.inputs)).detach().numpy()

    np.testing.assert_array_equal(outputs(1), outputs(1))
    assert abs(outputs(1) - outputs(2)).max() > 1e-3
    net.eval()
    np.testing.assert_array_equal(outputs(1), outputs(2))


def test_every_network_but_the_full_size_ones_is_tried(cases: dict[str, Any]) -> None:
    here = {name for name, network in NETWORKS.items() if not network.family and network.takes != "vector"}
    assert here == cases.keys()
