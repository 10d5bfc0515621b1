"""Every small network against PyTorch's own, built from the same description."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Function = Callable[..., Any]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_same_weights_give_the_same_outputs_loss_and_gradients(
    engine: ModuleType, torch: ModuleType, case: Any, training: bool, without_dropout: Function, close: Function
) -> None:
    theirs = without_dropout(case.build(torch)).train(training)
    ours = without_dropout(case.build(engine)).train(training)
    assert [(name, tuple(p.shape)) for name, p in ours.named_parameters()] == [(n, tuple(p.shape)) for n, p in theirs.named_parameters()]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    if not training:  # else the statistics that batch norm starts with would hide what it does with them
        for name, buffer in theirs.named_buffers():
            if "running" in name:
                buffer += torch.linspace(0.1, 0.7, len(buffer), dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    expected = case.loss(torch, theirs)
    expected.backward()
    loss, gradients = case.derived(engine, ours)
    close(loss, expected.detach())
    for name, parameter in theirs.named_parameters():
        close(gradients[name], parameter.grad)
    for name, buffer in theirs.named_buffers():
        close(ours.state_dict()[name].numpy(), buffer)
    close(ours(engine.tensor(case.inputs)).detach().numpy(), theirs(torch.tensor(case.inputs)).detach())


def test_dropout_stands_where_torch_has_it(engine: ModuleType, torch: ModuleType, case: Any) -> None:
    """By name and probability, so that no network agrees only because nothing is ever dropped."""

    def dropouts(net: Any) -> list[tuple[str, float]]:
        return [(name, module.p) for name, module in net.named_modules() if type(module).__name__ == "Dropout"]

    found = dropouts(case.build(engine))
    assert found == dropouts(case.build(torch))
    assert bool(found) == (case.network.name in ("small-alexnet", "small-vgg", "small-nin", "small-googlenet", "small-vit"))


def test_the_first_weights_have_the_spread_of_torch_s(torch: ModuleType, engine: ModuleType, case: Any) -> None:
    """Both draw from the same distributions, by numbers of their own; what torch does not draw, neither do we."""
    ours, theirs = case.build(engine), case.build(torch)
    for (name, found), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        found, expected = found.detach().numpy(), expected.detach().numpy()
        if expected.std() == 0:
            np.testing.assert_array_equal(found, expected, err_msg=name)
        elif expected.size >= 100:
            assert found.std() == pytest.approx(expected.std(), rel=0.35), name
            assert abs(found.mean()) < 5 * expected.std() / expected.size**0.5, name
