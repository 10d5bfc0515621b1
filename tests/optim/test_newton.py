"""Newton's method and Newton-CG: exact on quadratics, quadratic convergence, one direction, and scipy's minima."""

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError, GradientError, LinAlgError, MemoryBudgetError

RNG = np.random.default_rng(5)
ROOT = RNG.normal(size=(6, 6))
MATRIX, RIGHT = ROOT @ ROOT.T + np.eye(6), RNG.normal(size=6)
X = RNG.normal(size=(40, 3))
Y = (X @ [1.0, -2.0, 0.5] + RNG.normal(size=40) > 0).astype(int)
RIDGE = 0.05


def quadratic(engine: ModuleType, device: str = "cpu") -> tuple[list[Any], Any]:
    """`x^T A x / 2 - b^T x` of two parameters, `x` in a matrix and a vector."""
    parameters = [engine.nn.Parameter(engine.tensor(np.ones(shape), device=device)) for shape in ((2, 2), 2)]
    matrix, right = engine.tensor(MATRIX, device=device), engine.tensor(RIGHT, device=device)

    def loss() -> Any:
        x = engine.cat([parameters[0].reshape(-1), parameters[1]])
        return 0.5 * (x @ (matrix @ x)) - right @ x

    return parameters, loss


def logistic(engine: ModuleType) -> tuple[Any, Any]:
    """Logistic regression with two outputs, whose ridge makes the minimum one point."""
    net = engine.nn.Linear(3, 2, dtype=np.float64)
    net.load_state_dict({"weight": np.zeros((2, 3)), "bias": np.zeros(2)})
    x = engine.tensor(X)

    def loss() -> Any:
        penalty = (net.weight * net.weight).sum() + (net.bias * net.bias).sum()
        return engine.nn.functional.cross_entropy(net(x), Y) + RIDGE / 2 * penalty

    return net, loss


def flat(parameters: Any) -> np.ndarray:
    return np.concatenate([parameter.detach().numpy().reshape(-1) for parameter in parameters])


def by_hand(w: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of `logistic` and its gradient, in plain numpy."""
    weight, bias = w[:6].reshape(2, 3), w[6:]
    logits = X @ weight.T + bias
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    error = (np.exp(log_p) - np.eye(2)[Y]) / len(Y)
    value = -log_p[np.arange(len(Y)), Y].mean() + RIDGE / 2 * (w @ w)
    return float(value), np.concatenate([(error.T @ X).reshape(-1), error.sum(0)]) + RIDGE * w


@pytest.fixture(scope="module")
def minimum() -> np.ndarray:
    """The minimum of `logistic` by scipy, from the gradient by hand and its differences."""
    from scipy.optimize import minimize, root

    def hessian(w: np.ndarray) -> np.ndarray:
        step = 1e-5
        return np.stack([(by_hand(w + step * e)[1] - by_hand(w - step * e)[1]) / (2 * step) for e in np.eye(8)])

    found = [
        minimize(by_hand, np.zeros(8), jac=True, hess=hessian, method=method, options=options).x
        for method, options in (("trust-ncg", {"gtol": 1e-12}), ("Newton-CG", {"xtol": 1e-13}))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)
    polished = root(lambda w: by_hand(w)[1], found[0], tol=1e-15).x  # a search by values is sure of half the digits only
    np.testing.assert_allclose(polished, found[0], atol=1e-8)
    return polished


@pytest.mark.parametrize("options", [{}, {"line_search": "armijo"}], ids=str)
def test_one_step_solves_a_quadratic(engine: ModuleType, options: dict[str, Any]) -> None:
    parameters, loss = quadratic(engine)
    arrays = [parameter.array for parameter in parameters]
    optimizer = engine.optim.Newton(parameters, **options)
    before = optimizer.step(loss)
    assert float(before) == pytest.approx(MATRIX.sum() / 2 - RIGHT.sum(), rel=1e-14)
    assert not before.requires_grad
    np.testing.assert_allclose(flat(parameters), np.linalg.solve(MATRIX, RIGHT), rtol=1e-12)
    assert all(parameter.array is array for parameter, array in zip(parameters, arrays, strict=True))
    assert all(parameter.is_leaf and parameter.requires_grad and parameter.grad is None for parameter in parameters)


def test_conjugate_gradients_run_out_give_newtons_step(engine: ModuleType) -> None:
    net, loss = logistic(engine)
    engine.optim.NewtonCG(net, tol=0.0, max_iter=30).step(loss)
    other, same = logistic(engine)
    engine.optim.Newton(other).step(same)
    np.testing.assert_allclose(flat(net.parameters()), flat(other.parameters()), rtol=1e-10, atol=1e-12)


def test_the_number_of_correct_digits_doubles(engine: ModuleType, minimum: np.ndarray) -> None:
    net, loss = logistic(engine)
    optimizer, errors = engine.optim.Newton(net), []
    for _ in range(6):
        errors.append(abs(flat(net.parameters()) - minimum).max())
        optimizer.step(loss)
    digits = -np.log10(errors)  # 0.01, 0.5, 1.1, 2.4, 4.9, 9.8
    for before, after in itertools.pairwise(digits[1:]):
        assert 1.9 * before < after < 2.6 * before, digits
    assert digits[-1] > 9


@pytest.mark.parametrize(("name", "options"), [("Newton", {"line_search": "armijo"}), ("NewtonCG", {}), ("NewtonCG", {"tol": 1e-3})])
def test_the_minimum_is_scipys(engine: ModuleType, minimum: np.ndarray, name: str, options: dict[str, Any]) -> None:
    net, loss = logistic(engine)
    optimizer, losses = getattr(engine.optim, name)(net, **options), []
    for _ in range(10):
        losses.append(float(optimizer.step(loss)))
    np.testing.assert_allclose(flat(net.parameters()), minimum, atol=1e-10)
    assert all(after <= before + 1e-15 for before, after in itertools.pairwise(losses))
    assert losses[-1] == pytest.approx(by_hand(minimum)[0], abs=1e-14)


@pytest.mark.parametrize(("name", "options"), [("Newton", {}), ("Newton", {"damping": 0.3, "lr": 0.5}), ("NewtonCG", {"damping": 0.1})])
def test_both_engines_make_the_same_steps(name: str, options: dict[str, Any]) -> None:
    found = []
    for engine in (revdiff, dualdiff):
        engine.manual_seed(2)
        net = engine.nn.Sequential(
            engine.nn.Linear(3, 4, dtype=np.float64), engine.nn.Tanh(), engine.nn.Linear(4, 2, dtype=np.float64)
        )
        x = engine.tensor(X)
        optimizer = getattr(engine.optim, name)(net.parameters(), **{"damping": 0.5, **options})
        for _ in range(3):
            optimizer.step(lambda engine=engine, net=net, x=x: engine.nn.functional.cross_entropy(net(x), Y))
        found.append(flat(net.parameters()))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_damping_is_added_to_the_diagonal(engine: ModuleType) -> None:
    start = np.ones(6)
    for name in ("Newton", "NewtonCG"):
        parameters, loss = quadratic(engine)
        options = {} if name == "Newton" else {"tol": 0.0, "max_iter": 20}
        getattr(engine.optim, name)(parameters, lr=0.5, damping=2.0, **options).step(loss)
        expected = start - 0.5 * np.linalg.solve(MATRIX + 2 * np.eye(6), MATRIX @ start - RIGHT)
        np.testing.assert_allclose(flat(parameters), expected, rtol=1e-10)


def saddle(engine: ModuleType, x: float, y: float) -> tuple[Any, Any]:
    """`x^2 - y^2 + y^4 / 4`: a saddle at the origin, minima at `(0, +-sqrt(2))` where it is -1."""
    p = engine.nn.Parameter(engine.tensor([x, y], dtype=np.float64))
    return p, lambda: p[0] * p[0] - p[1] * p[1] + p[1] ** 4 / 4


def test_plain_steps_go_to_the_saddle_and_searches_leave_it(engine: ModuleType) -> None:
    p, loss = saddle(engine, 0.5, 0.1)
    optimizer = engine.optim.Newton([p])
    for _ in range(8):
        optimizer.step(loss)
    np.testing.assert_allclose(p.detach(), 0, atol=1e-12)
    for name, options in (("Newton", {"line_search": "armijo"}), ("NewtonCG", {})):
        p, loss = saddle(engine, 0.5, 0.1)
        optimizer = getattr(engine.optim, name)([p], **options)
        bends, damped = [], []
        for _ in range(30):
            optimizer.step(loss)
            bends.append(optimizer.last.negative_curvature)
            damped.append(optimizer.last.damping)
        np.testing.assert_allclose(p.detach(), [0, np.sqrt(2)], atol=1e-9, err_msg=name)
        assert any(bends) if name == "NewtonCG" else damped[0] > 0
        assert not bends[-1]
        assert damped[-1] == 0


def test_a_search_halves_the_step_and_may_find_nothing(engine: ModuleType) -> None:
    p = engine.nn.Parameter(engine.tensor([3.0], dtype=np.float64))
    optimizer = engine.optim.NewtonCG([p])
    optimizer.step(lambda: (1 + p * p).sqrt().sum())  # a whole step would land at -27
    assert optimizer.last.length < 1
    assert abs(float(p)) < 3
    before, calls = p.detach().numpy().copy(), []

    def rising() -> Any:
        calls.append(1)
        return (p * p).sum() + len(calls)

    optimizer.step(rising)
    assert optimizer.last.length == 0
    np.testing.assert_array_equal(p.detach(), before)


def test_the_account_of_bytes(engine: ModuleType) -> None:
    net = engine.nn.Linear(9, 5)
    optimizer = engine.optim.Newton(net)
    account = optimizer.account()
    assert account.parameters == 50
    assert account.hessian == account.matrix == 50 * 50 * 4
    assert account.total == 2 * account.hessian + account.vectors
    assert account.flops == 2 * 50**3 // 3 + 2 * 50**2
    before = flat(net.parameters())
    small = engine.optim.Newton(net, memory="10KB")
    with pytest.raises(MemoryBudgetError, match=r"`memory` \(='10KB'\).*20800 bytes.*50 parameters.*NewtonCG") as caught:
        small.step(lambda: net.weight.sum())
    assert caught.value.least == 20800
    np.testing.assert_array_equal(flat(net.parameters()), before)
    net.weight.requires_grad = False
    assert optimizer.account().parameters == 5


def test_some_of_the_parameters(engine: ModuleType) -> None:
    """The others stay, although they require gradients of their own."""
    found = []
    for frozen in (False, True):
        net, loss = logistic(engine)
        net.bias.requires_grad = not frozen
        for optimizer in (engine.optim.Newton([net.weight], line_search="armijo"), engine.optim.NewtonCG([net.weight], tol=0.0)):
            optimizer.step(loss)
        np.testing.assert_array_equal(net.bias.detach(), 0)
        found.append(net.weight.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    assert abs(found[0]).max() > 0.1


def test_a_step_is_one_evaluation_to_layers_that_draw_or_keep_statistics(engine: ModuleType) -> None:
    found = []
    for name, options in (("Newton", {"line_search": "armijo"}), ("NewtonCG", {"tol": 0.0, "max_iter": 60})):
        engine.manual_seed(4)
        layers = [engine.nn.Linear(3, 4, dtype=np.float64), engine.nn.BatchNorm1d(4, dtype=np.float64), engine.nn.Tanh()]
        net = engine.nn.Sequential(*layers, engine.nn.Dropout(0.4), engine.nn.Linear(4, 2, dtype=np.float64))
        x = engine.tensor(X)
        optimizer = getattr(engine.optim, name)(net, damping=2.0, **options)
        optimizer.step(lambda net=net, x=x: engine.nn.functional.cross_entropy(net(x), Y))
        assert int(net[1].num_batches_tracked) == 1
        assert optimizer.last.length == 1
        assert optimizer.last.damping == 2.0
        found.append(flat(net.parameters()))
        found.append(engine.rand(3).numpy())
    np.testing.assert_allclose(found[0], found[2], rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(found[1], found[3])


@pytest.mark.usefixtures("x64")
def test_a_step_on_jax_and_under_jit(engine: ModuleType) -> None:
    import jax

    def problem() -> tuple[Any, Any]:
        p = engine.nn.Parameter(engine.tensor([1.0, -1.0], dtype=np.float64, device="jax"))
        return p, lambda: (p * p * p[0]).sum()

    first, then = np.array([1.0, -1.0]), np.array([0.5, -0.5])  # homogeneous of degree 3: Newton's step halves it
    p, loss = problem()
    optimizer = engine.optim.Newton([p])

    @jax.jit
    def step(array: Any) -> Any:
        p.data = array
        optimizer.step(loss)
        return p.array

    np.testing.assert_allclose(step(first), then, rtol=1e-12)
    p, loss = problem()
    engine.optim.NewtonCG([p], damping=10.0, tol=0.0, max_iter=3).step(loss)
    hessian = np.array([[6.0, -2.0], [-2.0, 2.0]])
    np.testing.assert_allclose(p.detach(), first - np.linalg.solve(hessian + 10 * np.eye(2), hessian @ first / 2), rtol=1e-10)


def test_a_step_can_be_planned(engine: ModuleType) -> None:
    from diffcore.ledger import Ledger

    with Ledger() as ledger:
        parameters, loss = quadratic(engine, "meta")
        engine.optim.Newton(parameters).step(loss)
    assert ledger.flops["update"] >= 2 * 6**3 // 3
    assert ledger.peak >= 2 * 6 * 6 * 8


def test_what_is_refused(engine: ModuleType) -> None:
    optim, p = engine.optim, engine.nn.Parameter([1.0, 2.0])
    for call, message in (
        (lambda: optim.Newton([p], line_search="wolfe"), r"Newton: `line_search` \(='wolfe'\) must be None or 'armijo'"),
        (lambda: optim.Newton([p], memory="much"), r"memory` \(='much'\)"),
        (lambda: optim.Newton([p], damping=-1.0), "Invalid damping value: -1.0"),
        (lambda: optim.NewtonCG([p], tol=1.5), r"NewtonCG: `tol` \(=1.5\)"),
        (lambda: optim.NewtonCG([p], max_iter=0), r"NewtonCG: `max_iter` \(=0\)"),
        (lambda: optim.Newton([{"params": [p]}, {"params": [engine.nn.Parameter([1.0])]}]), "doesn't support per-parameter options"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"Newton\.step: needs a closure"):
        optim.Newton([p]).step()
    with pytest.raises(LinAlgError, match=r"Newton: the Hessian is singular.*`damping` \(=0.0\) must be larger"):
        optim.Newton([p]).step(lambda: p.sum())
    with pytest.raises(GradientError, match="scalar"):
        optim.NewtonCG([p]).step(lambda: p * p)
    np.testing.assert_array_equal(p.detach(), [1, 2])
    assert p.level == 0
    assert p.requires_grad
    with pytest.raises(GradientError, match="no parameter requires a gradient"):
        optim.Newton([engine.tensor([1.0])]).step(lambda: p.sum())
    with pytest.raises(LinAlgError, match="infinite or NaN"), np.errstate(all="ignore"):
        optim.Newton([p], line_search="armijo").step(lambda: (p * float("nan") * p).sum())


def test_a_class_of_no_engine_says_so() -> None:
    from diffcore.optim import newton_cg

    p = revdiff.nn.Parameter([1.0])
    with pytest.raises(DiffError, match=r"NewtonCG belongs to no engine: use the class of that name in revdiff\.optim or dualdiff\.optim"):
        newton_cg.NewtonCG([p]).step(lambda: (p * p).sum())


@pytest.mark.parametrize("transform", ["hvp", "hessian"])
def test_second_derivatives_by_a_net(engine: ModuleType, transform: str) -> None:
    """A `Module` as an argument: results by parameter name, equal to those by one vector."""
    net, loss = logistic(engine)
    parts = {name: parameter.numel() for name, parameter in net.named_parameters()}

    def of_vector(w: Any) -> Any:
        weight, bias = w[:6].reshape(2, 3), w[6:]
        return engine.nn.functional.cross_entropy(engine.tensor(X) @ weight.T + bias, Y) + RIDGE / 2 * (w * w).sum()

    whole = engine.hessian(of_vector)(np.zeros(8))
    if transform == "hessian":
        blocks = engine.hessian(lambda net: loss())(net)
        assert [(row, column) for row in blocks for column in blocks[row]] == [(row, column) for row in parts for column in parts]
        rows = [np.concatenate([blocks[r][c].reshape(parts[r], -1) for c in parts], axis=1) for r in parts]
        np.testing.assert_allclose(np.concatenate(rows), whole, rtol=1e-12, atol=1e-15)
    else:
        along = RNG.normal(size=8)
        found = engine.hvp(lambda net: loss(), net, {"weight": along[:6].reshape(2, 3), "bias": along[6:]})
        assert list(found) == ["weight", "bias"]
        np.testing.assert_allclose(np.concatenate([found["weight"].reshape(-1), found["bias"]]), whole @ along, rtol=1e-12, atol=1e-15)
