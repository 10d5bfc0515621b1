"""The command line run for real: what it prints, what it leaves and what it ends with."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from compare import cli, records, workers
from compare.datasets import DATASETS
from compare.networks import NETWORKS
from compare.workers import Worker

from .conftest import ROOT

SMALL = ("--steps", 20, "--rounds", 1, "--agreement-steps", 5, "--width", 4, "--batch", 16)


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_run_leaves_a_report_and_its_records(command, tmp_path):
    done = command("run", *SMALL, "--output", "out/deep", "--name", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path) == ["deep", "mine.html", "mine.jsonl", "out"]
    assert "wrote out/deep/mine.html" in done.stdout
    assert "forward" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    page = (tmp_path / "out/deep/mine.html").read_text()
    assert "python -m compare run --engine all" in page
    header = records.read(tmp_path / "out/deep/mine.jsonl")[0]
    assert header.name == "mine"
    (tmp_path / "out/deep/mine.html").unlink()
    again = command("report", "out/deep/mine.jsonl")
    assert again.returncode == 0
    assert (tmp_path / "out/deep/mine.html").read_text() == page
    assert again.stdout.splitlines()[:-2] == done.stdout.splitlines()[:-3]
    assert cli._main(["report", str(tmp_path / "out/deep/mine.jsonl"), "--output", str(tmp_path / "other/page.html")]) == 0
    assert (tmp_path / "other/page.html").read_text() == page


def test_show_lists_what_is_saved_of_any_batch(command):
    done = command("show", "--saved", "--network", "resnet50", "--batch", 128)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.startswith("resnet50 ")
    assert "19.0.body.7" in done.stdout
    total, alive = (int(re.search(rf"([\d,]+) bytes {what}", done.stdout)[1].replace(",", "")) for what in ("kept", "of"))
    found = json.loads(command("show", "--saved", "--network", "resnet50", "--batch", 128, "--json").stdout)
    assert (found["total"], found["alive"], found["batch"]) == (total, alive, 128)
    assert total > 10**10


def test_env_tells_machine_and_software(command):
    done = command("env", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    entries = json.loads(done.stdout)
    assert {"python", "numpy", "BLAS", "jax", "jax devices", "torch", "system", "processor", "cores", "memory", "threads"} <= set(entries)
    assert "cpu" in entries["jax devices"].lower() or "gpu" in entries["jax devices"].lower()


def test_env_is_shown_as_a_table(monkeypatch, capsys):
    from compare import environment

    monkeypatch.setattr(environment, "describe", lambda *, heavy: {"python": "[bold]3.11", "threads": "x" * 200})
    monkeypatch.setattr(environment, "limit_threads", lambda: None)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli._main(["env"]) == 0
    out, _ = capsys.readouterr()
    assert "python   [bold]3.11" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("x") == 200


def test_list_shows_every_network_and_data_set(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli._main(["list"]) == 0
    out, _ = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^mlp +2,410 +64 +classification +digits", out, re.MULTILINE)
    assert re.search(r"^resnet18 +11,689,512 +3x224x224 +classification +noise-224", out, re.MULTILINE)
    assert "Rosenblatt 1958" in out
    assert cli._main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["networks"]}
    assert list(rows) == list(NETWORKS)
    assert (rows["mlp"]["inputs"], rows["mlp"]["parameters"], rows["mlp"]["size"]) == ([64], 2410, "small")
    assert (rows["vgg16"]["size"], rows["vgg16"]["parameters"]) == ("full", 138_357_544)
    assert all(row["account"] and row["family"] in rows for row in rows.values())
    assert cli._main(["list", "--data"]) == 0
    out, _ = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert all(name in out for name in [*DATASETS, "csv:FILE[:TARGET]", "idx:FOLDER"])
    assert cli._main(["list", "--data", "--json"]) == 0
    shown = {row["name"]: row for row in json.loads(capsys.readouterr().out)["data"]}
    assert shown["digits"]["networks"][-1] != ""
    assert {"mlp", "lenet"} <= set(shown["digits"]["networks"])


def test_a_network_too_dear_for_forward_mode_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli._main(["run", "--network", "small-resnet", "--width", "512", "--engine", "forward-activations"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("compare: engine 'forward-activations' is planned to need more than 2,000 GFLOP for one step of small-resnet ")
    assert err.count("\n") == 1
    assert files(tmp_path) == []


def test_a_network_of_another_task_is_run_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    short = "--steps 40 --rounds 1 --agreement-steps 5 --optimizer adam --memory 1MB"
    assert cli._main(["run", "--network", "ridge", *short.split()]) == 0
    out, _ = capsys.readouterr()
    assert "R²" in out
    header = records.read(tmp_path / "reports/ridge-diabetes.jsonl")[0]
    assert (header.task, header.score, header.unit, header.inputs, header.outputs) == ("regression", "R²", "", (10,), 1)
    assert header.optimizer == "Adam, lr 0.03"
    page = (tmp_path / "reports/ridge-diabetes.html").read_text()
    assert "Test R²" in page
    assert "regression: one number" in page


BAD = [
    (["run", "--network", "mpl"], "Perhaps you meant 'mlp'?"),
    (["run", "--network", "lenet", "--data", "iris"], "networks that fit iris: "),
    (["run", "--network", "svm", "--width", "7"], "`width` (=7) cannot be set"),
    (["run", "--data", "csv:file"], "data set 'csv:file': "),
    (["run", "--memory", "lots"], "`memory` (='lots') must be"),
    (["run", "--data", "mnist"], "unknown data set 'mnist': it must be digits, "),
    (["run", "--engine", "revers"], "Perhaps you meant 'reverse'?"),
    (["run", "--backend", "numpi"], "Perhaps you meant 'numpy'?"),
    (["run", "--steps", "0"], "`steps` (=0) must be"),
    (["run", "--steps", "many"], "'many' is not a valid integer"),
    (["run", "--steps"], "'--steps' requires an argument"),
    (["run", "--batch", "5000"], "must be at most 1438"),
    (["run", "--lr", "nan"], "`lr` (=nan) must be"),
    (["run", "--name", "a/b"], "`name` (='a/b') must be"),
    (["run", "--sneed", "1"], "--seed"),
    (["run", "again"], "unexpected extra argument (again)"),
    (["run", "--output", "file"], "output folder 'file': it is not a folder"),
    (["run", "--output", "file/deep"], "output folder 'file/deep'"),
    (["run", "--output", "taken", "--name", "x"], "'taken/x.html': it is there already and is not a regular file"),
    (["runn"], "unknown command 'runn': it must be one of bench, "),
    (["--what"], "'--what'"),
    (["report"], "Missing argument 'FILE'"),
    (["report", "absent.jsonl"], "cannot read records file 'absent.jsonl'"),
    (["report", "."], "is a folder"),
    (["report", "file"], "is not a records file"),
    (["report", "other.jsonl"], "has version 99"),
    (["report", "other.jsonl", "--output", "other.jsonl"], "is the records file itself"),
    (["bench", "--rounds", "0"], "`--rounds` (=0)"),
    (["show"], "nothing to show: say what, with --saved"),
    (["show", "--saved", "--network", "lenett"], "unknown network 'lenett'"),
    (["show", "--saved", "--batch", "0"], "`batch` (=0) must be"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line_and_exit_code_2(command, tmp_path, words, message):
    (tmp_path / "file").write_text("not ours\n")
    (tmp_path / "other.jsonl").write_text('{"kind": "header", "version": 99}\n')
    (tmp_path / "taken" / "x.html").mkdir(parents=True)
    before = files(tmp_path)
    done = command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("compare: ")
    assert done.stderr.count("\n") == 1
    assert files(tmp_path) == before


def test_a_torn_records_file_is_refused_and_no_report_begun(command, tmp_path, small_run):
    (tmp_path / "run.jsonl").write_bytes(records.encode(small_run)[:-9])
    done = command("report", "run.jsonl")
    assert done.returncode == 2
    assert re.fullmatch(r"compare: records file 'run.jsonl' is torn in its last line .*\n", done.stderr)
    assert files(tmp_path) == ["run.jsonl"]


def test_help_loads_nothing_heavy_and_fits_80_columns(command):
    program = (
        "import sys\nfrom compare.cli import _main\ncode = _main(['--help'])\n"
        "heavy = {'numpy', 'jax', 'matplotlib', 'sklearn', 'scipy', 'rich', 'jinja2', 'torch', 'revdiff', 'dualdiff'} & set(sys.modules)\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in ("bench", "check", "env", "list", "report", "run", "show"))
    commands = [[name, "-h"] for name in ("report", "env", "bench", "check", "list", "show")]
    for words in (["--help"], [], ["run", "--help"], *commands, ["--version"]):
        shown = command(*words)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert max(map(len, shown.stdout.splitlines())) <= 80


def test_the_library_is_as_light():
    program = "import sys, compare\ncompare.Settings()\nassert not {'numpy', 'click', 'rich'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("sent", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_an_interrupt_ends_everything_in_one_line(tmp_path, sent, code, word):
    words = [sys.executable, "-m", "compare", "run", "--output", "out", "--steps", "1000000", "--engine", "reverse"]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    children = []
    until = time.monotonic() + 30
    while not children and time.monotonic() < until:
        time.sleep(0.05)
        children = _children(process.pid)
    time.sleep(1)
    os.killpg(process.pid, sent)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, "", f"compare: {word}\n")
    assert files(tmp_path) == []
    assert children
    assert not any(os.path.exists(f"/proc/{child}") for child in children)


def _children(pid):
    """Process numbers of the children; Linux tells them."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs /proc")
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
            return listed.read().split()
    except FileNotFoundError:
        return []


def test_a_dying_worker_is_one_line_and_exit_code_1(tmp_path, monkeypatch, capsys):
    ask = Worker.ask

    def killing(self, request, heard=None):
        if isinstance(request, workers.Request) and type(request).__name__ == "Time":
            os.kill(self.pid, signal.SIGKILL)
        return ask(self, request, heard)

    monkeypatch.setattr(Worker, "ask", killing)
    monkeypatch.chdir(tmp_path)
    assert cli._main(["run", *map(str, SMALL)]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "compare: the worker for reverse was killed by SIGKILL (out of memory?)\n")
    assert files(tmp_path) == []


def test_divergence_is_one_line_and_exit_code_1(command, tmp_path):
    done = command("run", *SMALL, "--engine", "reverse", "--lr", "1e308")
    assert done.returncode == 1
    assert re.fullmatch(r"compare: reverse: the loss became (inf|nan) in step \d+; .*\n", done.stderr)
    assert files(tmp_path) == []


def test_a_disagreement_is_reported_and_exit_code_3(tmp_path, monkeypatch, capsys):
    from compare import agreement

    monkeypatch.setattr(agreement, "TOLERANCE", -1.0)
    monkeypatch.chdir(tmp_path)
    assert cli._main(["run", *map(str, SMALL), "--engine", "reverse", "--engine", "forward-activations", "--name", "x"]) == 3
    _, err = capsys.readouterr()
    assert err.startswith("compare: forward-activations and reverse disagree: parameter ")
    assert files(tmp_path) == ["reports", "x.html", "x.jsonl"]


def test_a_fault_of_ours_is_one_line_too(monkeypatch, capsys, tmp_path):
    from compare import experiment

    def broken(*_):
        raise KeyError("oops\nthere")

    monkeypatch.setattr(experiment, "run", broken)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFMODES_DEBUG", raising=False)
    assert cli._main(["run"]) == 1
    _, err = capsys.readouterr()
    assert err.startswith("compare: internal error: KeyError: ")
    assert err.count("\n") == 1
    monkeypatch.setenv("DIFFMODES_DEBUG", "1")
    with pytest.raises(KeyError):
        cli._main(["run"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_standard_output_that_is_full_is_told(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "compare", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "compare: cannot write: No space left on device\n"
