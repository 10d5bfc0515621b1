"""`python -m compare bench` as a person meets it."""

import json

import pytest

from compare.bench import runner, terminal
from compare.bench.contest import Absent, Contest, Contestant
from compare.bench.records import Target, encode
from compare.bench.timing import race
from compare.bench.wanted import Wanted
from compare.errors import DisagreementError


def test_it_tells_in_json_and_leaves_page_and_records(command, tmp_path):
    done = command("bench", "--json", "--rounds", 2, "--only", "jacobian", "--output", "out")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert len(told["rows"]) == 4
    assert all(row["ratio"] > 0 and row["met"] in (True, False) and row["rounds"] == 2 for row in told["rows"])
    assert {len(times) for measured in told["measured"] for times in measured["values"].values()} == {2}
    assert "OMP_NUM_THREADS=2" in told["environment"]["threads"]
    assert told["environment"]["HIPS autograd"]

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bench.html", "bench.jsonl"]
    again = command("report", "out/bench.jsonl", "--output", "again.html")
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "out/bench.html").read_bytes()
    assert "revdiff, row by row" in again.stdout
    assert max(map(len, again.stdout.splitlines())) <= 80


BAD = [
    (["--only", "jvps"], "unknown group 'jvps'"),
    (["--rounds", "many"], "'many' is not a valid integer"),
    (["--only", "jvp", "--output", "file"], "output folder 'file': it is not a folder"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_bad_input_is_one_line_and_nothing_is_written(command, tmp_path, words, message):
    (tmp_path / "file").write_text("not ours\n")
    done = command("bench", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def contest(*works, absent=()):
    entrants = [Contestant(name, work) for name, work in works] + [Absent(name, "not installed") for name in absent]
    targets = tuple(Target(works[0][0], name) for name in ([name for name, _ in works[1:]] + list(absent)))
    return Contest("jvp", "made up", "seconds", targets, lambda limits, heard: race(entrants, limits, heard))


def one():
    return 1.0, {"w": [1.0]}


def test_contests_are_measured_in_order_and_progress_is_told(capsys):
    told = []
    contests = [contest(("a", one), ("b", one)), contest(("a", one), absent=["c"])]
    lines = runner.run(Wanted(rounds=2, only=("jvp",)), contests, lambda done, what: told.append((done, what)))
    assert [done for done, _ in told] == [0.0, 0.0, 0.5, 1.0, 1.0, 1.5]
    assert {what for _, what in told} == {"jvp: made up"}
    header, environment, first, second = lines
    assert header.command == "python -m compare bench --only jvp --rounds 2"
    assert list(header.groups) == ["jvp"]
    assert "HIPS autograd" in environment.entries
    assert [len(entrant.values) for entrant in (*first.entrants, *second.entrants)] == [2, 2, 2, 0]
    encode(lines)
    terminal.print_table(lines, terminal.Console())
    assert "not installed" in capsys.readouterr().out


def test_contestants_that_disagree_end_it():
    with pytest.raises(DisagreementError, match="derivatives by b differ from those by a"):
        runner.run(Wanted(rounds=1), [contest(("a", one), ("b", lambda: (1.0, {"w": [2.0]})))])
