"""What can be run: every network with its size and what it takes, and every data set; shown as a table or as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.datasets import DATASETS, OWN
from compare.networks import NETWORKS
from compare.report.terminal import COLUMNS, plain
from compare.report.units import whole
from compare.settings import Settings, fits
from compare.tasks import TASKS
from compare.training import built


def networks() -> list[dict[str, Any]]:
    """Every preset: its settings, the shape of an example, and the parameters of the network it makes, counted from shapes alone."""
    import revdiff

    found = []
    for name, network in NETWORKS.items():
        settings = Settings(network=name)
        net = built(settings, revdiff, device="meta", dtype=settings.dtype)
        found.append(
            {
                "name": name,
                "size": "full" if network.family else "small",
                "family": network.family or name,
                "parameters": sum(math.prod(parameter.shape) for parameter in net.parameters()),
                "takes": network.takes,
                "inputs": list(settings.inputs),
                "outputs": settings.outputs,
                "tasks": [network.task, *network.tasks],
                "data": settings.data,
                "width": network.width,
                "depth": network.depth,
                "knobs": list(network.knobs),
                "shape": settings.shape,
                "training": f"{settings.training}, {settings.steps} steps of batch {settings.batch}",
                "account": network.account,
            }
        )
    return found


def data_sets() -> list[dict[str, Any]]:
    """Every data set that is always there, and how a user's own are named."""
    found: list[dict[str, Any]] = [
        {
            "name": data.name,
            "examples": data.examples,
            "form": data.form,
            "inputs": list(data.shape),
            "task": data.task,
            "outputs": data.outputs,
            "score": TASKS[data.task].score,
            "networks": [name for name, network in NETWORKS.items() if fits(network, data)],
            "account": data.account,
        }
        for data in DATASETS.values()
    ]
    return found + [{"name": name, "account": account} for name, account in OWN.items()]


def show_networks(*, as_json: bool) -> int:
    """Print the networks. Returns the exit code."""
    rows = networks()
    if as_json:
        print(json.dumps({"networks": rows}, indent=2))
        return 0
    _show(
        ("network", "parameters", "inputs", "task", "data"),
        [
            (row["account"], [row["name"], whole(row["parameters"]), _extent(row["inputs"]), row["tasks"][0], row["data"]])
            for row in rows
        ],
    )
    return 0


def show_data(*, as_json: bool) -> int:
    """Print the data sets. Returns the exit code."""
    rows = data_sets()
    if as_json:
        print(json.dumps({"data": rows}, indent=2))
        return 0
    cells = []
    for row in rows:
        known = [whole(row["examples"]), _extent(row["inputs"]), row["task"], whole(row["outputs"])] if "examples" in row else [""] * 4
        cells.append((row["account"], [row["name"], *known]))
    _show(("data", "examples", "inputs", "task", "outputs"), cells)
    return 0


def _extent(shape: list[int]) -> str:
    return "x".join(map(str, shape))


def _show(heads: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> None:
    """A table of what is known of each, and below it what each is."""
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i == 1 else "left", no_wrap=True)
    for _, cells in rows:
        table.add_row(*(plain(Text(cell), console) for cell in cells))
    console.print(table, width=min(console.width, COLUMNS))
    console.print()
    longest = max(len(cells[0]) for _, cells in rows)
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_column(no_wrap=True, min_width=longest)
    notes.add_column()
    for account, cells in rows:
        notes.add_row(plain(Text(cells[0], style="bold"), console), plain(Text(account), console))
    console.print(notes, width=min(console.width, COLUMNS))
