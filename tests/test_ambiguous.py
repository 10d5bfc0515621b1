"""At every ambiguous point both engines give the answer written down, and so do PyTorch and jax where it is said that they agree."""

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import errors, ops
from diffcore.testing.ambiguous import POINTS, shown

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
points = pytest.mark.parametrize("point", POINTS, ids=lambda point: point.point)


def total(function):
    return lambda *xs: ops.sum(function(*xs))


def same(found, expected):
    np.testing.assert_array_equal([np.ravel(x).tolist() for x in found], [list(x) for x in expected])


def test_points_have_names_of_their_own():
    assert len({point.point for point in POINTS}) == len(POINTS)


@points
def test_the_value(point):
    np.testing.assert_array_equal(np.ravel(point.program(*point.operands())), point.value)


@points
@pytest.mark.parametrize("seeding", ["parameters", "activations"])
def test_both_engines_give_the_answer(point, seeding):
    numbers, operands = tuple(range(len(point.at))), point.operands()
    if not point.answer:
        expected = (errors.LinAlgError, "singular") if point.refused == "LinAlgError" else (RuntimeError, "floating point output")
        for engine in (revdiff, dualdiff):
            with pytest.raises(expected[0], match=expected[1]):
                engine.grad(total(point.program), numbers)(*operands)
        return
    same(revdiff.grad(total(point.program), numbers)(*operands), point.answer)
    same(dualdiff.grad(total(point.program), numbers, seeding=seeding)(*operands), point.forward or point.answer)


def told(point, theirs):
    """What is said of another library's answer."""
    return point.answer if theirs is None else theirs


@pytest.mark.parametrize("point", [point for point in POINTS if point.torch], ids=lambda point: point.point)
def test_pytorch_gives_what_is_said_of_it(point):
    torch = pytest.importorskip("torch", reason="torch, an outside oracle, is not installed")
    tensors = [torch.tensor(x, requires_grad=True) for x in point.operands()]
    out = point.torch(torch, *tensors)
    np.testing.assert_array_equal(np.ravel(out.detach().numpy()), point.value)
    if told(point, point.by_torch):
        same([g.numpy() for g in torch.autograd.grad(out.sum(), tensors)], told(point, point.by_torch))


@pytest.mark.parametrize("point", [point for point in POINTS if point.jax], ids=lambda point: point.point)
def test_jax_gives_what_is_said_of_it(point, x64):
    import jax

    operands = point.operands()
    np.testing.assert_array_equal(np.ravel(point.jax(jax, *operands)), point.value)
    if told(point, point.by_jax):
        found = jax.grad(lambda *xs: point.jax(jax, *xs).sum(), tuple(range(len(operands))))(*operands)
        same(found, told(point, point.by_jax))


def test_answers_are_shown_briefly():
    assert shown(((0.5,), (0.5,))) == "0.5 and 0.5"
    assert shown(((0.0, 1.0, float("-inf")),)) == "(0, 1, -inf)"
    assert shown(()) == "none"
