"""The page of a run of the checks: the coverage matrix, every disagreement, and the answers at ambiguous points. From records alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compare.check.records import Line
from compare.check.summary import BAD, GOOD, LEFT_OUT, NONE, Cell, Coverage, summarize
from compare.report.matrix import SIGNS
from compare.report.page import template
from compare.report.units import whole

HEADS = {
    "rules": ("rules", "The two rules of a kernel are adjoint to each other, and the pushforward is the derivative of the value."),
    "forward": ("forward", "Forward mode on numpy, seeded by parameters, by activations and either: Jacobian, gradient, jvp, any layout."),
    "reverse": ("reverse", "Reverse mode on numpy, all cotangents at once and in chunks: Jacobian, gradient, vjp, any layout."),
    "forward over reverse": ("f/r", "Second derivatives, forward over reverse: Hessians and products with them."),
    "reverse over forward": ("r/f", "Second derivatives, reverse over forward."),
    "reverse over reverse": ("r/r", "Second derivatives, reverse over reverse, create_graph included; the Hessian is symmetric."),
    "forward over forward": ("f/f", "Second derivatives, forward over forward."),
    "float32": ("float32", "In float32 all stays float32, and agrees with float64 to its precision."),
    "jax": ("jax", "On jax arrays, under jit, both engines agree with numpy."),
    "abstract": ("abstract", "On arrays without values, shapes, dtypes and aliasing are numpy's, through every derivative."),
    "jax oracle": ("= jax", "Value, Jacobian and Hessian as jax computes them."),
    "torch oracle": ("= torch", "Value, gradient and Hessian as PyTorch computes them, kinks included."),
    "misuse": ("misuse", "Wrong shapes, axes, dtypes and arguments are refused in one line, and nothing has changed."),
}
"""Column -> its head and what a mark in it says."""
GROUPS = (
    ("", ("rules",)),
    ("first order", ("forward", "reverse")),
    ("second order", ("forward over reverse", "reverse over forward", "reverse over reverse", "forward over forward")),
    ("arrays", ("float32", "jax", "abstract")),
    ("oracles", ("jax oracle", "torch oracle")),
    ("", ("misuse",)),
)
STATES = {GOOD: "yes", BAD: "no", NONE: "nothing", LEFT_OUT: "nothing"}


@dataclass(frozen=True)
class Mark:
    """One cell of the matrix: its sign, what it says in words, and its class."""

    sign: str
    words: str
    kind: str


def render(lines: Iterable[Line]) -> str:
    """The document. Raises `RecordsError` when the records do not make up a run of the checks."""
    run = summarize(lines)
    return template("coverage.html.jinja").render(
        run=run,
        groups=[(title, sum(column in run.columns for column in columns)) for title, columns in GROUPS],
        columns=[(HEADS[column][0], column) for column in _ordered(run)],
        meanings=[HEADS[column] for column in _ordered(run)],
        rows=[(checked, [_mark(run.cell(checked, column), column) for column in _ordered(run)]) for checked in run.kernels],
        signs=SIGNS,
        facts=_facts(run),
        methods=", ".join(f"{method} for {whole(count)}" for method, count in run.methods),
        left_out=sorted(set(run.header.left_out.values())),
    )


def _ordered(run: Coverage) -> list[str]:
    return [column for _, columns in GROUPS for column in columns if column in run.columns]


def _mark(cell: Cell, column: str) -> Mark:
    return Mark(SIGNS[cell.state], f"{HEADS[column][0]}: {cell.note}", STATES[cell.state])


def _facts(run: Coverage) -> list[tuple[str, str]]:
    differentiable = sum(checked.differentiable for checked in run.kernels)
    return [
        ("kernels", f"{whole(len(run.kernels))}, of which {whole(differentiable)} have a derivative"),
        ("rows", f"{whole(run.rows)}, and {whole(run.misuses)} of misuse"),
        ("checks", f"{whole(run.checks)} in {run.header.seconds:.0f} s"),
        ("oracles", run.oracles),
        ("made", run.header.created),
    ]
