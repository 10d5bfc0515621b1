"""Measuring processes, one for each strategy, as their owner sees them: started, asked, watched, ended."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO

import msgspec

from compare import environment
from compare.errors import InputError, TrainingError, WorkerError, one_line
from compare.messages import Failed, Progress, Reply, Request, decode_reply, encode

SILENCE = 600.0
"""Seconds without a word from a busy worker after which it is given up."""
PATIENCE = 2.0
"""Seconds a worker has to end by itself."""
LAST_WORDS = 20
"""Lines of a worker's standard error that are kept."""

Heard = Callable[[int], None]


class Worker:
    """A process that measures one strategy and is busy only between `send` and the end of `receive`."""

    def __init__(self, name: str, environ: dict[str, str]) -> None:
        self.name = name
        # A session of its own: Ctrl-C reaches the owner alone, which then ends its workers.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "compare.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None or self._process.stderr is None:
            raise WorkerError(f"the worker for {name} was started without its pipes")
        self._stdin = self._process.stdin
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._last_words: deque[bytes] = deque(maxlen=LAST_WORDS)
        self._listeners = [
            self._listen(self._process.stdout, self._lines.put),
            self._listen(self._process.stderr, self._last_words.append),
        ]

    def _listen(self, stream: IO[bytes], keep: Callable[[bytes], None]) -> threading.Thread:
        def listen() -> None:
            with stream:
                for line in stream:
                    keep(line)
            keep(b"")

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        return thread

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, request: Request, heard: Heard | None = None) -> Reply:
        """The reply to `request`; `heard` is told of steps done on the way."""
        self.send(request)
        return self.receive(heard)

    def send(self, request: Request) -> None:
        """Hand over a request. Raises `WorkerError` when nobody is there to take it."""
        try:
            self._stdin.write(encode(request))
            self._stdin.flush()
        except OSError:
            raise self._lost() from None

    def receive(self, heard: Heard | None = None) -> Reply:
        """The reply to what was sent. Raises `WorkerError` when the worker fails, dies or falls silent."""
        while True:
            try:
                line = self._lines.get(timeout=SILENCE)
            except queue.Empty:
                raise WorkerError(f"the worker for {self.name} has said nothing for {SILENCE:g} s and was ended") from None
            if not line:
                raise self._lost()
            try:
                reply = decode_reply(line)
            except msgspec.DecodeError as error:
                raise WorkerError(f"the worker for {self.name} said what cannot be read: {one_line(error)}") from None
            match reply:
                case Progress(done):
                    if heard is not None:
                        heard(done)
                case Failed(message, "input"):
                    raise InputError(message)
                case Failed(message, "training"):
                    raise TrainingError(f"{self.name}: {message}")
                case Failed(message):
                    raise WorkerError(f"the worker for {self.name} failed: {message}")
                case _:
                    return reply

    def _lost(self) -> WorkerError:
        """What can be said of a process that is gone."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return WorkerError(f"the worker for {self.name} closed its pipes and was ended")
        for listener in self._listeners:
            listener.join(PATIENCE)
        words = [one_line(line.decode(errors="replace")) for line in self._last_words if line.strip()]
        if code < 0:
            cause = f"was killed by {signal.Signals(-code).name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
        else:
            cause = f"ended with exit code {code}"
        return WorkerError(f"the worker for {self.name} {cause}" + (f": {words[-1]}" if words else ""))

    def close(self) -> None:
        """Tell the worker that nothing more is coming; it then ends by itself."""
        with suppress(OSError):  # what it never read cannot be flushed
            self._stdin.close()

    def end(self, deadline: float) -> None:
        """Wait for the process until `deadline` (`time.monotonic`), then kill it; it is gone on return."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for listener in self._listeners:
            listener.join(PATIENCE)


class Workers:
    """A worker for each name; a `with` block ends them all, at once when it is left by an exception."""

    def __init__(self, names: list[str], *, backend: str) -> None:
        self._names = names
        self._environ = worker_environment(backend)
        self._workers: dict[str, Worker] = {}
        self._folders = ExitStack()
        self._compiles = backend == "jax"

    def __enter__(self) -> dict[str, Worker]:
        try:
            if self._compiles:
                # A program that has been compiled once, for instance of the network that was timed, is not compiled again to be weighed or
                # trained. The folder is gone when the workers are.
                folder = self._folders.enter_context(TemporaryDirectory(prefix="diffmodes-", ignore_cleanup_errors=True))
                self._environ["JAX_COMPILATION_CACHE_DIR"] = folder
            for name in self._names:
                self._workers[name] = Worker(name, self._environ)
        except BaseException as error:
            self._end(patience=0.0)
            if isinstance(error, OSError):
                raise WorkerError(f"cannot start a worker: {one_line(error.strerror or error)}") from None
            raise
        return self._workers

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._end(patience=PATIENCE if kind is None else 0.0)

    def _end(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        for worker in self._workers.values():
            worker.close()
        for worker in self._workers.values():
            worker.end(deadline)
        self._folders.close()


def worker_environment(backend: str) -> dict[str, str]:
    """The environment variables of a worker: ours, with the threads set, and this very `compare` to be found first."""
    source = str(Path(__file__).resolve().parent.parent)
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, **environment.THREADS, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    if backend == "jax":
        # Otherwise the first of several workers on one GPU takes all of its memory.
        environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    return environ
