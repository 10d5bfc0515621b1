"""The names users may rely on, and that both engines give the same ones."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

import dualdiff
import revdiff

OPS = {
    "arithmetic": "abs add div exp log maximum minimum mul neg pow relu sigmoid sign sqrt sub tanh where",
    "attention": "scaled_dot_product_attention",
    "convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "indexing": "gather",
    "linalg": "matmul",
    "neural": "cross_entropy linear",
    "normalisation": "batch_norm batch_norm_with_statistics group_norm instance_norm layer_norm local_response_norm rms_norm",
    "pooling": (
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d avg_pool2d max_pool1d max_pool2d"
    ),
    "reduction": "amax argmax log_softmax logsumexp max mean softmax sum",
    "shape": "broadcast_to expand flatten permute reshape transpose",
}
"""The op set by module of `diffcore.ops`."""
OF_LAYERS = {"attention", "convolution", "neural", "normalisation", "pooling"}
"""The modules whose names are in `nn.functional` only."""
ENGINE = """
    Tensor autograd enable_grad grad hessian hvp is_grad_enabled jacobian manual_seed nn no_grad optim tensor value_and_grad
""".split()
SHARED = ENGINE + [name for family, names in OPS.items() if family not in OF_LAYERS for name in names.split()]
OWN = {"revdiff": ["vjp"], "dualdiff": ["ForwardGradient", "forward_gradient", "jvp"]}
NN = "CrossEntropyLoss Flatten Linear LogSoftmax Module Parameter ReLU Sequential Sigmoid Softmax Tanh functional".split()
FUNCTIONAL = sorted(
    "functional_call log_softmax relu sigmoid softmax tanh".split() + [name for family in OF_LAYERS for name in OPS[family].split()]
)
OPTIM = ["Optimizer", "SGD"]


def public(module: ModuleType) -> list[str]:
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    return sorted(module.__all__)


def test_the_engines_give_these_names(engine: ModuleType) -> None:
    assert public(engine) == sorted(SHARED + OWN[engine.__name__])


@pytest.mark.parametrize("family", OPS)
def test_the_op_set_has_these_names(family: str) -> None:
    assert public(import_module(f"diffcore.ops.{family}")) == OPS[family].split()


def test_the_engines_differ_by_their_own_transforms_alone() -> None:
    names = {engine.__name__: set(public(engine)) for engine in (revdiff, dualdiff)}
    assert names["revdiff"] ^ names["dualdiff"] == {name for own in OWN.values() for name in own}


def test_layers_functions_and_optimizers_have_these_names(engine: ModuleType) -> None:
    assert public(engine.nn) == NN
    assert public(engine.nn.functional) == FUNCTIONAL
    assert public(engine.optim) == OPTIM


def test_imperative_calls_have_these_names() -> None:
    switches = {"enable_grad", "is_grad_enabled", "no_grad"}
    assert switches | {"backward", "grad"} <= set(vars(revdiff.autograd))
    assert switches <= set(vars(dualdiff.autograd))


def test_ops_of_both_engines_are_the_same_objects() -> None:
    for name in {*SHARED} - {*ENGINE} | {"manual_seed"}:
        assert getattr(revdiff, name) is getattr(dualdiff, name), name


def test_tensors_have_the_same_surface() -> None:
    names = {engine.__name__: {n for n in dir(engine.Tensor) if not n.startswith("_")} for engine in (revdiff, dualdiff)}
    assert names["revdiff"] - names["dualdiff"] == {"node"}
    assert names["dualdiff"] - names["revdiff"] == {"jacobian", "tangents", "variable"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_nets_from_one_seed_are_equal(dtype: type) -> None:
    def built(engine: ModuleType) -> dict[str, np.ndarray]:
        engine.manual_seed(7)
        net = engine.nn.Sequential(engine.nn.Linear(5, 4, dtype=dtype), engine.nn.Tanh(), engine.nn.Linear(4, 3, bias=False, dtype=dtype))
        return {name: p.detach().numpy() for name, p in net.named_parameters()}

    first, second = built(revdiff), built(dualdiff)
    assert list(first) == list(second) == ["0.weight", "0.bias", "2.weight"]
    for name in first:
        assert first[name].dtype == dtype
        np.testing.assert_array_equal(first[name], second[name])


def test_parameters_belong_to_their_engine(engine: ModuleType) -> None:
    assert isinstance(engine.nn.Linear(2, 2).weight, engine.Tensor)
    assert isinstance(engine.nn.Linear(2, 2).weight, engine.nn.Parameter)
    assert issubclass(engine.nn.Linear, engine.nn.Module)
