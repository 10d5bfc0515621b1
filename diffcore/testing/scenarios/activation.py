"""Activations and dropout."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError
from diffcore.kernels.elementwise import dropout
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.generators import functional, misused_unary, unary
from diffcore.testing.scenarios.samples import away, exactly, joined, mask, normal, positive, whole


def jax_nn(name, **options):
    return lambda jax, x: getattr(jax.nn, name)(x, **options)


def called(name, **options):
    """The activation `name` with `options`, and torch's."""
    return {"function": lambda x: getattr(ops, name)(x, **options), "torch": functional(name, **options)}


FAR = exactly([-800.0, -60.0, -30.0, 30.0, 60.0, 800.0])

ROWS = [
    *unary("softplus", **called("softplus"), draw=normal, reference=jax_nn("softplus")),
    *unary("log_sigmoid", **called("logsigmoid"), draw=normal, reference=jax_nn("log_sigmoid")),
    *unary("leaky_relu", **called("leaky_relu"), draw=away, reference=jax_nn("leaky_relu")),
    *unary("elu", **called("elu"), draw=away, reference=jax_nn("elu")),
    *unary("silu", **called("silu"), draw=normal, reference=jax_nn("silu")),
    *unary("mish", **called("mish"), draw=normal, reference=jax_nn("mish")),
    *unary("gelu", **called("gelu"), draw=normal, reference=jax_nn("gelu", approximate=False)),
    *unary("gelu", **called("gelu", approximate="tanh"), draw=normal, reference=jax_nn("gelu"), prefix="tanh "),
    *unary("softsign", **called("softsign"), draw=away, reference=jax_nn("soft_sign")),
    *(
        Scenario(kernel, f"{name} {options}", sample=draw((2, 3)), **called(name, **options))
        for kernel, name, draw, options in (
            ("softplus", "softplus", normal, {"beta": 2.5}),
            ("softplus", "softplus", normal, {"beta": -1.0}),
            ("softplus", "softplus", away, {"beta": 0.5, "threshold": 0.0}),
            ("leaky_relu", "leaky_relu", away, {"negative_slope": 0.3}),
            ("leaky_relu", "leaky_relu", away, {"negative_slope": 0.0}),
            ("where", "leaky_relu", away, {"negative_slope": -1.0}),
            ("elu", "elu", away, {"alpha": 0.7}),
            ("elu", "elu", away, {"alpha": -0.7}),
            ("elu", "selu", away, {}),
            ("clamp", "relu6", away, {}),
            ("clamp", "hardtanh", positive, {"min_val": -1, "max_val": 2.1}),
            ("clamp", "hardtanh", away, {"min_val": 0.1, "max_val": 0.2}),
            ("tanh", "tanhshrink", normal, {}),
            ("where", "threshold", away, {"threshold": 0.1, "value": -3.0}),
        )
    ),
    *(
        Scenario(kernel, f"{name} far out", sample=FAR, **called(name))
        for kernel, name in (
            ("softplus", "softplus"),
            ("log_sigmoid", "logsigmoid"),
            ("leaky_relu", "leaky_relu"),
            ("elu", "elu"),
            ("silu", "silu"),
            ("gelu", "gelu"),
            ("softsign", "softsign"),
            ("clamp", "relu6"),
        )
    ),
    # torch keeps some constants of these in single precision, or has no second derivative
    *(
        Scenario(kernel, case, function, sample, smooth=smooth, reference=oracle)
        for kernel, case, function, sample, smooth, oracle in (
            ("elu", "celu 0.7", lambda x: ops.celu(x, 0.7), away((2, 3)), True, jax_nn("celu", alpha=0.7)),
            ("elu", "celu 2", lambda x: ops.celu(x, 2.0), away((2, 3)), True, jax_nn("celu", alpha=2.0)),
            ("elu", "celu at 0", lambda x: ops.celu(x, 2.0), exactly([0.0, -0.0, 1.0]), False, jax_nn("celu", alpha=2.0)),
            ("clamp", "hardsigmoid", ops.hardsigmoid, normal((2, 3)), True, jax_nn("hard_sigmoid")),
            ("clamp", "hardsigmoid far out", ops.hardsigmoid, FAR, True, jax_nn("hard_sigmoid")),
            ("clamp", "hardsigmoid at its ends", ops.hardsigmoid, exactly([-3.0, 3.0, 0.0]), False, jax_nn("hard_sigmoid")),
            ("mish", "far out", ops.mish, FAR, True, jax_nn("mish")),
        )
    ),
    Scenario("gelu", "tanh far out", sample=exactly([-60.0, -30.0, 30.0, 60.0]), **called("gelu", approximate="tanh")),
    *(
        Scenario(kernel, f"{name} at {points}", sample=exactly(points), smooth=False, **called(name, **options))
        for kernel, name, points, options in (
            ("softplus", "softplus", [20.0, 20.1, 19.9], {}),
            ("leaky_relu", "leaky_relu", [0.0, -0.0, 1.0, -1.0], {}),
            ("elu", "elu", [0.0, -0.0, 1.0], {}),
            ("elu", "selu", [0.0, -0.0, 1.0], {}),
            ("clamp", "relu6", [0.0, 6.0, 3.0, 7.0], {}),
            ("clamp", "hardtanh", [-1.0, 1.0, 0.0], {}),
            ("where", "threshold", [1.0, 2.0], {"threshold": 1.0, "value": 0.0}),
            ("softsign", "softsign", [0.0, 1.0], {}),
        )
    ),
    *(
        Scenario("dropout", case, lambda c, x: dropout(c, x, factor=2.0), joined(mask(shape), normal(x)))
        for case, shape, x in (("fewer axes", (2, 3), (3,)), ("ones", (2, 3), (2, 1)), ("columns and rows", (3, 1), (1, 2)))
    ),
    *unary("dropout", lambda x: ops.dropout(x, 0.4, generator=np.random.default_rng(3)), draw=normal),
    *(
        Scenario("dropout", f"dropout {case}", lambda x, p=p: ops.dropout(x, p, generator=np.random.default_rng(3)), draw((2, 3)))
        for case, p, draw in (("half", 0.5, normal), ("all", 1, normal), ("few", 0.1, away))
    ),
]

NAMES = {"log_sigmoid": ops.logsigmoid} | {n: getattr(ops, n) for n in "softplus leaky_relu elu silu mish gelu softsign".split()}

PARAMETERS = (
    ("leaky_relu", "leaky_relu", {"negative_slope": "a"}, DTypeError, r"leaky_relu: `negative_slope` \(='a'\) must be a number"),
    ("elu", "elu", {"alpha": None}, DTypeError, r"elu: `alpha` \(=None\) must be a number"),
    ("elu", "celu", {"alpha": 0}, ValueError, r"celu: `alpha` \(=0\) must not be 0"),
    ("softplus", "softplus", {"beta": 0}, ValueError, r"softplus: `beta` \(=0\) must not be 0"),
    ("softplus", "softplus", {"threshold": "a"}, DTypeError, r"softplus: `threshold` \(='a'\)"),
    ("gelu", "gelu", {"approximate": "sin"}, ValueError, r"gelu: `approximate` \(='sin'\) must be 'none' or 'tanh'"),
    ("clamp", "hardtanh", {"min_val": 2, "max_val": 1}, ValueError, r"hardtanh: `min_val` \(=2\) must be less than `max_val` \(=1\)"),
    ("where", "threshold", {"threshold": "a", "value": 0}, DTypeError, r"threshold: `threshold` \(='a'\)"),
    ("dropout", "dropout", {"p": 1.5}, ValueError, r"dropout: `p` \(=1.5\) must be a probability"),
    ("dropout", "dropout", {"p": -0.5}, ValueError, r"dropout: `p` \(=-0.5\) must be a probability"),
    ("dropout", "dropout", {"p": "a"}, DTypeError, r"dropout: `p` \(='a'\) must be a number"),
)

MISUSES = [
    *(row for name, f in NAMES.items() for row in misused_unary(name, f)),
    *(
        Misuse(
            kernel, f"{name} {options}", lambda x, name=name, options=options: getattr(ops, name)(x, **options), normal((2,)), error, match
        )
        for kernel, name, options, error, match in PARAMETERS
    ),
    Misuse("dropout", "of integers", ops.dropout, whole((2, 2)), DTypeError, "dropout: expected a floating-point tensor, got int64"),
]
