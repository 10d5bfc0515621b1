"""`python -m compare check`: what it prints, writes and ends with, right kernels and wrong ones."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from compare import cli
from compare.check import runner
from compare.check.records import Checked, CheckHeader, Failure, Point, decode_kernel, encode, encode_kernel
from compare.check.selection import Selection
from compare.check.summary import BAD, GOOD, LEFT_OUT, NONE, summarize
from compare.check.table import CHECKS
from compare.errors import InputError, WorkerError
from compare.records import Environment, RecordsError
from compare.report.coverage import HEADS, render
from compare.report.matrix import print_matrix
from diffcore.kernels import registered
from diffcore.testing.mutations import replaced

from .conftest import ROOT

COLUMNS = {check.name: check.column for check in CHECKS} | {"misuse": "misuse"}
NASTY = "<script>alert('&\"x\"')</script> {{ 7 * 7 }} [bold]"
QUICK = ("--backend", "numpy", "--no-jax", "--no-torch", "--jobs", "1")


def header(**changes):
    known = {"version": 1, "command": "python -m compare check", "created": "today", "checks": COLUMNS, "left_out": {}, "oracles": {}}
    return CheckHeader(**{**known, "seconds": 1.5, **changes})


def checked(kernel, *failures, rows=12, **passed):
    known = dict.fromkeys(COLUMNS, rows) | passed
    return Checked(kernel, True, rows, 4, known, {}, list(failures), ["longdouble"])


def printed(lines, encoding="utf-8", width=80):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    print_matrix(lines, Console(file=stream, width=width))
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_agreement_ends_with_0_and_leaves_what_was_asked_for(command, tmp_path):
    done = command("check", "tanh", "less", *QUICK, "--html", "out/page.html", "--output", "out/records.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["page.html", "records.jsonl"]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "checks of 2 kernels agree" in done.stdout
    page = (tmp_path / "out/page.html").read_text()
    assert "python -m compare check tanh less --backend numpy --no-torch --no-jax --html out/page.html" in page
    assert "relu at 0" in page


def test_processes_find_what_one_finds():
    known = {"kernels": ("less", "exp", "sum"), "backend": "numpy", "torch": False, "jax": False}
    alone, together = (runner.run(Selection(jobs=jobs, **known)) for jobs in (1, 2))
    kernels = [[line for line in lines if isinstance(line, Checked)] for lines in (alone, together)]
    assert kernels[0] == kernels[1]
    assert {line.kernel for line in kernels[0]} == {"less", "exp", "sum"}


def test_a_lost_process_is_told(monkeypatch):
    from compare.check import pool

    monkeypatch.setattr(pool, "_give", lambda connection, waiting: (waiting.pop(0), connection.close())[0])
    monkeypatch.setattr(pool, "wait", lambda connections: connections)
    with pytest.raises(WorkerError, match="the process that checked exp ended"):
        list(pool.each(["exp"], Selection(jobs=2)))


def test_a_disagreement_ends_with_3_and_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    kernel = registered()["exp"]
    with replaced(kernel, pushforward=lambda call, tangents: -tangents[0] * call.out):
        code = cli._main(["check", "exp", *QUICK, "--html", "page.html"])
    out, err = capsys.readouterr()
    assert code == 3
    assert err.startswith("compare: ")
    assert "disagreement" in err
    assert "exp, row 'matrix', adjoint: exp: <u, J v> and <J^T u, v>" in " ".join(out.split())
    assert "✗" in out
    assert "Where they disagree" in (tmp_path / "page.html").read_text()


BAD_INPUT = [
    (["tahn"], "unknown kernel 'tahn': none of the"),
    (["tanhh"], "Perhaps you meant 'tanh'?"),
    (["--backend", "numpi"], "unknown backend 'numpi': it must be numpy, jax or all. Perhaps you meant 'numpy'?"),
    (["--engine", "forward"], "unknown engine 'forward'"),
    (["--jobs", "0"], "`--jobs` (=0) must be from 1 to"),
    (["--jobs", "many"], "'many' is not a valid integer"),
    (["tanh", "--html", "file/page.html"], "output folder 'file': it is not a folder"),
    (["tanh", "--html", "x", "--output", "x"], "are one file"),
]


@pytest.mark.parametrize(("words", "message"), BAD_INPUT, ids=[f"{' '.join(words)} {message[:12]}" for words, message in BAD_INPUT])
def test_bad_input_ends_with_2(words, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert cli._main(["check", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupt_ends_every_process(tmp_path):
    words = [sys.executable, "-m", "compare", "check", "--jobs", "2", "--html", "page.html"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, cwd=tmp_path, env=environ, start_new_session=True, **pipes)
    time.sleep(8)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "compare: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_selections_leave_out_what_was_not_asked_for():
    names = {check.name: check for check in CHECKS}
    reverse = Selection(engine="revdiff")
    assert reverse.left_out(names["Jacobian by dualdiff"]) == "--engine revdiff"
    assert reverse.left_out(names["forward over reverse"]) == "--engine revdiff"
    assert reverse.left_out(names["adjoint"]) == reverse.left_out(names["reverse over reverse"]) == ""
    numpy = Selection(backend="numpy", torch=False)
    assert numpy.left_out(names["jit by revdiff"]) == "--backend numpy"
    assert numpy.left_out(names["abstract values"]) == numpy.left_out(names["jax as an oracle"]) == ""
    assert numpy.left_out(names["torch as an oracle"]) == "--no-torch"
    assert Selection(backend="jax").left_out(names["adjoint"]) == "--backend jax"
    assert all(Selection().left_out(check) == "" for check in CHECKS)
    with pytest.raises(InputError):
        Selection(backend="torch")


def test_cells_say_what_was_found():
    wrong = checked("b", Failure("adjoint", "same", "differs"))
    nothing = Checked("c", False, 3, 0, dict.fromkeys(COLUMNS, 0), {"gradient by revdiff": "no derivative"}, [], [])
    run = summarize([header(left_out={"torch as an oracle": "--no-torch"}), checked("a"), wrong, nothing])
    assert run.cell(run.kernels[0], "rules").state == GOOD
    assert (run.cell(wrong, "rules").state, run.cell(wrong, "rules").note) == (BAD, "1 of 37 disagree")
    assert (run.cell(nothing, "reverse").state, run.cell(nothing, "reverse").note) == (NONE, "no derivative")
    torchless = Checked("d", True, 3, 0, {}, {}, [], [])
    assert (run.cell(torchless, "torch oracle").state, run.cell(torchless, "torch oracle").note) == (LEFT_OUT, "not run: --no-torch")
    assert run.verdict.startswith("1 of ")
    assert summarize([header(), checked("a")]).verdict.endswith("checks of the kernel a agree.")
    with pytest.raises(RecordsError):
        summarize([])


@pytest.mark.parametrize("width", [80, 200])
def test_the_matrix_fits_80_columns(width):
    text = printed([header(), checked("a_kernel_with_a_name_of_some_length"), checked("b")], width=width)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_any_encoding_will_do_and_markup_is_text():
    text = printed([header(), checked("[bold]ü[/bold]", Failure("adjoint", "[red]", "é\nsecond line"))], encoding="ascii")
    assert "[bold]?[/bold]" in text.replace("\n", "")
    assert "row '[red]', adjoint: ?" in " ".join(text.split())
    assert "second line" not in text
    assert " X " in text
    assert "\x1b" not in text


def test_records_go_through_a_pipe_unchanged():
    one = checked("a", Failure("adjoint", "row", NASTY))
    assert decode_kernel(encode_kernel(one)) == one
    assert encode([header(), one]).count(b"\n") == 3


def test_every_column_has_a_head_and_a_meaning():
    assert set(COLUMNS.values()) == set(HEADS)


def test_the_page_is_whole_in_itself_and_holds_no_markup_of_others():
    lines = [header(command=NASTY), Environment({NASTY: NASTY}), checked(NASTY, Failure("adjoint", NASTY, NASTY)), Point(*[NASTY] * 5)]
    page = render(lines)
    assert render(lines) == page
    for word in ("<script", "src=", "href=", "url(", "http:", "https:"):
        assert word not in page
    assert page.count("{{ 7 * 7 }}") >= 10
    assert "--good" in page
