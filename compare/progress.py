"""The progress bar of a run: on standard error, and only where that is a terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """One bar for each phase of a run; gone when the `with` block is left."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        # Drawn only when there is news: a thread that redraws would take time from what is being measured.
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def phase(self, title: str, total: float) -> BarPhase:
        """Begin a phase of `total` units."""
        phase = BarPhase(self._progress, self._progress.add_task(title, total=total))
        phase.advance(0)
        return phase


class BarPhase:
    """One line of the bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, done: float, title: str | None = None) -> None:
        """`done` units are done in all; `title` renames the line."""
        self._progress.update(self._task, completed=done, description=title, refresh=True)
