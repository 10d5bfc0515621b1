"""What the commands do once their arguments are known to be sound."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from compare import environment, experiment, files, records
from compare.agreement import disagreement
from compare.bench.wanted import Wanted
from compare.check.selection import Selection
from compare.errors import InputError
from compare.records import Line
from compare.settings import Settings, require_name, slug

if TYPE_CHECKING:
    from compare.planning.wishes import Wishes

DISAGREE = 3
"""Exit code when the strategies did not train the same network, or a kernel does not agree."""


def run(settings: Settings, folder: Path) -> int:
    """Run, write the records and the report into `folder`, print the table. Returns the exit code."""
    from compare.progress import Bar
    from compare.report import render_html

    report, kept = folder / f"{settings.title}.html", folder / f"{settings.title}.jsonl"
    with files.destination(report, kept):
        with Bar() as bar:
            lines = experiment.run(settings, bar)
            bar.phase("report", 1)
            contents = {kept: records.encode(lines), report: render_html(lines).encode()}
        files.write(contents)
    _show(lines, report, kept)
    problem = disagreement(lines)
    if problem:
        print(f"compare: {problem}", file=sys.stderr)
    return DISAGREE if problem else 0


def report(source: Path, target: Path | None) -> int:
    """Make the page of the records in `source` at `target` (beside them by default), print the table. Returns the exit code."""
    if not source.name:
        raise InputError(f"cannot read records file {str(source)!r}: it is a folder")
    target = target or source.with_suffix(".html")
    if source.resolve() == target.resolve():
        raise InputError(f"`--output` (={str(target)!r}) is the records file itself")
    try:
        page, show = {"benchheader": _of_bench, "planheader": _of_plan}.get(str(records.kind(source)), _of_run)(source)
    except records.RecordsError as error:
        raise InputError(str(error)) from None
    with files.destination(target):
        files.write({target: page.encode()})
    console = Console()
    show(console)
    _wrote((target,), console)
    return 0


def _of_run(source: Path) -> tuple[str, Callable[[Console], None]]:
    """The page of the records of a run, and what prints them."""
    from compare.report import print_report, render_html

    lines = records.read(source)
    return render_html(lines), lambda console: print_report(lines, console)


def _of_bench(source: Path) -> tuple[str, Callable[[Console], None]]:
    """The page of the records of a benchmark, and what prints them."""
    from compare.bench.records import read
    from compare.bench.terminal import print_table
    from compare.report.bench import render

    lines = read(source)
    return render(lines), lambda console: print_table(lines, console)


def _of_plan(source: Path) -> tuple[str, Callable[[Console], None]]:
    """The page of the records of a plan, and what prints them."""
    from compare.planning.records import read
    from compare.planning.result import Plan
    from compare.planning.terminal import print_plan
    from compare.report.plan import render

    found = Plan(read(source))
    return render(found.lines), lambda console: print_plan(found, console)


def env(*, as_json: bool) -> int:
    """Print the environment. Returns the exit code."""
    from rich.table import Table

    environment.limit_threads()
    entries = environment.describe(heavy=True)
    if as_json:
        print(json.dumps(entries, indent=2))
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in entries.items():
        table.add_row(name, value)
    Console(markup=False, highlight=False).print(table)
    return 0


def show(what: str, settings: Settings, batch: int | None, *, as_json: bool) -> int:
    """Print what reverse mode keeps for a step (`"saved"`) or its checkpoints (`"schedule"`). Returns the exit code."""
    from compare import show

    found = {"saved": show.saved, "schedule": show.scheduled}[what](settings, batch)
    batch = batch or settings.batch
    if as_json:
        print(json.dumps({"network": settings.network, "batch": batch, "dtype": settings.dtype, **found.to_dict()}, indent=2))
        return 0
    print("\n".join(_folded(f"{settings.network} {settings.shape}, batch {batch}, {settings.dtype}")))
    print(f"\n{found}")
    return 0


def _folded(title: str, width: int = 80) -> list[str]:
    """A title in lines of `width` columns at most, broken behind spaces and hyphens, as in the widths of a deep network."""
    lines = [""]
    for part in re.findall(r"[^ -]*[ -]?", title):
        if len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("  ")
        lines[-1] += part
    return [line.rstrip() for line in lines]


def truth(settings: Sequence[Settings], *, as_json: bool) -> int:
    """Measure a step under each of `settings` in every way there is, print it beside the ledger. Returns the exit code."""
    from compare.progress import Bar
    from compare.truth import command

    with Bar() as bar:
        phase = bar.phase("truth", sum(len(each.strategies) for each in settings))
        found = command.measure(settings, phase.advance)
    if as_json:
        print(json.dumps(command.as_json(found), indent=2))
    else:
        command.print_table(found, Console())
    return 0


def plan(wishes: Wishes, folder: Path | None, name: str, *, as_json: bool, layers: bool, schedule: bool) -> int:
    """Plan, print the table (or JSON), write the records and the page into `folder` if there is one. Returns the exit code."""
    from compare.planning import planned
    from compare.planning.records import encode
    from compare.planning.terminal import print_plan
    from compare.progress import Bar

    title = name or f"{slug(wishes.title)}-plan"
    require_name(title)
    targets = [] if folder is None else [folder / f"{title}.html", folder / f"{title}.jsonl"]
    with files.destination(*targets):
        with Bar() as bar:
            found = planned(wishes, bar)
        if targets:
            from compare.report.plan import render  # which takes as long to load as a small network to plan

            files.write({targets[0]: render(found.lines).encode(), targets[1]: encode(found.lines)})
    console = Console()
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return 0
    print_plan(found, console, layers=layers, schedule=schedule)
    _wrote(targets, console)
    return 0


def bench(wanted: Wanted, folder: Path, *, as_json: bool) -> int:
    """Measure what is wanted, write the records and the page into `folder`, print the table (or JSON). Returns the exit code."""
    # Before numpy, jax and torch are loaded, which read the variables only then.
    environment.limit_threads()
    from compare.bench import runner
    from compare.bench.as_json import as_json as told
    from compare.bench.records import encode
    from compare.bench.terminal import print_table
    from compare.progress import Bar
    from compare.report.bench import render

    page, kept = folder / "bench.html", folder / "bench.jsonl"
    with files.destination(page, kept):
        with Bar() as bar:
            contests = wanted.contests()
            phase = bar.phase("benchmark", len(contests))
            lines = runner.run(wanted, contests, phase.advance)
            contents = {kept: encode(lines), page: render(lines).encode()}
        files.write(contents)
    if as_json:
        print(json.dumps(told(lines), indent=2))
        return 0
    console = Console()
    print_table(lines, console)
    _wrote((page, kept), console)
    return 0


def calibrate(*, force: bool, as_json: bool) -> int:
    """Measure this machine unless that is done, keep and print what is found. Returns the exit code."""
    from compare.calibration import store

    # Before numpy is loaded, which reads the variables only then.
    environment.limit_threads()
    kept: Any = None
    if not force:
        with suppress(InputError):
            kept = store.load()
    if kept is None:
        from compare.calibration.measuring import calibrate as measured
        from compare.progress import Bar

        with files.destination(store.path()), Bar() as bar:
            phase = bar.phase("calibrate", 1.0)
            kept = measured(lambda what, done: phase.advance(done, what))
            store.save(kept)
    if kept.warning:
        print(f"compare: {kept.warning}", file=sys.stderr)
    if as_json:
        print(json.dumps({"path": str(store.path()), **msgspec.to_builtins(kept)}, indent=2))
        return 0
    from compare.calibration.terminal import print_calibration

    console = Console()
    print_calibration(kept, console)
    console.print(f"kept in {store.path()}", markup=False, highlight=False, soft_wrap=True)
    return 0


def check(selection: Selection, page: Path | None, kept: Path | None) -> int:
    """Check the kernels, print the matrix, write the page and the records where they are wanted. Returns the exit code."""
    # Before numpy and jax are loaded, which read the variables only then.
    environment.limit_threads()
    from compare.check import records as check_records
    from compare.check import runner
    from compare.check.summary import summarize
    from compare.progress import Bar
    from compare.report.coverage import render
    from compare.report.matrix import print_matrix

    targets = [path for path in (page, kept) if path is not None]
    if page is not None and page == kept:
        raise InputError(f"`--html` and `--output` (={str(page)!r}) are one file")
    names = runner.kernels(selection)
    with files.destination(*targets):
        with Bar() as bar:
            phase = bar.phase("rows checked", runner.weight(names))
            lines = runner.run(selection, str(page or ""), phase.advance)
        contents = {page: render(lines).encode()} if page is not None else {}
        contents |= {kept: check_records.encode(lines)} if kept is not None else {}
        files.write(contents)
    console = Console()
    print_matrix(lines, console)
    _wrote(targets, console)
    found = summarize(lines).disagreements
    if found:
        print(f"compare: {found} disagreement{'s' * (found > 1)}", file=sys.stderr)
    return DISAGREE if found else 0


def notes(names: Sequence[str], folder: Path, *, fresh: bool) -> int:
    """Measure the claims that are not recorded yet, write the page, print the verdicts. Returns the exit code."""
    from compare.notes.catalogue import chosen

    entries = chosen(names)
    # Before numpy and jax are loaded, which read the variables only then.
    environment.limit_threads()
    from compare.notes import page, runner
    from compare.progress import Bar

    path, kept = folder / "notes.html", folder / "notes.jsonl"
    command = shlex.join(["python", "-m", "compare", "notes", "--fresh"])
    with files.destination(path, kept), Bar() as bar:
        phase = bar.phase("claims", len(entries))
        found = runner.run(
            entries,
            kept,
            fresh=fresh,
            heard=lambda entry, done: phase.advance(entries.index(entry) + done, f"claim {entry.number}: {entry.title}"),
            word=lambda text: print(f"compare: {text}", file=sys.stderr),
        )
        bar.phase("page", 1)
        files.write({path: page.render(found, command).encode()})
    console, told = Console(), page.chapters(found)
    for chapter in told:
        console.print(page.line(chapter.entry, chapter.claim, chapter.shown.measured), markup=False, highlight=False)
    console.print(page.summary([chapter.verdict for chapter in told]), markup=False, highlight=False)
    _wrote((path, kept), console)
    apart = [chapter.entry.slug for chapter in told if not chapter.claim.agrees(chapter.shown.measured)]
    if apart:
        print(f"compare: the engines disagree in {', '.join(apart)}", file=sys.stderr)
    return DISAGREE if apart else 0


def _show(lines: list[Line], *written: Path) -> None:
    from compare.report.terminal import print_report

    console = Console()
    print_report(lines, console)
    _wrote(written, console)


def _wrote(paths: Iterable[Path], console: Console) -> None:
    for path in paths:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
