"""Sums of products over labelled axes."""

from diffcore import ops
from diffcore.errors import ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import normal


def summed(equation, *shapes, kernel="einsum", case="", **options):
    return Scenario(
        kernel,
        f"{equation}{case}",
        lambda *xs: ops.einsum(equation, *xs),
        normal(*shapes),
        reference=lambda jax, *xs: jax.numpy.einsum(equation, *xs),
        torch=lambda torch, *xs: torch.einsum(equation, *xs),
        **options,
    )


def contracted(case, a, b, dims, **options):
    return Scenario(
        "einsum",
        f"tensordot {case}",
        lambda x, y: ops.tensordot(x, y, dims),
        normal(a, b),
        reference=lambda jax, x, y: jax.numpy.tensordot(x, y, dims),
        torch=lambda torch, x, y: torch.tensordot(x, y, dims),
        **options,
    )


ROWS = [
    summed("ij,jk->ik", (2, 3), (3, 2)),
    summed("ij,jk", (2, 3), (3, 2)),
    summed("ij,jk->ki", (2, 3), (3, 2)),
    summed("ij,kj->ik", (2, 3), (2, 3)),
    summed("i,i", (3,), (3,)),
    summed("i,j->ij", (3,), (2,)),
    summed("i,j->ji", (3,), (2,), case=" strided", strided=True),
    summed(",", (), ()),
    summed(",ij->ij", (), (2, 3)),
    summed("ij,ij->ij", (2, 3), (2, 3)),
    summed("ij,ji->i", (2, 3), (3, 2)),
    summed("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    summed("bij,bjk->ikb", (2, 2, 3), (2, 3, 2)),
    summed("bij,jk->bik", (2, 2, 3), (3, 2)),
    summed("bi,bi->b", (3, 2), (3, 2)),
    summed("ijk,ilk->lj", (2, 2, 2), (2, 3, 2)),
    summed("...ij,...jk->...ik", (2, 2, 3), (3, 2)),
    summed("...ij,...jk", (2, 1, 1, 3), (2, 3, 2)),
    summed("b...,b...->...", (2, 3), (2, 3)),
    summed("i...,i->...", (2, 3), (2,)),
    summed("...,...", (2, 1), (3,)),
    summed("ii,i->i", (3, 3), (3,)),
    summed("iij,jkk->ik", (2, 2, 3), (3, 2, 2)),
    summed("iiik,k->i", (2, 2, 2, 3), (3,)),
    summed("ij,k->i", (2, 3), (2,)),
    summed("Ba,aC->BC", (2, 3), (3, 2)),
    summed("i,i->i", (1,), (1,)),
    summed("ij,jk->ik", (0, 3), (3, 2), case=" no rows"),
    summed("ij,jk->ik", (2, 0), (0, 2), case=" nothing summed"),
    summed("ij,jk->ik", (3, 2), (2, 3), case=" strided", strided=True),
    summed("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
    summed("ij,jk,ki", (2, 3), (3, 2), (2, 2)),
    summed("bi,ij,bj->b", (2, 3), (3, 3), (2, 3)),
    summed("i,j,k->kij", (2,), (1,), (3,)),
    summed("ij,ij,ij->i", (2, 3), (2, 3), (2, 3)),
    summed("i,ij,j->", (2,), (2, 3), (3,)),
    summed("ab,bc,cd,da->ac", (2, 2), (2, 2), (2, 2), (2, 2)),
    summed("a,b,c,d,a->bd", (2,), (2,), (2,), (1,), (2,)),
    Scenario(
        "einsum",
        "axes of size one broadcast",
        lambda x, y: ops.einsum("ij,jk->ik", x, y),
        normal((2, 1), (3, 2)),
        torch=lambda torch, x, y: torch.einsum("ij,jk->ik", x, y),
    ),
    Scenario(
        "einsum",
        "numbers for labels",
        lambda x, y: ops.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        normal((2, 3), (3, 2)),
        torch=lambda torch, x, y: torch.einsum(x, [0, 1], y, [1, 2], [0, 2]),
    ),
    Scenario("einsum", "a list of operands", lambda x, y: ops.einsum("i,i", [x, y]), normal((3,), (3,))),
    Scenario("einsum", "repeated operand", lambda x: ops.einsum("ij,kj->ik", x, x), normal((2, 3))),
    Scenario("einsum", "aliased operands", lambda x: ops.einsum("ij,jk,kl->il", x, x.mT, x), normal((2, 3))),
    Scenario(
        "einsum",
        "of a nonlinear layer",
        lambda x, w: ops.einsum("bi,oi->bo", ops.tanh(ops.einsum("bi,oi->bo", x, w)), w),
        normal((3, 2), (2, 2)),
    ),
    summed("ii->i", (3, 3), kernel="getitem"),
    summed("ii", (3, 3), kernel="sum"),
    summed("iij->ji", (2, 2, 3), kernel="transpose"),
    summed("ij->ji", (2, 3), kernel="transpose"),
    summed("ij->", (2, 3), kernel="sum"),
    summed("i...->i", (2, 3, 2), kernel="sum"),
    summed("ba", (2, 3), kernel="transpose"),
    contracted("one axis", (2, 3), (3, 2), 1),
    contracted("two axes", (2, 2, 3), (2, 3, 2), 2),
    contracted("no axis", (2,), (3,), 0),
    contracted("chosen axes", (2, 3, 2), (3, 2, 2), ([1, 2], [0, 1])),
    contracted("axes from behind", (2, 3), (2, 3), ([-1], [-1])),
    Scenario("einsum", "inner", ops.inner, normal((2, 3), (2, 2, 3)), torch=lambda torch, x, y: torch.inner(x, y)),
    Scenario("einsum", "cross", ops.cross, normal((3, 2), (3, 2)), torch=lambda torch, x, y: torch.cross(x, y, 0)),
    Scenario(
        "einsum", "cross of rows", lambda x, y: ops.cross(x, y, -1), normal((2, 3), (1, 3)), torch=lambda t, x, y: t.linalg.cross(x, y)
    ),
    Scenario("einsum", "addbmm", ops.addbmm, normal((2,), (2, 2, 3), (2, 3, 2)), torch=lambda torch, *xs: torch.addbmm(*xs)),
]


def misused(case, equation, shapes, match):
    return Misuse("einsum", case, lambda *xs: ops.einsum(equation, *xs), normal(*shapes), ShapeError, match)


MISUSES = [
    misused(
        "sizes", "ij,jk", ((2, 2), (3, 2)), "subscript j has size 3 for operand 1 which does not broadcast with previously seen size 2"
    ),
    misused("output label", "ij,jk->il", ((2, 2), (2, 2)), "output subscript l does not appear in the equation for any input operand"),
    misused("output label twice", "ij->ii", ((2, 2),), "output subscript i appears more than once in the output"),
    misused(
        "too few axes",
        "ij",
        ((2,),),
        r"number of subscripts in the equation \(2\) does not match the number of dimensions \(1\) for operand 0",
    ),
    misused(
        "too many axes",
        "i,i",
        ((2,), (2, 2)),
        r"\(1\) does not match the number of dimensions \(2\) for operand 1 and no ellipsis was given",
    ),
    misused("too few operands", "ij,k", ((2, 2),), "fewer operands .1. were provided than specified in the equation .2."),
    misused("too many operands", "ij", ((2, 2), (2,)), "more operands .2. were provided than specified in the equation .1."),
    misused("digits", "i1", ((2, 2),), "invalid subscript in 'i1' for operand 0: subscripts must be letters"),
    misused("digits in the output", "ij->1", ((2, 2),), "invalid subscript in the output '1'"),
    misused("two ellipses", "......", ((2, 2),), "at most one `...`"),
    misused("diagonal", "ii->i", ((2, 3),), "subscript i is repeated for operand 0 but the sizes don't match, 3 != 2"),
    Misuse(
        "einsum", "words for labels", lambda x: ops.einsum(x, ["rows"]), normal((2,)), ShapeError, "must be a list of `...` and numbers"
    ),
    Misuse(
        "einsum",
        "tensordot sizes",
        lambda x, y: ops.tensordot(x, y, 1),
        normal((2, 3), (2, 3)),
        ShapeError,
        "size 3 in dim 1 .* size 2 in dim 0",
    ),
    Misuse(
        "einsum",
        "tensordot axes",
        lambda x, y: ops.tensordot(x, y, 3),
        normal((2, 3), (2, 3)),
        ShapeError,
        "`dims` .=3. must be between 0 and",
    ),
    Misuse(
        "einsum",
        "tensordot pairs",
        lambda x, y: ops.tensordot(x, y, ([0, 1], [0])),
        normal((2, 3), (2, 3)),
        ShapeError,
        "as many dims to contract",
    ),
    Misuse("einsum", "tensordot axis", lambda x, y: ops.tensordot(x, y, ([2], [0])), normal((2, 3), (2, 3)), IndexError, "but got 2"),
    Misuse(
        "einsum",
        "inner",
        lambda x, y: ops.inner(x, y),
        normal((2, 3), (2,)),
        ShapeError,
        r"inner: the last dimension must match .* \(2, 3\) and \(2,\)",
    ),
    Misuse("einsum", "cross", lambda x, y: ops.cross(x, y), normal((2, 2), (2, 2)), ShapeError, "cross: no dimension of size 3"),
    Misuse(
        "einsum",
        "cross along",
        lambda x, y: ops.cross(x, y, 0),
        normal((2, 3), (2, 3)),
        ShapeError,
        "must have 3 elements along dimension 0",
    ),
]
