"""Plans: numbers against formulas, advice where the answer is known, flips held against planning again, and what cannot be planned."""

import json
import math
import re
import textwrap

import numpy as np
import pytest
from msgspec.structs import replace

import revdiff
from compare import __main__ as entry
from compare.calibration import save
from compare.calibration.store import VARIABLE, this_machine
from compare.errors import InputError
from compare.measure import counted
from compare.planning import plan, seconds
from compare.planning.planner import CONVENTIONS
from compare.planning.result import Plan
from compare.report.plan import render
from compare.settings import Settings
from compare.strategies import STRATEGIES

from ..calibration.test_calibration import made as calibrated
from .conftest import build

OPERATIONS = calibrated().operations


@pytest.fixture(scope="module")
def mlp():
    return plan("mlp", 64, memory="1GB")


# numbers


def test_a_step_costs_what_the_ledger_counts_for_a_run(mlp):
    for name in STRATEGIES:
        if name in mlp.ways and name != "reverse-checkpoint":
            counts = counted(Settings(network="mlp", batch=64), STRATEGIES[name], "float32")
            way = mlp.ways[name]
            assert (way.flops, way.transcendentals, way.nbytes) == (counts.flops, counts.transcendentals, counts.planned_peak)


def test_operations_of_a_perceptron_are_those_of_the_formula(mlp):
    n, (a, b, c) = 64, (64, 32, 10)
    products = 2 * n * (a * b + b * c)
    reverse = mlp.ways["reverse"]
    assert reverse.transcendentals["primal"] == n * b + n * c + n
    assert products < reverse.flops["primal"] < products + 8 * n * (b + c)
    assert 2 * n * (a * b + 2 * b * c) < reverse.flops["adjoint"] < 2 * n * (a * b + 2 * b * c) + 8 * n * (a + b + c)
    assert reverse.flops["update"] == 4 * 2410
    assert mlp.ways["forward-parameters"].directions == 2410
    assert mlp.ways["forward-activations"].directions == 32 + 10


def test_layers_and_phases_sum_to_the_whole(mlp):
    for way in mlp.ways.values():
        for phase, total in way.flops.items():
            assert sum(layer.flops for layer in way.layers if layer.phase == phase) == total
        assert sum(way.peak.roles.values()) == way.nbytes
        assert way.peak.line


def test_the_bytes_of_a_jacobian_are_those_of_its_arrays():
    planned = plan(build(6, 4, 3), 5, inputs=6, memory="1GB", flips=False)
    rows, columns = planned.ways["jacobian-reverse"], planned.ways["jacobian-forward"]
    assert (rows.directions, columns.directions) == (3, 6)
    assert min(rows.nbytes, columns.nbytes) > 5 * 3 * 6 * 4


def test_the_conventions_are_told_with_the_numbers(mlp):
    assert mlp.header.conventions == list(CONVENTIONS)
    assert "A multiply-add counts 2" in CONVENTIONS[0]


# advice


@pytest.mark.parametrize(("widths", "best"), [((3, 50, 40), "jacobian-forward"), ((40, 50, 3), "jacobian-reverse")])
def test_a_jacobian_goes_by_its_shorter_side(widths, best):
    planned = plan(build(*widths), 8, inputs=widths[0], loss="mse", memory="1GB", flips=False)
    assert planned.advices["Jacobian"].way == best
    assert planned.ways[best].title[1:] in planned.advices["Jacobian"].why


def test_the_gradient_goes_in_reverse_where_that_fits(mlp):
    assert mlp.best.name == "reverse"
    assert mlp.best.fits
    assert "60.6 KiB" in mlp.advices["gradient"].why


def test_under_a_tight_budget_checkpoints_are_advised():
    net = build(*[64] * 12, 1)
    free = plan(net, 512, inputs=64, loss="mse", memory="1GB", flips=False).ways["reverse"].nbytes
    planned = plan(net, 512, inputs=64, loss="mse", memory=int(0.7 * free), flips=False)
    assert not planned.ways["reverse"].fits
    assert planned.best.name == "reverse-checkpoint"
    assert planned.best.nbytes <= 0.7 * free
    assert planned.best.flops["recompute"] > 0
    assert planned.best.schedule


def test_what_fits_in_chunks_says_in_how_many_runs():
    whole = plan(build(16, 8, 4), 8, inputs=16, memory="1GB", flips=False).ways["forward-parameters"]
    planned = plan(build(16, 8, 4), 8, inputs=16, memory=whole.nbytes // 3, flips=False).ways["forward-parameters"]
    assert planned.fits
    assert planned.nbytes <= whole.nbytes // 3
    assert planned.runs > 1
    assert planned.flops["primal"] == planned.runs * whole.flops["primal"]


# flips


def test_the_bytes_at_which_nothing_fits_any_more(mlp):
    (flip,) = (flip for flip in mlp.flips if flip.computes == "gradient" and flip.knob == "budget")
    assert (flip.before, flip.to, flip.below) == ("reverse", None, True)
    assert plan("mlp", 64, memory=flip.value + 1, flips=False).best.name == "reverse"
    with pytest.raises(InputError, match=rf"the least is {flip.value + 1} bytes"):
        plan("mlp", 64, memory=flip.value, flips=False)


def test_a_batch_at_which_advice_flips_is_the_first():
    net = build(*[32] * 10, 1)
    asked = {"inputs": 32, "loss": "mse", "memory": "2MB"}
    planned = plan(net, 64, **asked)
    (flip,) = (flip for flip in planned.flips if flip.computes == "gradient" and flip.knob == "batch" and not flip.below)
    assert flip.before == "reverse"
    assert flip.to != "reverse"
    assert plan(net, flip.value - 1, **asked, flips=False).best.name == "reverse"
    assert plan(net, flip.value, **asked, flips=False).best.name == flip.to


def test_outputs_at_which_a_jacobian_flips_are_the_first():
    def net(nn, outputs=2):
        return nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, outputs))

    asked = {"inputs": 20, "loss": "mse", "memory": "1GB"}
    (flip,) = (f for f in plan(net, 4, outputs=2, **asked).flips if f.computes == "Jacobian" and f.knob == "outputs" and not f.below)
    assert (flip.before, flip.to) == ("jacobian-reverse", "jacobian-forward")
    for outputs, best in ((flip.value - 1, "jacobian-reverse"), (flip.value, "jacobian-forward")):
        assert plan(net, 4, outputs=outputs, **asked, flips=False).advices["Jacobian"].way == best


# networks of the user's own


def test_a_module_is_planned_and_left_as_it_is():
    net = revdiff.nn.Sequential(revdiff.nn.Linear(5, 4), revdiff.nn.ReLU(), revdiff.nn.Linear(4, 2))
    before = [p.detach().numpy().copy() for p in net.parameters()]
    planned = plan(net, 16, inputs=5, memory="1GB", flips=False)
    assert planned.header.parameters == sum(math.prod(p.shape) for p in net.parameters()) == 34
    assert all((p.detach().numpy() == q).all() for p, q in zip(net.parameters(), before, strict=True))
    assert all(way.peak is not None for way in planned.ways.values())
    other = plan(build(5, 4, 2), 16, inputs=5, memory="1GB", flips=False)
    assert planned.ways["reverse"].flops["update"] == other.ways["forward-activations"].flops["update"]


def written(tmp_path, text):
    path = tmp_path / "net.py"
    path.write_text(textwrap.dedent(text))
    return f"{path}:build"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            """
            def build(nn):
                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = nn.Linear(4, 3)
                    def forward(self, x):
                        return self.layer(x) if x.sum() > 0 else self.layer(-x)
                return Net()
            """,
            r"it reads a value by `bool` at .*net\.py:8 \(`return self.layer\(x\) if x.sum\(\) > 0",
        ),
        ("def build(nn):\n    return nn.Linear(4, 3, 5, 6, 7, 8, 9)\n", r"net\.py:2"),
        ("def build(nn):\n    return 3\n", r"returned int, and a network \(a Module\) is needed"),
        ("def build(nn:\n", r"net\.py"),
        ("def other(nn):\n    pass\n", r"build"),
        ("raise ValueError('no')\n", r"net\.py:1"),
        ("def build(nn):\n    return nn.Linear(9, 3)\n", r"linear"),
        ("import sys\ndef build(nn):\n    sys.exit(5)\n", r"net\.py:3 \(`sys.exit\(5\)`\): SystemExit: 5"),
        ("import revdiff\ndef build(nn):\n    return revdiff.nn.Linear(4, 3)\n", r"`weight` is of revdiff: make it of the `nn` that"),
    ],
    ids=["reads a value", "a call that cannot be", "no network", "no Python", "no build", "fails", "other inputs", "exits", "one engine"],
)
def test_a_file_that_cannot_be_planned_is_told_in_one_line(tmp_path, capsys, text, message):
    with pytest.raises(InputError, match=message) as caught:
        plan(written(tmp_path, text), 2, inputs=4, memory="1GB", flips=False)
    assert "\n" not in str(caught.value)


def passing(forward):
    """A `build` of a linear layer and what `forward` makes of its result."""

    def made(nn):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(4, 3)

            def forward(self, x):
                return forward(self.layer(x))

        return Net()

    return made


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda y: y * y.max().item(), "item"),
        (lambda y: y * float(y.sum()), "float"),
        (lambda y: y if bool(y.sum()) else -y, "bool"),
        (lambda y: y[:, : int(y.sum())], "int"),
        (lambda y: y * y[y > 0].sum(), "x[mask]"),
        (lambda y: y.masked_select(y > 0), "masked_select"),
        (lambda y: y * np.asarray(y.detach()), "np.asarray"),
        (lambda y: y * len(f"{y.sum():.3f}"), "format"),
        (lambda y: y.repeat_interleave(y[:, 0].long(), dim=0), "repeat_interleave"),  # which reads them in a line of numpy's
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_read_of_values_is_told_by_the_name_that_it_was_written_with(forward, said):
    with pytest.raises(InputError, match=rf"reads a value by `{re.escape(said)}` at .*test_plan\.py:\d+ \(`\(lambda y: ") as caught:
        plan(passing(forward), 2, inputs=4, memory="1GB", flips=False)
    assert "\n" not in str(caught.value)


def test_a_call_through_a_library_is_told_by_the_line_that_made_it():
    with pytest.raises(InputError, match=r"fails at .*test_plan\.py:\d+ \(`.*np\.linalg\.norm\(y\).*requires grad") as caught:
        plan(passing(lambda y: y * np.linalg.norm(y)), 2, inputs=4, memory="1GB", flips=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("forward", [lambda y: y.sum(), lambda y: y.mean(0)], ids=["scalar", "no batch"])
def test_a_network_without_an_axis_of_examples_is_told_what_is_wanted(forward):
    with pytest.raises(InputError, match=r"a tensor of shape \((3,)?\) for a batch of 5: its first axis must be that of the examples"):
        plan(passing(forward), 5, inputs=4, loss="mse", memory="1GB", flips=False)


def test_a_network_of_torch_is_told_that_ours_is_wanted():
    torch = pytest.importorskip("torch")
    for network in (torch.nn.Linear(4, 3), lambda nn: torch.nn.Linear(4, 3)):
        with pytest.raises(InputError, match=r"torch's Linear, and a Module of `revdiff.nn` or `dualdiff.nn` is needed"):
            plan(network, 2, inputs=4, memory="1GB", flips=False)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_network_with_nothing_to_train_has_a_jacobian(frozen):
    def made(nn):
        net = nn.Sequential(nn.Linear(4, 3), nn.Tanh()) if frozen else nn.Sequential(nn.Tanh())
        return net.requires_grad_(False)

    planned = plan(made, 2, inputs=4, memory="1GB", flips=False)
    assert {way.computes for way in planned.ways.values()} == {"Jacobian"} == set(planned.advices)
    assert planned.best is None
    assert "no parameters that require grad: there is no gradient to plan" in " ".join(str(planned).split())
    assert render(planned.lines)


@pytest.mark.parametrize("kept", ["none", "of another machine", "with an overhead of 0", "whole"])
def test_what_is_missing_in_a_calibration_is_told(kept, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "calibration.json"))
    if kept != "none":
        changes = {
            "of another machine": {"machine": this_machine() | {"processor": "an abacus"}},
            "with an overhead of 0": {"operations": OPERATIONS | {"update": 0.0}},
        }
        save(calibrated(**changes.get(kept, {})))
    seconds.calibration.cache_clear()
    planned = plan("softmax", 4, memory="1GB", flips=False)
    assert planned.header.ranked_by == ("operations" if kept in ("none", "of another machine") else "seconds")
    assert len(planned.header.notes) == (kept != "whole")
    note = "".join(planned.header.notes)
    said = {
        "none": ["ranked by operations", "this machine is not calibrated: run `python -m compare calibrate`"],
        "of another machine": ["ranked by operations", "of another processor ('an abacus', here", "run `python -m compare calibrate`"],
        "with an overhead of 0": ["an overhead of 0 for `update`, which must be above 0", "`python -m compare calibrate --force`"],
    }
    assert all(text in note for text in said.get(kept, []))
    assert "\n" not in note
    assert note.partition(" (")[0] in " ".join(str(planned).split())


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"memory": "lots"}, r"`memory` \(='lots'\) must be a positive whole number of bytes"),
        ({"memory": 0}, r"`memory` \(=0\) must be a positive whole number"),
        ({"memory": "1KB"}, r"`memory` \(=1000 B\) is below .* the least is \d+ bytes"),
        ({"network": "mpl"}, r"unknown network 'mpl'.*Perhaps you meant 'mlp'"),
        ({"batch": 0}, r"`batch` \(=0\) must be a whole number from 1"),
        ({"directions": 0}, r"`directions` \(=0\) must be a whole number from 1"),
        ({"network": "nowhere.py:build", "inputs": 3}, r"nowhere\.py"),
        ({"network": build(3, 2)}, r"`inputs` is needed"),
        ({"network": build(3, 2), "inputs": 3, "loss": "crossentropy"}, r"unknown loss"),
        ({"inputs": 3}, r"`inputs` \(=3\) cannot be set: mlp has its own"),
        ({"network": 3, "inputs": 3}, r"`network` is of type int"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_impossible_wishes_are_told_in_one_line(wishes, message):
    with pytest.raises(InputError, match=message) as caught:
        plan(**({"memory": "1GB", "batch": 4, "flips": False} | wishes))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


# the command line


def run(*words):
    with pytest.raises(SystemExit) as done:
        entry.main(["plan", *words])
    return done.value.code


def test_the_command_prints_a_table_of_80_columns(capsys):
    assert run("--network", "mlp", "--batch", "8", "--memory", "1GB", "--no-flips") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for said in ("reverse", "forward, activation directions", "is the fastest that fits", "compare calibrate"):
        assert said in text


def test_the_command_prints_json_and_leaves_a_page_and_its_records(capsys, tmp_path):
    assert run("--network", "mlp", "--batch", "8", "--memory", "1GB", "--no-flips", "--json", "--output", str(tmp_path)) == 0
    told = json.loads(capsys.readouterr().out)
    assert {way["name"] for way in told["ways"]} >= {"reverse", "forward-activations", "forward-parameters", "jacobian-reverse"}
    page = next(tmp_path.glob("*.html")).read_text()
    assert not re.search(r"(src|href)=.https?:|url\(https?:|@import", page)
    records = next(tmp_path.glob("*.jsonl"))
    first = page
    with pytest.raises(SystemExit) as done:
        entry.main(["report", str(records)])
    assert done.value.code == 0
    assert next(tmp_path.glob("*.html")).read_text() == first


def test_a_budget_below_the_least_ends_with_2(capsys):
    assert run("--network", "mlp", "--memory", "1KB") == 2
    assert "the least is" in capsys.readouterr().err


def test_frozen_parameters_are_constants():
    def frozen(nn):
        net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2))
        net[0].requires_grad_(False)
        return net

    planned = plan(frozen, 4, inputs=8, memory="1GB", flips=False)
    assert planned.best.name == "reverse"
    assert planned.ways["forward-parameters"].directions == 6 * 2 + 2
    assert planned.ways["reverse"].flops["update"] == 4 * (6 * 2 + 2)
    assert all(way.peak is not None for way in planned.ways.values())


def test_a_plan_can_be_made_twice_and_under_the_name_of_the_package():
    import compare

    first, second = (compare.plan("softmax", 4, memory="1GB", flips=False) for _ in range(2))
    assert str(first).splitlines()[3:] == str(second).splitlines()[3:]


def test_a_reason_that_several_ways_share_is_told_once(mlp):
    lines = [replace(line, peak=None, fits=False, reason="it looks at values") if line in mlp.ways.values() else line for line in mlp.lines]
    text = str(Plan(lines))
    assert text.count("it looks at values") == 1
    assert text.count("for the same reason") == len(mlp.ways) - 1
