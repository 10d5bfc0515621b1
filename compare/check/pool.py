"""Processes that check one kernel after another, as many at once as there are jobs; gone when the loop over their results is left."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from compare.check.records import Checked, decode_kernel, encode_kernel
from compare.check.selection import Selection
from compare.errors import WorkerError


def each(names: list[str], selection: Selection) -> Iterator[Checked]:
    """What was found of each kernel, as it is found. Raises `WorkerError` when a process is lost."""
    waiting, busy = list(names), dict[Connection, tuple[str, Any]]()
    context = multiprocessing.get_context("spawn")
    try:
        for _ in range(min(selection.jobs, len(names))):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, selection), daemon=True)
            process.start()
            theirs.close()
            busy[ours] = (_give(ours, waiting), process)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                name, process = busy.pop(ready)
                yield _received(ready, name, process)
                if waiting:
                    busy[ready] = (_give(ready, waiting), process)
                else:
                    ready.close()
    finally:
        for _, process in busy.values():
            process.kill()
            process.join()


def _give(connection: Connection, waiting: list[str]) -> str:
    name = waiting.pop(0)
    with suppress(OSError):  # that it is gone is told when its answer is missing
        connection.send(name)
    return name


def _received(connection: Connection, name: str, process: Any) -> Checked:
    try:
        return decode_kernel(connection.recv_bytes())
    except (EOFError, OSError):
        process.join(2)
        raise WorkerError(f"the process that checked {name} ended with exit code {process.exitcode}") from None


def _serve(connection: Connection, selection: Selection) -> None:
    """Check the kernels that are named, until no more come."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # who started this process ends it
        signal.signal(wanted, signal.SIG_IGN if wanted == signal.SIGINT else signal.SIG_DFL)
    from compare.check.runner import check_kernel

    with suppress(EOFError, OSError):
        while True:
            connection.send_bytes(encode_kernel(check_kernel(connection.recv(), selection)))
