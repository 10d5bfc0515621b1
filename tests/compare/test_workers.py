"""A worker that fails, dies, babbles or falls silent becomes one clear error, and no process outlives its block."""

import os
import signal
import subprocess
import sys

import pytest

from compare import workers
from compare.errors import TrainingError, WorkerError
from compare.messages import Done, Prepare, Prepared, Progress, Time, Timed, Train, Trained, Warm, decode_request, encode
from compare.settings import Settings

from .conftest import ROOT

SETTINGS = Settings(width=4, batch=8)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def worker():
    with workers.Workers(["reverse"], backend="numpy") as started:
        yield started["reverse"]


def test_a_worker_answers_what_it_is_asked(worker):
    assert isinstance(worker.ask(Prepare(SETTINGS, "reverse")), Prepared)
    assert worker.ask(Warm(2)) == Done()
    timed = worker.ask(Time(samples=5, least=1, seconds=5.0))
    assert isinstance(timed, Timed)
    assert len(timed.samples) == 5
    heard = []
    trained = worker.ask(Train(2000, "float32"), heard.append)
    assert isinstance(trained, Trained)
    assert len(trained.losses) == 2000
    assert heard == sorted(heard)
    assert heard


def test_a_failure_is_told_in_one_line_and_the_worker_lives_on(worker):
    with pytest.raises(WorkerError, match=r"^the worker for reverse failed: asked to work before"):
        worker.ask(Warm(1))
    with pytest.raises(WorkerError, match=r"^the worker for reverse failed: KeyError: 'sideways' \(at .*\)$"):
        worker.ask(Prepare(SETTINGS, "sideways"))
    assert isinstance(worker.ask(Prepare(Settings(width=4, batch=8, lr=1e308), "reverse")), Prepared)
    with pytest.raises(TrainingError, match=r"^reverse: the loss became"):
        worker.ask(Train(20, "float32"))


def test_a_killed_worker_is_told_of(worker):
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"the worker for reverse was killed by SIGKILL \(out of memory\?\)"):
        worker.ask(Warm(1))


def test_a_silent_worker_is_given_up(worker, monkeypatch):
    monkeypatch.setattr(workers, "SILENCE", 0.1)
    with pytest.raises(WorkerError, match=r"has said nothing for 0\.1 s"):
        worker.receive()


def stand_in(monkeypatch, tmp_path, program):
    """Workers that run `program` instead."""
    interpreter = tmp_path / "interpreter"
    interpreter.write_text(f"#!{sys.executable}\n{program}")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))


def test_a_worker_that_ends_is_quoted(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, "import sys\nprint('first', file=sys.stderr)\nsys.exit('no luck today')")
    with (
        pytest.raises(WorkerError, match=r"^the worker for a ended with exit code 1: no luck today$"),
        workers.Workers(["a"], backend="numpy") as started,
    ):
        started["a"].ask(Warm(1))


def test_a_worker_that_babbles_is_refused(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, "print('hello')\ninput()")
    with pytest.raises(WorkerError, match="said what cannot be read"), workers.Workers(["a"], backend="numpy") as started:
        started["a"].ask(Warm(1))


def test_workers_end_with_their_block_however_it_is_left():
    for error in (None, KeyboardInterrupt):
        pids = []
        try:
            with workers.Workers(["reverse", "forward-activations"], backend="numpy") as started:
                pids = [worker.pid for worker in started.values()]
                assert all(alive(pid) for pid in pids)
                if error:
                    raise error
        except KeyboardInterrupt:
            pass
        assert len(pids) == 2
        assert not any(alive(pid) for pid in pids)


def test_what_a_library_prints_does_not_disturb_the_replies():
    program = "from compare.worker import _take_stdout\nreplies = _take_stdout()\nprint('noise')\nreplies.write(b'reply')\nreplies.close()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr) == ("reply", "noise\n")


def test_messages_go_round():
    for message in (Prepare(SETTINGS, "reverse"), Time(1, 2, 3.0), Train(5, "float64")):
        assert decode_request(encode(message)) == message
    assert workers.decode_reply(encode(Progress(3))) == Progress(3)


def test_threads_are_set_and_our_own_package_is_found():
    environ = workers.worker_environment("jax")
    assert environ["OPENBLAS_NUM_THREADS"] == environ["NPROC"] == "2"
    assert environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert environ["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)


def test_compiled_programs_are_kept_for_the_length_of_a_run():
    group = workers.Workers([], backend="jax")
    with group:
        folder = group._environ["JAX_COMPILATION_CACHE_DIR"]
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)
    with workers.Workers([], backend="numpy") as none:
        assert none == {}
