"""Joining any number of tensors, and taking them apart."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import joined, normal


def listed(case, name, shapes, *arguments, jax=None, kernel="concatenate", **options):
    """An op on a list of tensors, under PyTorch's name; `jax` is the name of numpy's."""
    return Scenario(
        kernel,
        case,
        lambda *xs: getattr(ops, name)(xs, *arguments),
        normal(*shapes),
        reference=None if jax is None else lambda module, *xs: getattr(module.numpy, jax)(xs, *arguments),
        torch=lambda torch, *xs: getattr(torch, name)(xs, *arguments),
        **options,
    )


def whole(parts):
    """One tensor out of several, each weighted by its place, so that they are told apart."""
    return ops.cat([ops.reshape(ops.mul(part, i + 1), (-1,)) for i, part in enumerate(parts)])


def apart(case, shape, name, *arguments, kernel="getitem"):
    """An op that takes a tensor apart, the parts joined again."""

    def outside(torch, x):
        return torch.cat([part.reshape(-1) * (i + 1) for i, part in enumerate(getattr(x, name)(*arguments))])

    return Scenario(kernel, f"{name} {case}", lambda x: whole(getattr(ops, name)(x, *arguments)), normal(shape), torch=outside)


ROWS = [
    listed("rows", "cat", ((2, 3), (1, 3)), jax="concatenate"),
    listed("columns", "cat", ((2, 1), (2, 2)), 1, jax="concatenate"),
    listed("last of three axes", "cat", ((2, 1, 2), (2, 1, 1)), -1, jax="concatenate"),
    listed("three vectors", "cat", ((2,), (1,), (3,)), jax="concatenate"),
    listed("four", "concat", ((1, 2), (2, 2), (1, 2), (1, 2))),
    listed("one", "concatenate", ((2, 3),), 1, jax="concatenate"),
    listed("size one", "cat", ((1,), (1,)), jax="concatenate"),
    listed("an empty one", "cat", ((2, 2), (0, 2), (1, 2)), jax="concatenate"),
    listed("all empty", "cat", ((0, 2), (0, 2)), 1, jax="concatenate"),
    listed("strided", "cat", ((2, 2), (2, 1)), 1, strided=True, jax="concatenate"),
    listed("stack", "stack", ((2, 3), (2, 3)), jax="stack"),
    listed("stack behind", "stack", ((2,), (2,), (2,)), -1, jax="stack"),
    listed("stack between", "stack", ((2, 3), (2, 3)), 1, jax="stack"),
    listed("stack of scalars", "stack", ((), (), ()), jax="stack"),
    listed("stack of nothing", "stack", ((0, 2), (0, 2)), 1, jax="stack"),
    listed("stack, strided", "stack", ((2, 2), (2, 2)), -1, strided=True, jax="stack"),
    listed("hstack of vectors", "hstack", ((2,), (), (1,)), jax="hstack"),
    listed("hstack", "hstack", ((2, 1), (2, 2)), jax="hstack"),
    listed("vstack", "vstack", ((3,), (2, 3)), jax="vstack"),
    listed("dstack", "dstack", ((2, 2), (2, 2, 1)), jax="dstack"),
    listed("dstack of vectors", "dstack", ((2,), (2,)), jax="dstack"),
    Scenario("concatenate", "repeated operand", lambda x: ops.cat((x, x, x)), normal((2, 2)), torch=lambda torch, x: torch.cat((x, x, x))),
    Scenario("concatenate", "x and x.T", lambda x: ops.cat((x, x.T), 1), normal((2, 2)), torch=lambda torch, x: torch.cat((x, x.T), 1)),
    Scenario(
        "concatenate", "two views", lambda x: ops.stack((x[:-1], x[1:])), normal((4,)), torch=lambda torch, x: torch.stack((x[:-1], x[1:]))
    ),
    Scenario(
        "concatenate",
        "constants between",
        lambda x, y: ops.cat((np.ones((1, 2), x.dtype), x, np.zeros((2, 2), x.dtype), np.ones((1, 2), x.dtype), y, y)),
        normal((1, 2), (2, 2)),
        reference=lambda jax, x, y: jax.numpy.concatenate((np.ones((1, 2)), x, np.zeros((2, 2)), np.ones((1, 2)), y, y)),
    ),
    Scenario(
        "concatenate",
        "constants around a stack",
        lambda x: ops.stack((np.ones((2, 2), x.dtype), x, np.zeros((2, 2), x.dtype), x.T), 1),
        normal((2, 2)),
        reference=lambda jax, x: jax.numpy.stack((np.ones((2, 2)), x, np.zeros((2, 2)), x.T), 1),
    ),
    Scenario(
        "concatenate",
        "features of a layer",
        lambda x, w, b: ops.matmul(ops.cat((ops.tanh(ops.linear(x, w, b)), x), 1), ops.cat((w.T, w.T))),
        normal((3, 2), (2, 2), (2,)),
        torch=lambda torch, x, w, b: torch.cat((torch.nn.functional.linear(x, w, b).tanh(), x), 1) @ torch.cat((w.T, w.T)),
    ),
    Scenario(
        "concatenate",
        "an empty vector with matrices",
        lambda x: ops.cat((np.zeros(0, x.dtype), x, x)),
        normal((2, 2)),
        torch=lambda torch, x: torch.cat((torch.zeros(0), x, x)),
    ),
    Scenario(
        "concatenate",
        "cartesian_prod",
        lambda *xs: ops.cartesian_prod(*xs),
        normal((2,), (3,)),
        torch=lambda torch, *xs: torch.cartesian_prod(*xs),
    ),
    Scenario(
        "broadcast_to",
        "meshgrid",
        lambda *xs: whole(ops.meshgrid(*xs)),
        normal((2,), (), (3,)),
        torch=lambda torch, *xs: torch.cat([g.reshape(-1) * (i + 1) for i, g in enumerate(torch.meshgrid(*xs, indexing="ij"))]),
    ),
    Scenario(
        "broadcast_to",
        "meshgrid of images",
        lambda *xs: whole(ops.meshgrid(xs, indexing="xy")),
        normal((2,), (3,)),
        torch=lambda torch, *xs: torch.cat([g.reshape(-1) * (i + 1) for i, g in enumerate(torch.meshgrid(*xs, indexing="xy"))]),
    ),
    Scenario(
        "broadcast_to",
        "broadcast_tensors",
        lambda *xs: whole(ops.broadcast_tensors(*xs)),
        normal((2, 1), (3,), ()),
        torch=lambda torch, *xs: torch.cat([g.reshape(-1) * (i + 1) for i, g in enumerate(torch.broadcast_tensors(*xs))]),
    ),
    apart("in twos", (5, 2), "split", 2),
    apart("columns", (2, 3), "split", 2, -1),
    apart("of sizes", (2, 4), "split", [1, 0, 3], 1),
    apart("of nothing", (0, 2), "split", 2),
    apart("in two", (5,), "chunk", 2),
    apart("in more than there are", (2, 2), "chunk", 3),
    apart("columns in two", (2, 4), "chunk", 2, 1),
    apart("in three", (5, 2), "tensor_split", 3),
    apart("before", (2, 5), "tensor_split", (1, 3, 9), 1),
    apart("crossing", (5,), "tensor_split", (3, 1)),
    apart("rows", (2, 3), "unbind"),
    apart("columns", (2, 3), "unbind", 1),
    apart("vector", (3,), "unbind"),
]


def misused(kernel, case, function, error, match, *shapes):
    return Misuse(kernel, case, function, joined(normal(*shapes)), error, match)


MISUSES = [
    misused(
        "concatenate",
        "sizes",
        lambda x, y: ops.cat((x, y)),
        ShapeError,
        "concatenate: sizes .* must match except in dimension 0: expected size 3 but got size 2",
        (2, 3),
        (2, 2),
    ),
    misused(
        "concatenate",
        "axes",
        lambda x, y: ops.cat((x, y)),
        ShapeError,
        "concatenate: tensors must have same number of dimensions: got 2 and 1",
        (2, 3),
        (2,),
    ),
    misused("concatenate", "third of several", lambda *xs: ops.cat(xs, 1), ShapeError, r"\(3, 2\) at entry 2", (2, 2), (2, 1), (3, 2)),
    misused("concatenate", "no tensors", lambda x: ops.cat([]), ShapeError, "cat: expected a non-empty list of tensors", (2,)),
    misused("concatenate", "no list", lambda x: ops.cat(x), DTypeError, "cat: `tensors` must be a list or tuple of tensors, not", (2, 3)),
    misused(
        "concatenate",
        "a number",
        lambda x: ops.cat((x, 1.0)),
        DTypeError,
        "cat: expected a tensor as element 1 of `tensors`, but got float",
        (2,),
    ),
    misused("concatenate", "scalar", lambda x, y: ops.cat((x, y)), ShapeError, r"cat: zero-dimensional tensor \(at position 1\)", (2,), ()),
    misused("concatenate", "axis", lambda x: ops.cat((x, x), 2), IndexError, r"\[-2, 1\], but got 2", (2, 3)),
    misused(
        "concatenate",
        "stack",
        lambda x, y: ops.stack((x, y)),
        ShapeError,
        r"equal size, but got \(2, 3\) at entry 0 and \(2,\) at entry 1",
        (2, 3),
        (2,),
    ),
    misused("concatenate", "stack axis", lambda x: ops.stack((x, x), 3), IndexError, r"\[-3, 2\], but got 3", (2, 3)),
    misused(
        "concatenate", "hstack", lambda x, y: ops.hstack((x, y)), ShapeError, "concatenate: tensors must have same number", (2, 3), (2,)
    ),
    misused(
        "concatenate", "cartesian_prod", lambda x: ops.cartesian_prod(x, x), ShapeError, "expected scalar or 1D tensor, but got", (2, 3)
    ),
    misused(
        "broadcast_to", "meshgrid", lambda x: ops.meshgrid(x), ShapeError, r"meshgrid: .* but got `tensors\[0\]` of shape \(2, 3\)", (2, 3)
    ),
    misused(
        "broadcast_to", "meshgrid indexing", lambda x: ops.meshgrid(x, indexing="ab"), ValueError, "meshgrid: `indexing` \\(='ab'\\)", (2,)
    ),
    misused(
        "broadcast_to", "broadcast_tensors", lambda *xs: ops.broadcast_tensors(*xs), ShapeError, r"\(2, 3\), \(2,\) do not", (2, 3), (2,)
    ),
    misused("getitem", "split", lambda x: ops.split(x, [1, 2]), ShapeError, r"split: .* sum exactly to 2 .* split_sizes=\[1, 2\]", (2, 3)),
    misused("getitem", "split by nothing", lambda x: ops.split(x, 0), ShapeError, "split: `split_size` \\(=0\\) must be positive", (2, 3)),
    misused("getitem", "split of a scalar", lambda x: ops.split(x, 1), ShapeError, "split: expected at least a 1-dimensional tensor", ()),
    misused("getitem", "chunk", lambda x: ops.chunk(x, 0), ShapeError, "chunk: expects `chunks` to be greater than 0, got: 0", (2, 3)),
    misused(
        "getitem",
        "tensor_split",
        lambda x: ops.tensor_split(x, 0),
        ShapeError,
        "tensor_split: number of sections must be larger than 0",
        (2,),
    ),
    misused("getitem", "unbind", lambda x: ops.unbind(x, 2), IndexError, r"\[-2, 1\], but got 2", (2, 3)),
]
