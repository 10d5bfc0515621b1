"""The arithmetic of ratios, what becomes of targets, and how they are told."""

import json

import msgspec
import pytest
from rich.console import Console

from compare.bench.as_json import as_json
from compare.bench.records import AT_LEAST, Entrant, Measured, Target
from compare.bench.summary import ABSENT, MET, MISSED, OPEN, rows_of, shown, summarize, told
from compare.bench.terminal import print_table
from compare.records import RecordsError


def row(work, against, target, quantity="seconds"):
    measured = Measured("g", "s", quantity, [Entrant("a", work), Entrant("b", against)], [target])
    (found,) = rows_of(measured)
    return found


def test_ratios_are_medians_of_those_within_a_round_of_the_whole_work(lines):
    ratios = [found.ratio for found in summarize(lines).rows]
    assert ratios == pytest.approx([2.0, 0.1 / 3e-4, None, 1000.0, 2.0, 1.001])
    first = summarize(lines).rows[0]
    assert (first.lower, first.upper) == (2.0, 2.5)
    assert first.rounds == 3


def test_targets_have_a_side():
    assert row([1.9], [1.0], Target("a", "b", 2.0)).state == MET
    assert row([2.0], [1.0], Target("a", "b", 2.0)).state == MET
    assert row([2.1], [1.0], Target("a", "b", 2.0)).state == MISSED
    assert row([2.1], [1.0], Target("a", "b", 2.0, AT_LEAST)).state == MET
    assert row([1.9], [1.0], Target("a", "b", 2.0, AT_LEAST)).state == MISSED
    assert row([1.9], [1.0], Target("a", "b")).state == OPEN


def test_distance_is_in_parts_of_the_bound():
    assert row([3.0], [1.0], Target("a", "b", 2.0)).distance == 1.5
    assert row([3.0], [1.0], Target("a", "b", 6.0, AT_LEAST)).distance == 2.0
    at_least = row([3.0, 4.0, 5.0], [1.0] * 3, Target("a", "b", 6.0, AT_LEAST))
    assert at_least.reach == (6 / 4.5, 6 / 3.5)
    assert row([3.0], [1.0], Target("a", "b")).distance is None


def test_states_and_the_verdict(lines):
    run = summarize(lines)
    assert [found.state for found in run.rows] == [MISSED, MET, ABSENT, OPEN, MET, MISSED]
    assert run.verdict == "2 of 4 targets are met; 1 row could not be measured."
    assert summarize([*lines[:2], lines[3]]).verdict == "The one target is met."
    assert summarize(lines[:2]).verdict == "No target was measured."


def test_numbers_as_people_read_them():
    values = {0.0123: "0.0123", 0.5: "0.500", 1.0: "1.00", 1.004: "1.00", 12.34: "12.3", 123.4: "123", 12345.6: "12,346"}
    assert {value: shown(value) for value in values} == values
    assert told(row([1.004], [1.0], Target("a", "b"))) == "1.00"
    assert told(row([1.004], [1.0], Target("a", "b", 1.0))) == "1.004"
    assert told(row([1.0004], [1.0], Target("a", "b", 1.0))) == "1.0004"


BROKEN = [
    (lambda m: replace_target(m, Target("ours", "nobody")), "name 'ours' and 'nobody'"),
    (lambda m: entrants(m, [Entrant("ours", [1.0]), Entrant("theirs", [1.0, 2.0])]), "not measured in the same rounds"),
    (lambda m: entrants(m, [Entrant("ours", []), Entrant("theirs", [])]), "not measured in the same rounds"),
    (lambda m: entrants(m, [Entrant("ours", [1.0]), Entrant("theirs", [0.0])]), "not positive"),
    (lambda m: entrants(m, [Entrant("ours", [1.0], share=0.0), Entrant("theirs", [1.0])]), "not positive"),
    (lambda m: entrants(m, [Entrant("ours", [1.0]), Entrant("theirs", [5e-324])]), "is no number to be told"),
    (lambda m: entrants(m, [Entrant("ours", [5e-324], share=1e300), Entrant("theirs", [1.0])]), "is no number to be told"),
    (lambda m: entrants(m, [*m.entrants, m.entrants[0]]), "hold an entrant twice"),
    (lambda m: entrants(m, [Entrant("ours", [1.0]), Entrant("theirs", [1.0], absent="not here")]), "'theirs' is absent, and has values"),
    (lambda m: replace_target(m, Target("ours", "ours")), "compare 'ours' with itself"),
    (lambda m: msgspec.structs.replace(m, group="elsewhere"), "are of group 'elsewhere', which the header does not name"),
]


def replace_target(measured, target):
    return msgspec.structs.replace(measured, targets=[target])


def entrants(measured, found):
    return msgspec.structs.replace(measured, entrants=found)


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_records_that_make_no_sense_are_refused(lines, change, message):
    with pytest.raises(RecordsError, match=message):
        summarize([*lines[:-1], change(lines[-1])])


def test_records_of_something_else_are_refused(lines):
    for wrong in ([], lines[1:]):
        with pytest.raises(RecordsError, match="do not begin with the header of a run of the benchmark"):
            summarize(wrong)


def test_an_environment_told_twice_is_refused(lines):
    with pytest.raises(RecordsError, match="describe the environment twice"):
        summarize([*lines, lines[1]])


def test_the_table_has_80_columns_and_every_row(lines, capsys):
    print_table(lines, Console(width=100))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    table = " ".join(text.split())
    for part in (
        "ours / by hand 2.00× 2.00 to 2.50 at most 1.25× NO",
        "in parts / ours 333× 194 to 417 at least 100× yes",
        "ours / a peer not installed at most 1×",
        "in parts / by hand 1,000×",
        "Linear(2, 2) 2.00× at most 2.05× yes",
        "net 1.001× at most 1× NO",
        "in parts: 1 of 100 parts, scaled.",
        "Threads: OMP_NUM_THREADS=2.",
        "2 of 4 targets are met",
    ):
        assert part in table, part


def test_json_holds_every_row(lines):
    told = json.loads(json.dumps(as_json(lines)))
    assert [(one["work"], one["met"]) for one in told["rows"]] == [
        ("ours", False), ("in parts", True), ("ours", None), ("in parts", None), ("jvp", True), ("ours", False),
    ]  # fmt: skip
    assert told["rows"][2]["absent"] == "not installed"
    assert told["rows"][0]["quartiles"] == [2.0, 2.5]
    assert told["measured"][0]["values"]["in parts"] == [0.1, 0.1, 0.1]
    assert told["environment"]["numpy"] == "2"
