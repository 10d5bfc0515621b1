"""The names users may rely on, and that both engines give the same ones."""

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

import dualdiff
import revdiff

OPS = {
    "activation": """
        celu elu gelu hardsigmoid hardtanh leaky_relu logsigmoid mish prelu relu6 selu silu softplus softsign tanhshrink threshold
    """,
    "arithmetic": """
        abs absolute add ceil clamp clamp_max clamp_min clip div divide erf erfc exp exp2 expm1 floor floor_divide fmod frac hypot lerp
        log log10 log1p log2 logaddexp logit maximum minimum mul multiply nan_to_num neg negative pow reciprocal relu remainder round
        rsqrt sigmoid sign sqrt square sub subtract tanh true_divide trunc
    """,
    "attention": "scaled_dot_product_attention",
    "comparison": """
        allclose bitwise_and bitwise_not bitwise_or bitwise_xor eq equal ge greater greater_equal gt isclose isfinite isinf isnan le
        less less_equal logical_and logical_not logical_or logical_xor lt ne not_equal
    """,
    "contraction": "einsum tensordot",
    "convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "cumulative": "cummax cummin cumprod cumsum diff logcumsumexp",
    "diagonals": "diag diag_embed diagonal trace tril tril_indices triu triu_indices",
    "dropouts": "alpha_dropout dropout dropout1d dropout2d dropout3d",
    "gathering": "gather index_add index_copy index_fill index_select scatter scatter_add take take_along_dim",
    "indexing": "index_put narrow select",
    "joining": """
        atleast_1d atleast_2d atleast_3d broadcast_tensors cartesian_prod cat chunk concat concatenate dstack hstack meshgrid split
        stack tensor_split unbind vstack
    """,
    "linalg": """
        addbmm addmm addmv addr baddbmm bmm chain_matmul corrcoef cov cross dot ger inner kron matmul mm mv outer vdot
    """,
    "lookup": "embedding one_hot",
    "losses": """
        binary_cross_entropy binary_cross_entropy_with_logits cross_entropy hinge_embedding_loss hinge_loss huber_loss kl_div l1_loss
        log_cosh_loss margin_ranking_loss mse_loss nll_loss smooth_l1_loss soft_margin_loss
    """,
    "masking": "argwhere masked_fill masked_scatter masked_select nonzero where",
    "neural": "bilinear linear pad",
    "normalisation": "batch_norm batch_norm_with_statistics group_norm instance_norm layer_norm local_response_norm rms_norm",
    "pooling": """
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d avg_pool2d max_pool1d max_pool2d
    """,
    "reduction": """
        all amax amin aminmax any argmax argmin count_nonzero dist log_softmax logsumexp max mean min nansum norm prod softmax std
        std_mean sum var var_mean
    """,
    "shape": """
        broadcast_to clone expand flatten flip fliplr flipud moveaxis movedim permute ravel repeat_interleave reshape roll rot90 squeeze
        swapaxes swapdims t tile transpose unflatten unsqueeze
    """,
    "solvers": "cholesky cholesky_solve det inverse logdet matrix_power slogdet",
    "sorting": "argsort kthvalue median msort sort topk",
    "trigonometric": """
        acos acosh arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh cos cosh sin sinh tan
    """,
}
"""The op set by module of `diffcore.ops`."""
CREATION = """
    BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor arange as_tensor asarray bernoulli
    empty empty_like eye from_numpy full full_like is_floating_point is_tensor linspace load logspace multinomial normal numel ones
    ones_like rand rand_like randint randint_like randn randn_like randperm zeros zeros_like
""".split()
FUNCTIONAL_ONLY = ("activation", "attention", "convolution", "dropouts", "losses", "lookup", "neural", "normalisation", "pooling")
"""Modules whose names PyTorch has in `nn.functional` alone."""
ENGINE = """
    Tensor autograd cuda distributions enable_grad grad graph hessian hessian_sparsity hvp inference_mode is_grad_enabled jacobian
    jacobian_sparsity linalg nn no_grad optim set_grad_enabled tensor utils value_and_grad
""".split()
DTYPES = """
    bool can_cast double dtype finfo float float16 float32 float64 half iinfo int int8 int16 int32 int64 long result_type short uint8
""".split()
COMMON = "Generator Size device initial_seed manual_seed save seed set_printoptions".split() + DTYPES
"""What both engines share that is no op."""
OF_ENGINES = [name for family, names in OPS.items() if family not in FUNCTIONAL_ONLY for name in names.split()]
SHARED = ENGINE + CREATION + COMMON + OF_ENGINES
OWN = {
    "revdiff": ["checkpoint", "checkpoint_schedule", "saved", "vjp"],
    "dualdiff": ["ForwardGradient", "directions", "forward_gradient", "jvp"],
}
NN = """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d AlphaDropout AvgPool1d AvgPool2d BCELoss BCEWithLogitsLoss
    BatchNorm1d BatchNorm2d BatchNorm3d Bilinear CELU CircularPad1d CircularPad2d ConstantPad1d ConstantPad2d Conv1d Conv2d Conv3d
    ConvTranspose1d ConvTranspose2d ConvTranspose3d CrossEntropyLoss Dropout Dropout1d Dropout2d Dropout3d ELU Embedding Flatten GELU
    GRU GRUCell GroupNorm Hardsigmoid Hardtanh HingeEmbeddingLoss HingeLoss HuberLoss Identity InstanceNorm1d InstanceNorm2d KLDivLoss
    L1Loss LSTM LSTMCell LayerNorm LeakyReLU Linear LocalResponseNorm LogCoshLoss LogSigmoid LogSoftmax MSELoss MarginRankingLoss
    MaxPool1d MaxPool2d Mish Module ModuleDict ModuleList MultiheadAttention NLLLoss PReLU Parameter ParameterDict ParameterList RMSNorm
    RNN RNNCell ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReplicationPad1d ReplicationPad2d SELU Sequential SiLU Sigmoid SmoothL1Loss
    SoftMarginLoss Softmax Softplus Softsign Tanh Tanhshrink Threshold TransformerEncoder TransformerEncoderLayer Unflatten ZeroPad1d
    ZeroPad2d functional init utils
""".split()
FUNCTIONAL = sorted(
    ["functional_call", "log_softmax", "relu", "sigmoid", "softmax", "tanh", *(n for f in FUNCTIONAL_ONLY for n in OPS[f].split())]
)
INIT = """
    calculate_gain constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ sparse_ trunc_normal_ uniform_
    xavier_normal_ xavier_uniform_ zeros_
""".split()
NN_UTILS = """
    clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm max_norm_ normalize_grad_ parameters_to_vector rnn
    vector_to_parameters
""".split()
OPTIM = """
    Adadelta Adagrad Adam AdamW Adamax NAdam Newton NewtonCG Optimizer ProximalSGD RAdam RMSprop SGD lr_scheduler
""".split()
SCHEDULES = """
    ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts ExponentialLR LRScheduler LambdaLR LinearLR MultiStepLR
    MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR
""".split()
LINALG = """
    LinAlgError cholesky cross det inv matmul matrix_norm matrix_power multi_dot norm slogdet solve solve_triangular vecdot vector_norm
""".split()
DATA = """
    BatchSampler ChainDataset ConcatDataset DataLoader Dataset IterableDataset KFold RandomSampler Sampler SequentialSampler
    Standardizer StratifiedKFold Subset SubsetRandomSampler TensorDataset Vocabulary WeightedRandomSampler box_iou check_finite
    decode_boxes default_collate encode_boxes load_breast_cancer load_csv load_diabetes load_digits load_idx load_iris load_linnerud
    load_wine random_split read_idx synthetic write_idx
""".split()
SYNTHETIC = """
    FIGURES adding_problem blobs character_text copy_problem detection linear_regression logistic next_tokens noise_images polynomial
    powers shapes spirals time_series two_moons windows xor
""".split()


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
    assert public(engine.nn.init) == INIT
    assert public(engine.nn.utils) == NN_UTILS
    assert public(engine.nn.utils.rnn) == ["pad_sequence"]
    assert public(engine.optim) == sorted(OPTIM)
    assert public(engine.optim.lr_scheduler) == sorted(SCHEDULES)
    assert public(engine.utils.data) == DATA
    assert public(engine.utils.data.synthetic) == SYNTHETIC
    assert public(engine.creation) == sorted(CREATION)
    assert public(engine.distributions) == ["Multinomial", "multinomial"]
    assert public(engine.cuda) == ["device_count", "is_available"]


def test_linear_algebra_has_these_names() -> None:
    assert public(import_module("diffcore.linalg")) == LINALG


def test_imperative_calls_have_these_names() -> None:
    switches = {"enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"}
    assert switches | {"backward", "grad"} <= set(vars(revdiff.autograd))
    assert switches <= set(vars(dualdiff.autograd))


def test_ops_of_both_engines_are_the_same_objects() -> None:
    for name in {*SHARED} - {*ENGINE} - {*CREATION}:
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
