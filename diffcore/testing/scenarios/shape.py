"""Kernels that move elements."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import normal


def reshaped(case, shape, new, **options):
    return Scenario(
        "reshape",
        case,
        lambda x: ops.reshape(x, new),
        normal(shape),
        reference=lambda jax, x: x.reshape(new),
        torch=lambda torch, x: x.reshape(new),
        **options,
    )


def permuted(case, shape, dims, **options):
    return Scenario(
        "transpose",
        case,
        lambda x: ops.permute(x, dims),
        normal(shape),
        reference=lambda jax, x: jax.numpy.transpose(x, dims),
        torch=lambda torch, x: x.permute(dims),
        **options,
    )


def broadcast(case, shape, new, **options):
    return Scenario(
        "broadcast_to",
        case,
        lambda x: ops.broadcast_to(x, new),
        normal(shape),
        reference=lambda jax, x: jax.numpy.broadcast_to(x, new),
        torch=lambda torch, x: x.broadcast_to(new),
        **options,
    )


def method(kernel, case, shape, name, *arguments, jax=None, strided=False, contiguous=False, **options):
    """An op that PyTorch has under the same name as a method; `jax(jnp, x)` is the reference."""
    return Scenario(
        kernel,
        case,
        lambda x: getattr(ops, name)(x, *arguments, **options),
        normal(shape),
        strided=strided,
        contiguous=contiguous,
        reference=None if jax is None else lambda module, x: jax(module.numpy, x),
        torch=lambda torch, x: getattr(x, name)(*arguments, **options),
    )


def cast(case, shape, to, draw=None, **options):
    return Scenario(
        "astype",
        case,
        lambda x: ops.astype(ops.astype(x, to), np.float64),
        draw or (lambda rng: (np.asarray(rng.integers(-8, 8, shape) / 4),)),
        smooth=False,
        **options,
    )


ROWS = [
    reshaped("merge", (2, 3, 2), (6, 2)),
    reshaped("split", (6,), (2, 3)),
    reshaped("rest", (2, 6), (-1, 4)),
    reshaped("first axis stays", (3, 4), (3, 2, 2)),
    reshaped("to 0-d", (1, 1), ()),
    reshaped("from 0-d", (), (1, 1)),
    reshaped("empty", (0, 3), (3, 0, 2)),
    reshaped("same", (2, 3), (2, 3)),
    reshaped("strided", (2, 3, 2), (3, 4), strided=True),
    Scenario(
        "reshape",
        "flatten",
        lambda x: ops.flatten(x, 1),
        normal((2, 3, 2)),
        reference=lambda jax, x: x.reshape(2, 6),
        torch=lambda torch, x: x.flatten(1),
    ),
    permuted("cycle", (2, 3, 4), (1, 2, 0)),
    permuted("other cycle", (2, 3, 4), (-1, -3, -2)),
    permuted("identity", (2, 3), (0, 1)),
    permuted("first axis stays", (2, 3, 4), (0, 2, 1)),
    permuted("0-d", (), ()),
    permuted("four axes", (2, 1, 3, 2), (3, 1, 0, 2)),
    permuted("empty", (0, 2), (1, 0)),
    permuted("strided", (2, 3, 2), (2, 0, 1), strided=True),
    Scenario(
        "transpose", "two axes", lambda x: ops.transpose(x, 0, -1), normal((2, 3, 4)), reference=lambda jax, x: jax.numpy.swapaxes(x, 0, -1)
    ),
    Scenario("transpose", "with itself", lambda x: ops.matmul(ops.transpose(x, 0, 1), x), normal((2, 3)), reference=lambda jax, x: x.T @ x),
    broadcast("new axes", (3,), (2, 4, 3)),
    broadcast("ones", (2, 1, 3), (2, 4, 3)),
    broadcast("0-d", (), (2, 3)),
    broadcast("nothing", (2, 3), (2, 3)),
    broadcast("to one more", (1,), (1, 1)),
    broadcast("to empty", (1, 3), (0, 3)),
    broadcast("strided", (3, 1), (2, 3, 2), strided=True),
    Scenario(
        "broadcast_to",
        "expand",
        lambda x: ops.expand(x, 4, -1, 3),
        normal((2, 1)),
        reference=lambda jax, x: jax.numpy.broadcast_to(x, (4, 2, 3)),
    ),
    cast("narrower and back", (2, 3), np.float32),
    cast("0-d", (), np.float32),
    cast("size one", (1, 1), np.float32),
    cast("empty", (0, 2), np.float32),
    cast("half", (3,), np.float16),
    cast("half of three axes", (2, 1, 2), np.float16),
    cast("strided", (2, 3), np.float32, strided=True),
    cast("by name", (3,), "float32"),
    cast("large and small", (4,), np.float32, lambda rng: (np.array([2.0**60, -(2.0**-60), 0.0, 2.0**100]),)),
    Scenario(
        "astype",
        "repeated operand",
        lambda x: ops.astype(ops.mul(ops.astype(x, np.float32), ops.astype(x, np.float32)), np.float64),
        lambda rng: (np.asarray(rng.integers(-8, 8, (2, 2)) / 4),),
        smooth=False,
    ),
    Scenario(
        "astype",
        "two views",
        lambda x: ops.add(ops.astype(ops.astype(ops.getitem(x, slice(1, None)), np.float32), np.float64), ops.getitem(x, slice(0, -1))),
        lambda rng: (np.asarray(rng.integers(-8, 8, 4) / 4),),
        smooth=False,
    ),
    Scenario(
        "astype", "to integers", lambda x: ops.astype(x, np.int64), normal((4,)), smooth=False, reference=lambda jax, x: x.astype("int64")
    ),
    method("reshape", "view", (2, 6), "view", 3, -1, jax=lambda jnp, x: x.reshape(3, 4), contiguous=True),
    method("reshape", "view of a list", (4, 3), "view", [2, 2, 3], jax=lambda jnp, x: x.reshape(2, 2, 3)),
    method("reshape", "ravel", (2, 3), "ravel", strided=True, jax=lambda jnp, x: x.reshape(-1)),
    method("reshape", "unflatten", (2, 6), "unflatten", 1, (3, -1), jax=lambda jnp, x: x.reshape(2, 3, 2)),
    method("reshape", "unflatten the first", (4, 2), "unflatten", -2, (2, 2)),
    method("reshape", "squeeze", (1, 3, 1), "squeeze", jax=lambda jnp, x: x.squeeze()),
    method("reshape", "squeeze one", (1, 3, 1), "squeeze", -1),
    method("reshape", "squeeze nothing", (2, 3), "squeeze", 0),
    method("reshape", "squeeze two", (1, 3, 1, 2), "squeeze", (0, 1, -2)),
    method("reshape", "squeeze 0-d", (), "squeeze", 0),
    method("reshape", "unsqueeze", (2, 3), "unsqueeze", 1, jax=lambda jnp, x: x[:, None]),
    method("reshape", "unsqueeze behind", (3,), "unsqueeze", -1),
    method("reshape", "unsqueeze 0-d", (), "unsqueeze", 0),
    Scenario("reshape", "with itself", lambda x: ops.mul(ops.reshape(x, (3, 2)), ops.reshape(x, (2, 3)).T), normal((2, 3))),
    Scenario(
        "reshape",
        "as another",
        lambda x, y: ops.mul(ops.mul(ops.view_as(x, y), ops.reshape_as(ops.expand_as(ops.unsqueeze(ops.getitem(x, 0), 0), x), y)), y),
        normal((2, 3), (3, 2)),
        torch=lambda torch, x, y: x.view_as(y) * x[0][None].expand_as(x).reshape_as(y) * y,
        contiguous=True,
    ),
    method("transpose", "t", (2, 3), "t", jax=lambda jnp, x: x.T),
    method("transpose", "swapaxes", (2, 3, 1), "swapaxes", 0, -1),
    method("transpose", "swapdims", (2, 3), "swapdims", 0, 0),
    method("transpose", "movedim", (2, 3, 1, 2), "movedim", (0, -1), (1, 0), jax=lambda jnp, x: jnp.moveaxis(x, (0, -1), (1, 0))),
    method("transpose", "moveaxis", (2, 3, 4), "moveaxis", 0, -1),
    method("transpose", "rows of itself", (2, 3), "permute", 1, 0),
    method("broadcast_to", "repeat", (2, 3), "repeat", 2, 2, jax=lambda jnp, x: jnp.tile(x, (2, 2))),
    method("broadcast_to", "repeat to more axes", (2,), "repeat", 3, 1, 2),
    method("broadcast_to", "repeat no times", (2, 3), "repeat", 0, 2),
    method("broadcast_to", "repeat 0-d", (), "repeat", 3),
    method("broadcast_to", "tile", (2, 3), "tile", 2, strided=True, jax=lambda jnp, x: jnp.tile(x, 2)),
    method("broadcast_to", "repeat_interleave", (2, 3), "repeat_interleave", 2, 1, jax=lambda jnp, x: jnp.repeat(x, 2, 1)),
    method("broadcast_to", "repeat_interleave of all", (2, 2), "repeat_interleave", 3),
    method("broadcast_to", "repeat_interleave no times", (2, 2), "repeat_interleave", 0, -2),
    Scenario("broadcast_to", "with itself", lambda x: ops.mul(ops.expand(x, (3, 3)), ops.unsqueeze(x, 1)), normal((3,))),
    *(
        Scenario(
            "clone",
            case,
            lambda x: ops.clone(x),
            normal(s),
            reference=lambda jax, x: x,
            torch=lambda torch, x: x.clone(),
            strided=case == "strided",
        )
        for case, s in (
            ("0-d", ()),
            ("size one", (1, 1)),
            ("empty", (0, 3)),
            ("vector", (4,)),
            ("matrix", (2, 3)),
            ("three axes", (2, 1, 3)),
            ("strided", (2, 3)),
        )
    ),
    Scenario("clone", "repeated operand", lambda x: ops.mul(ops.clone(x), x), normal((2, 3)), reference=lambda jax, x: x * x),
    Scenario("clone", "twice", lambda x: ops.mul(ops.clone(x), ops.clone(x)), normal((3,)), reference=lambda jax, x: x * x),
    Scenario(
        "clone", "of a view", lambda x: ops.add(ops.clone(ops.getitem(x, slice(1, None))), ops.getitem(x, slice(0, -1))), normal((4,))
    ),
    Scenario("clone", "contiguous", lambda x: ops.contiguous(ops.transpose(x, 0, 1)), normal((2, 3)), reference=lambda jax, x: x.T + 0.0),
    Scenario("clone", "of a product", lambda x, y: ops.clone(ops.matmul(x, y)), normal((2, 2), (2, 1)), reference=lambda jax, x, y: x @ y),
    method("flip", "first", (3, 2), "flip", 0, jax=lambda jnp, x: jnp.flip(x, 0)),
    method("flip", "last", (2, 3), "flip", -1, jax=lambda jnp, x: jnp.flip(x, -1)),
    method("flip", "two", (2, 3, 2), "flip", 0, 2, jax=lambda jnp, x: jnp.flip(x, (0, 2))),
    method("flip", "a tuple", (2, 3, 2), "flip", (-1, 1)),
    method("flip", "none", (2, 3), "flip", ()),
    method("flip", "vector", (4,), "flip", 0),
    method("flip", "size one", (1, 1), "flip", 1),
    method("flip", "empty", (0, 3), "flip", (0, 1)),
    method("flip", "strided", (3, 2), "flip", 0, strided=True, jax=lambda jnp, x: jnp.flip(x, 0)),
    method("flip", "fliplr", (2, 3), "fliplr", jax=lambda jnp, x: jnp.fliplr(x)),
    method("flip", "flipud", (3,), "flipud", jax=lambda jnp, x: jnp.flipud(x)),
    method("flip", "rot90", (2, 3), "rot90", jax=lambda jnp, x: jnp.rot90(x)),
    method("flip", "rot90 twice", (2, 3), "rot90", 2, (1, 0), jax=lambda jnp, x: jnp.rot90(x, 2)),
    method("flip", "rot90 backwards", (2, 1, 3), "rot90", -1, (0, 2), jax=lambda jnp, x: jnp.rot90(x, -1, (0, 2))),
    Scenario("flip", "with itself", lambda x: ops.mul(ops.flip(x, 0), x), normal((3, 2)), reference=lambda jax, x: x[::-1] * x),
    method("roll", "first", (3, 2), "roll", 1, 0, jax=lambda jnp, x: jnp.roll(x, 1, 0)),
    method("roll", "last, backwards", (2, 4), "roll", -1, -1, jax=lambda jnp, x: jnp.roll(x, -1, -1)),
    method("roll", "two", (3, 2), "roll", (2, 1), (0, 1), jax=lambda jnp, x: jnp.roll(x, (2, 1), (0, 1))),
    method("roll", "one axis twice", (4, 2), "roll", (1, 2), (0, 0)),
    method("roll", "all", (2, 3), "roll", 2, jax=lambda jnp, x: jnp.roll(x, 2)),
    method("roll", "around more than once", (3,), "roll", 7, 0),
    method("roll", "not at all", (2, 3), "roll", 0, 1),
    method("roll", "size one", (1,), "roll", 1, 0),
    method("roll", "empty", (0, 2), "roll", 1, 0),
    method("roll", "three axes", (2, 2, 3), "roll", 1, 1),
    method("roll", "strided", (3, 2), "roll", 1, 0, strided=True),
    method("roll", "0-d", (), "roll", 1),
    Scenario("roll", "with itself", lambda x: ops.mul(ops.roll(x, 1, 0), x), normal((3,))),
]


def misused(kernel, case, function, error, match, shape=(2, 3)):
    return Misuse(kernel, case, function, normal(shape), error, match)


RANGE = r"Dimension out of range \(expected to be in range of \[-2, 1\], but got {}\)"

MISUSES = [
    misused(
        "reshape", "other size", lambda x: ops.reshape(x, (4, 2)), ShapeError, r"reshape: shape \(4, 2\) is invalid for input of shape"
    ),
    misused(
        "reshape", "no rest", lambda x: ops.reshape(x, (4, -1)), ShapeError, r"reshape: shape \[4, -1\] is invalid for input of size 6"
    ),
    misused("reshape", "two rests", lambda x: ops.reshape(x, (-1, -1)), ShapeError, "reshape: .* is invalid for input of size 6"),
    misused("reshape", "fraction", lambda x: ops.reshape(x, (1.5, 4)), TypeError, "float.* integer"),
    misused("reshape", "copying view", lambda x: ops.view(x.T, 6), ShapeError, "view: view size is not compatible .*Use `.reshape"),
    misused("reshape", "view of other size", lambda x: ops.view(x, 4), ShapeError, r"shape \(4,\) is invalid for input of shape \(2, 3\)"),
    misused(
        "reshape", "unflatten", lambda x: ops.unflatten(x, 1, (2, 2)), ShapeError, r"unflatten: .*\[2, 2\] don't multiply up to .* \(3\)"
    ),
    misused("reshape", "unflatten to nothing", lambda x: ops.unflatten(x, 1, ()), ShapeError, "unflatten: `sizes` .* must be non-empty"),
    misused("reshape", "squeeze", lambda x: ops.squeeze(x, 2), IndexError, RANGE.format(2)),
    misused("reshape", "squeeze twice", lambda x: ops.squeeze(x, (0, -2)), ShapeError, r"dim \(0, -2\) appears multiple times"),
    misused("reshape", "unsqueeze", lambda x: ops.unsqueeze(x, 3), IndexError, r"\[-3, 2\], but got 3"),
    misused("transpose", "axis", lambda x: ops.transpose(x, 0, 2), IndexError, RANGE.format(2)),
    misused(
        "transpose", "permutation", lambda x: ops.permute(x, 0, 0), ShapeError, r"permute: dims \(0, 0\) is not a permutation of the 2 axes"
    ),
    misused("transpose", "too few", lambda x: ops.permute(x, 0), ShapeError, r"permute: dims \(0,\) is not a permutation"),
    misused("transpose", "t", ops.t, ShapeError, "t: expects a tensor with <= 2 dimensions, but `x` is 3D", (2, 1, 2)),
    misused("transpose", "movedim", lambda x: ops.movedim(x, (0, 1), (0, 0)), ShapeError, "movedim: repeated dim in `destination`"),
    misused("transpose", "movedim of two to one", lambda x: ops.movedim(x, (0, 1), 0), ShapeError, "movedim: .* must name equally many"),
    misused("broadcast_to", "sizes", lambda x: ops.broadcast_to(x, (2, 4)), ShapeError, r"shape \(2, 3\) cannot be broadcast to \(2, 4\)"),
    misused("broadcast_to", "fewer axes", lambda x: ops.broadcast_to(x, (3,)), ShapeError, r"\(2, 3\) cannot be broadcast to \(3,\)"),
    misused("broadcast_to", "expand", lambda x: ops.expand(x, 3, 3), ShapeError, r"\(2, 3\) cannot be broadcast to \(3, 3\)"),
    misused("broadcast_to", "repeat", lambda x: ops.repeat(x, 2), ShapeError, "repeat: number of dimensions .* can not be smaller"),
    misused("broadcast_to", "repeat backwards", lambda x: ops.repeat(x, 2, -1), ShapeError, r"repeat: .*\(2, -1\) must not be negative"),
    misused("broadcast_to", "negative repeats", lambda x: ops.repeat_interleave(x, -1), ShapeError, "repeats must be non-negative, got -1"),
    misused("astype", "name", lambda x: ops.astype(x, "banana"), DTypeError, "astype: `dtype` \\(='banana'\\) is not a dtype"),
    misused("astype", "None", lambda x: ops.astype(x, None), DTypeError, "astype: `dtype` .*None.* is not a dtype of numbers"),
    misused("astype", "objects", lambda x: ops.astype(x, object), DTypeError, "astype: `dtype` .*object.* is not a dtype of numbers"),
    misused("astype", "text", lambda x: ops.astype(x, str), DTypeError, "astype: `dtype` .*str.* is not a dtype of numbers"),
    *(
        misused("clone", kind, lambda x, v=value: ops.clone(v), DTypeError, f"clone: expected a tensor, got {kind}")
        for kind, value in (("list", [1.0]), ("float", 1.0), ("NoneType", None), ("str", "x"))
    ),
    misused("flip", "axis", lambda x: ops.flip(x, 2), IndexError, RANGE.format(2)),
    misused("flip", "axis twice", lambda x: ops.flip(x, 0, -2), ShapeError, r"dim \(0, -2\) appears multiple times"),
    misused("flip", "fliplr", ops.fliplr, ShapeError, r"fliplr: input must be >= 2-d, got shape \(3,\)", (3,)),
    misused("flip", "flipud", ops.flipud, ShapeError, r"flipud: input must be >= 1-d, got shape \(\)", ()),
    misused("flip", "rot90", lambda x: ops.rot90(x, 1, (0, 0)), ShapeError, "rot90: expected rotation dims to be different"),
    misused("flip", "rot90 of one axis", lambda x: ops.rot90(x, 1, (0,)), ShapeError, "rot90: expected total rotation dims == 2"),
    misused("roll", "axis", lambda x: ops.roll(x, 1, 2), IndexError, RANGE.format(2)),
    misused(
        "roll", "shifts", lambda x: ops.roll(x, (1, 2), (0,)), ShapeError, "roll: shifts and dimensions must align. shifts: 2, dims: 1"
    ),
    misused(
        "roll", "shifts of all", lambda x: ops.roll(x, (1, 2)), ShapeError, "roll: shifts and dimensions must align. shifts: 2, dims: 0"
    ),
    misused("roll", "fraction", lambda x: ops.roll(x, 0.5, 0), TypeError, "float.* integer"),
]
