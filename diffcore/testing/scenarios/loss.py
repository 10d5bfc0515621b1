"""Losses."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import loss as kernels
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.generators import binary, functional, unary
from diffcore.testing.scenarios.samples import away, classes, exactly, joined, normal, positive, within

REDUCTIONS = ("none", "mean", "sum")


def reference(jax, logits, target, reduction):
    axis = 0 if logits.ndim == 1 else 1
    picked = jax.nn.one_hot(target, logits.shape[axis], axis=axis, dtype=logits.dtype)
    losses = -(picked * jax.nn.log_softmax(logits, axis)).sum(axis)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def row(case, draw, reduction, **options):
    return Scenario(
        "cross_entropy",
        f"{case} {reduction}",
        lambda logits, target: ops.cross_entropy(logits, target, reduction=reduction),
        draw,
        reference=lambda jax, logits, target: reference(jax, logits, target, reduction),
        torch=lambda torch, logits, target: torch.nn.functional.cross_entropy(logits, target, reduction=reduction),
        **options,
    )


CASES = {
    "batch": joined(normal((3, 4)), classes((3,), 4)),
    "batch of one": joined(normal((1, 3)), classes((1,), 3)),
    "one example": joined(normal((4,)), classes((), 4)),
    "one class": joined(normal((3, 1)), classes((3,), 1)),
    "pixels": joined(normal((2, 3, 2, 1)), classes((2, 2, 1), 3)),
}


def constant(values, like, torch=None):
    """`values` as an array or as torch's tensor, in the dtype of `like` where they are floating."""
    values = np.asarray(values)
    if torch is not None:
        return torch.tensor(values, dtype=like.dtype if values.dtype.kind == "f" else None)
    return values.astype(like.dtype) if values.dtype.kind == "f" else values


def loss(kernel, name, case, draw, *constants, reductions=REDUCTIONS, oracle=True, **options):
    """A loss at each reduction, with torch's. `constants` follow the operands, or are options by name: torch has no derivative in them."""
    fixed = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    plain = {key: value for key, value in options.items() if key not in fixed}

    def program(find, torch, reduction, *xs):
        more = [constant(c, xs[0], torch) for c in constants]
        return find(name)(*xs, *more, reduction=reduction, **plain, **{key: constant(value, xs[0], torch) for key, value in fixed.items()})

    for reduction in reductions:
        yield Scenario(
            kernel,
            f"{name} {case} {reduction}",
            lambda *xs, r=reduction: program(lambda n: getattr(ops, n), None, r, *xs),
            draw,
            torch=(lambda torch, *xs, r=reduction: program(lambda n: getattr(torch.nn.functional, n), torch, r, *xs)) if oracle else None,
        )


def picked(name, case, draw, *constants, **options):
    """A loss of class indices, which gathers log-probabilities."""
    yield from loss("gather", name, case, draw, *constants, **options)


def with_index(draw, at, value):
    """The operands of `draw` with one class index changed."""

    def changed(rng):
        x, target, *rest = draw(rng)
        target = np.array(target)
        target[at] = value
        return (x, target, *rest)

    return changed


PAIR = exactly([[2.0, -0.3, 0.1], [-1.5, 0.9, 0.2]], [[0.0, 0.0, 0.0], [0.1, 0.1, -0.1]])  # 0.1 or more from every kink
SIGNS = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
CHANCES = within(0.2, 0.8)((2, 3), (2, 3))
FOUR, THREE = np.array([0.5, 1.5, 1.0, 0.7]), np.array([0.5, 1.5, 0.8])

CROSS_ENTROPY = [
    *(row(case, draw, reduction) for case, draw in CASES.items() for reduction in REDUCTIONS),
    *(row("strided", CASES["batch"], reduction, strided=True) for reduction in ("none", "mean")),
    *(row("no examples", joined(normal((0, 3)), classes((0,), 3)), reduction) for reduction in ("none", "sum")),
    row("far out", joined(exactly([[900.0, 0.0], [-900.0, 0.0]]), lambda rng: (np.array([1, 1]),)), "mean"),
    Scenario("cross_entropy", "equal targets", lambda x: ops.cross_entropy(x, np.array([1, 1, 1])), normal((3, 2))),
]

CLASSES = [
    *picked("cross_entropy", "weighted", CASES["batch"], FOUR),
    *picked("cross_entropy", "weighted pixels", CASES["pixels"], THREE),
    *picked("cross_entropy", "ignored", with_index(CASES["batch"], 1, -100)),
    *picked("cross_entropy", "padded", with_index(CASES["batch"], 1, 0), ignore_index=0),
    *picked("cross_entropy", "smoothed", CASES["batch"], label_smoothing=0.3),
    *picked("cross_entropy", "smoothed pixels", with_index(CASES["pixels"], (1, 0, 0), -100), THREE, label_smoothing=0.3),
    *picked("cross_entropy", "smoothed example", CASES["one example"], FOUR, label_smoothing=1.0),
    *loss("log_softmax", "cross_entropy", "probabilities", joined(normal((3, 4)), positive((3, 4)))),
    *loss(
        "log_softmax",
        "cross_entropy",
        "weighted probabilities",
        joined(normal((2, 3, 2)), positive((2, 3, 2))),
        THREE,
        label_smoothing=0.2,
    ),
    *loss("log_softmax", "cross_entropy", "probabilities of one example", joined(normal((3,)), positive((3,)))),
    Scenario("gather", "cross_entropy, weights as operands", ops.cross_entropy, joined(CASES["batch"], positive((4,)))),
    *picked("nll_loss", "batch", CASES["batch"]),
    *picked("nll_loss", "one example", CASES["one example"]),
    *picked("nll_loss", "pixels", CASES["pixels"]),
    *picked("nll_loss", "weighted", with_index(CASES["pixels"], (0, 1, 0), -100), THREE),
    *picked("nll_loss", "padded", with_index(CASES["batch"], 1, 2), FOUR, ignore_index=2),
]

REGRESSION = [
    *unary("huber", lambda x: ops.huber_loss(x, np.zeros(x.shape, x.dtype), reduction="none"), within(-0.9, 0.9), prefix="near "),
    *unary("huber", lambda x: ops.huber_loss(x, np.zeros(x.shape, x.dtype), reduction="none", delta=0.2), away, prefix="far "),
    *unary("log_cosh", lambda x: ops.log_cosh_loss(x, np.zeros(x.shape, x.dtype), reduction="none"), normal),
    *loss("pow", "mse_loss", "pair", PAIR),
    *loss("abs", "l1_loss", "pair", joined(away((2, 3)), exactly(np.zeros((2, 3))))),
    *loss("huber", "huber_loss", "pair", PAIR, delta=0.7),
    *loss("huber", "smooth_l1_loss", "pair", PAIR, beta=0.6),
    *loss("abs", "smooth_l1_loss", "pair", PAIR, beta=0),
    *loss("log_cosh", "log_cosh_loss", "pair", PAIR, oracle=False),
    Scenario(
        "huber",
        "at its ends",
        lambda x: ops.huber_loss(x, constant(np.zeros(3), x), reduction="none"),
        exactly([-1.0, 0.0, 1.0]),
        smooth=False,
        torch=lambda torch, x: torch.nn.functional.huber_loss(x, torch.zeros(3, dtype=x.dtype), reduction="none"),
    ),
    Scenario("abs", "l1_loss at 0", ops.l1_loss, exactly([1.0, 2.0], [1.0, 1.0]), smooth=False, torch=functional("l1_loss")),
    Scenario(
        "log_cosh",
        "far out and small",
        lambda x: ops.log_cosh_loss(x, constant(np.zeros(4), x)),
        exactly([-800.0, 1e-9, 1e-3, 60.0]),
        reference=lambda jax, x: (abs(x) + jax.nn.softplus(-2 * abs(x)) - np.log(2)).mean(),
    ),
]

MARGINS = [
    *loss("log_sigmoid", "soft_margin_loss", "signs", normal((2, 3)), SIGNS),
    *loss("relu", "hinge_loss", "signs", within(-0.8, 0.8)((2, 3)), SIGNS, oracle=False),
    *loss("clamp", "hinge_embedding_loss", "signs", within(0.2, 0.8)((2, 3)), SIGNS),
    *loss("clamp", "hinge_embedding_loss", "margin", within(0.2, 0.8)((2, 3)), SIGNS, margin=0.1),
    *loss("clamp", "margin_ranking_loss", "signs", exactly([0.3, -1.0, 2.0], [1.0, 0.6, -0.5]), SIGNS[0], margin=0.4),
    Scenario(
        "clamp",
        "hinge_embedding_loss on the margin",
        lambda x: ops.hinge_embedding_loss(x, constant([-1.0, 1.0, -1.0], x)),
        exactly([1.0, 1.0, 0.5]),
        smooth=False,
        torch=lambda torch, x: torch.nn.functional.hinge_embedding_loss(x, torch.tensor([-1.0, 1.0, -1.0], dtype=x.dtype)),
    ),
    Scenario(
        "clamp",
        "margin_ranking_loss on the margin",
        lambda x, y: ops.margin_ranking_loss(x, y, constant([1.0, 1.0], x)),
        exactly([1.0, 2.0], [1.0, 1.0]),
        smooth=False,
        torch=lambda torch, x, y: torch.nn.functional.margin_ranking_loss(x, y, torch.ones(2, dtype=x.dtype)),
    ),
    Scenario("relu", "hinge_loss on the margin", lambda x: ops.hinge_loss(x, constant([1.0, -1.0], x)), exactly([1.0, -1.0]), smooth=False),
    Scenario(
        "log_sigmoid",
        "soft_margin_loss far out",
        lambda x: ops.soft_margin_loss(x, constant([1.0, -1.0, 1.0], x)),
        exactly([-800.0, -800.0, 30.0]),
    ),
]


chances = within(0.2, 0.8)
LOGITS = joined(normal((2, 3)), chances((2, 3)))
KL_REDUCTIONS = ("none", "sum", "batchmean")

PROBABILITIES = [
    *binary(
        "binary_cross_entropy",
        kernels.binary_cross_entropy,
        chances,
        reference=lambda jax, x, t: -t * jax.numpy.log(x) - (1 - t) * jax.numpy.log(1 - x),
    ),
    *loss("binary_cross_entropy", "binary_cross_entropy", "pair", CHANCES),
    *loss("binary_cross_entropy", "binary_cross_entropy", "weighted", CHANCES, THREE),
    Scenario(
        "binary_cross_entropy",
        "at 0 and 1",
        lambda x: ops.binary_cross_entropy(x, constant([0.0, 1.0, 1.0, 0.0], x), reduction="none"),
        exactly([0.0, 1.0, 0.0, 1.0]),
        smooth=False,
        reference=lambda jax, x: np.array([0.0, 0.0, 100.0, 100.0]),  # as torch has it, but for the rounding of its slope
    ),
    *binary(
        "binary_cross_entropy_with_logits",
        kernels.binary_cross_entropy_with_logits,
        normal,
        reference=lambda jax, x, t: -t * jax.nn.log_sigmoid(x) - (1 - t) * jax.nn.log_sigmoid(-x),
    ),
    *loss("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", "pair", LOGITS),
    *loss("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", "weighted", LOGITS, THREE),
    *loss("log_sigmoid", "binary_cross_entropy_with_logits", "pos_weight", LOGITS, pos_weight=THREE),
    Scenario(
        "log_sigmoid",
        "binary_cross_entropy_with_logits, weights as operands",
        lambda x, t, w, p: ops.binary_cross_entropy_with_logits(x, t, w, pos_weight=p),
        joined(LOGITS, positive((3,), (2, 1))),
    ),
    Scenario(
        "binary_cross_entropy_with_logits",
        "far out",
        lambda x: ops.binary_cross_entropy_with_logits(x, constant([0.0, 1.0, 1.0, 0.0], x)),
        exactly([-60.0, 60.0, -800.0, 800.0]),
        torch=lambda torch, x: torch.nn.functional.binary_cross_entropy_with_logits(x, torch.tensor([0.0, 1, 1, 0], dtype=x.dtype)),
    ),
    *loss("where", "kl_div", "pair", LOGITS, reductions=KL_REDUCTIONS),
    *loss("exp", "kl_div", "of logarithms", normal((2, 3), (2, 3)), reductions=KL_REDUCTIONS, log_target=True),
    Scenario(
        "where",
        "kl_div mean",
        ops.kl_div,
        LOGITS,
        torch=lambda torch, x, t: torch.nn.functional.kl_div(x, t, reduction="none").mean(),  # which warns about its own mean
    ),
    Scenario(
        "where",
        "kl_div of 0",
        lambda x: ops.kl_div(x, constant([0.0, 0.4, 0.6], x), reduction="sum"),
        normal((3,)),
        torch=lambda torch, x: torch.nn.functional.kl_div(x, torch.tensor([0.0, 0.4, 0.6], dtype=x.dtype), reduction="sum"),
    ),
]

ROWS = [*CROSS_ENTROPY, *CLASSES, *REGRESSION, *MARGINS, *PROBABILITIES]

CE = CASES["batch"]
BY_KERNEL = {
    "pow": "mse_loss",
    "abs": "l1_loss",
    "huber": "huber_loss",
    "log_cosh": "log_cosh_loss",
    "relu": "hinge_loss",
    "log_sigmoid": "soft_margin_loss",
    "clamp": "hinge_embedding_loss",
    "binary_cross_entropy": "binary_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    "where": "kl_div",
    "gather": "nll_loss",
    "cross_entropy": "cross_entropy",
}


def target_of(shape, dtype=int):
    return lambda rng: (np.zeros(shape, dtype),)


MISUSES = [
    *(
        Misuse(
            kernel,
            f"{name} reduction",
            lambda x, t, name=name: getattr(ops, name)(x, t, reduction="total"),
            CE if name in ("nll_loss", "cross_entropy") else normal((2,), (2,)),
            ValueError,
            rf"{name}: `reduction` \(='total'\) must be",
        )
        for kernel, name in BY_KERNEL.items()
    ),
    *(
        Misuse(
            kernel,
            f"{name} shapes",
            getattr(ops, name),
            normal((2, 3), (2,)),
            ShapeError,
            rf"{name}: `target` \(2,\) must have the shape of `input` \(2, 3\)",
        )
        for kernel, name in BY_KERNEL.items()
        if name in ("hinge_loss", "soft_margin_loss", "hinge_embedding_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
    ),
    *(
        Misuse(
            kernel,
            f"{name} labels",
            getattr(ops, name),
            exactly([0.5, 0.5], [1.0, 0.0]),
            ValueError,
            f"{name}: `target` must hold 1 and -1, got 0.0",
        )
        for kernel, name in (("relu", "hinge_loss"), ("clamp", "hinge_embedding_loss"))
    ),
    Misuse(
        "clamp",
        "margin_ranking_loss axes",
        ops.margin_ranking_loss,
        normal((2, 3), (2, 3), (3,)),
        ShapeError,
        r"`target` \(3,\) must have as many",
    ),
    *(
        Misuse("huber", case, f, normal((2,), (2,)), error, match)
        for case, f, error, match in (
            ("delta", lambda x, y: ops.huber_loss(x, y, delta=0), ValueError, r"huber_loss: `delta` \(=0\) must be positive"),
            ("delta of NaN", lambda x, y: ops.huber_loss(x, y, delta=np.nan), ValueError, r"huber_loss: `delta` \(=nan\) must be positive"),
            ("beta", lambda x, y: ops.smooth_l1_loss(x, y, beta=-1), ValueError, r"smooth_l1_loss: `beta` \(=-1\) must not be negative"),
        )
    ),
    *(
        Misuse(
            "log_cosh",
            f"{given!r}",
            lambda x, given=given: ops.log_cosh_loss(x, x, reduction=given),
            normal((2,)),
            ValueError,
            "log_cosh_loss: `reduction`",
        )
        for given in (None, "avg", 1)
    ),
    Misuse(
        "binary_cross_entropy", "logits", ops.binary_cross_entropy, exactly([2.0], [1.0]), ValueError, r"must be in \[0, 1\]. Did you mean"
    ),
    Misuse("binary_cross_entropy", "NaN", ops.binary_cross_entropy, exactly([np.nan], [1.0]), ValueError, r"must be in \[0, 1\]"),
    *(
        Misuse(
            name,
            "weight",
            lambda x, t, w, name=name: getattr(ops, name)(x, t, w),
            within(0.1, 0.9)((2, 3), (2, 3), (2,)),
            ShapeError,
            "do not broadcast",
        )
        for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits")
    ),
    Misuse(
        "binary_cross_entropy_with_logits",
        "pos_weight",
        lambda x, t, w: ops.binary_cross_entropy_with_logits(x, t, pos_weight=w),
        normal((2, 3), (2, 3), (2,)),
        ShapeError,
        "do not broadcast",
    ),
    *(
        Misuse(kernel, f"{name} {case}", f, draw, error, f"^{name}: {match}")
        for kernel, name, op in (("gather", "nll_loss", ops.nll_loss), ("cross_entropy", "cross_entropy", ops.cross_entropy))
        for case, f, draw, error, match in (
            ("class too large", op, with_index(CE, 1, 4), IndexError, r"target 4 is out of bounds"),
            ("negative class", op, with_index(CE, 1, -1), IndexError, r"target -1 is out of bounds"),
            ("ignored and too large", op, with_index(with_index(CE, 1, 9), 0, -100), IndexError, r"target 9 is out of bounds"),
            (
                "numbers for classes",
                op,
                joined(normal((3, 4)), normal((3,))),
                DTypeError,
                "expected `target` to hold class indices .* got float64",
            ),
            (
                "target shape",
                op,
                joined(normal((3, 4)), target_of((2,))),
                ShapeError,
                r"expected `target` of shape \(3,\) for `input` \(3, 4\), got \(2,\)",
            ),
            ("0-d", op, joined(normal(()), target_of(())), ShapeError, "`input` needs at least one axis"),
            ("weight shape", op, joined(CE, normal((3,))), ShapeError, r"expected `weight` of shape \(4,\), one per class, got \(3,\)"),
        )
    ),
    Misuse(
        "cross_entropy",
        "smoothing",
        lambda x, t: ops.cross_entropy(x, t, label_smoothing=2.0),
        CE,
        ValueError,
        r"`label_smoothing` \(=2.0\) must be",
    ),
    Misuse(
        "cross_entropy",
        "probabilities ignored",
        lambda x, t: ops.cross_entropy(x, t, ignore_index=0),
        normal((2, 3), (2, 3)),
        ValueError,
        r"`ignore_index` \(=0\) is for class indices",
    ),
]
