"""Running the claims: what is kept, what is skipped, what a broken file does, and the command."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from compare import cli
from compare.errors import InputError
from compare.notes import catalogue, page, records, runner
from compare.notes.catalogue import CLAIMS, Entry
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table

NASTY = "<script>alert('&\"x\"')</script> {{ 7 * 7 }}"


@dataclass(frozen=True, kw_only=True)
class Quick(Claim):
    """A claim that takes no time; `calls` counts how often each was measured."""

    slug: str = ""
    size: int = 3
    calls: ClassVar[dict[str, int]] = {}
    experiment = f"Nothing is done. {NASTY}"
    needs = (AGREE, Criterion("the number", "number", low=1.0))
    limits = (Limit("only to {}", "limit", low=5.0),)

    def measure(self) -> Measured:
        self.calls[self.slug] = self.calls.get(self.slug, 0) + 1
        return Measured({"agreement": 0.0, "number": 2.0, "limit": float("nan")}, {"x": [1.0, float("inf")]})

    def figure(self, measured: Measured) -> Figure:
        return Figure("<svg></svg>", [(NASTY, "strategy-0")])

    def table(self, measured: Measured) -> Table:
        return Table((NASTY, "b"), [(NASTY, "1")], NASTY)


@pytest.fixture(autouse=True)
def forgotten():
    Quick.calls.clear()


def load(entry: Entry) -> Claim:
    return Quick(slug=entry.slug)


def run(kept, names=(), **options):
    return runner.run(catalogue.chosen(names), kept, **{"load": load, **options})


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_claim_is_kept_as_soon_as_it_is_done(tmp_path):
    kept, seen = tmp_path / "notes.jsonl", []

    def heard(entry, done):
        seen.append((entry.number, done, kept.exists() and len(lines(kept)) - 2))

    run(kept, ("2", "dropout"), heard=heard)
    assert seen == [(2, 0, False), (2, 1, 1), (7, 0, 1), (7, 1, 2)]
    kinds = [line["kind"] for line in lines(kept)]
    assert kinds == ["notesheader", "environment", "shown", "shown"]
    assert lines(kept)[2]["measured"]["numbers"] == {"agreement": 0.0, "number": 2.0, "limit": None}
    assert lines(kept)[2]["measured"]["series"] == {"x": [1.0, None]}
    assert lines(kept)[2]["settings"] == {"seed": 0, "slug": "reverse", "size": 3}


def test_what_is_recorded_is_not_measured_again(tmp_path):
    kept = tmp_path / "notes.jsonl"
    run(kept, ("1", "2"))
    before = kept.read_bytes()
    run(kept, ("1", "2"))
    assert kept.read_bytes() == before
    run(kept, ("2", "3"))
    assert Quick.calls == {"forward": 1, "reverse": 1, "newton": 1}
    run(kept, ("2",), fresh=True)
    assert Quick.calls == {"forward": 1, "reverse": 2, "newton": 1}
    run(kept, ("3",), load=lambda entry: Quick(slug=entry.slug, size=4))
    assert Quick.calls["newton"] == 2
    assert [line["number"] for line in lines(kept)[2:]] == [1, 2, 3]


@pytest.mark.parametrize("change", [{"code": "0" * 12}, {"program": "0.0.0"}])
def test_records_of_other_code_are_measured_again(tmp_path, change):
    kept = tmp_path / "notes.jsonl"
    run(kept, ("1",))
    head, environment, shown = lines(kept)
    kept.write_text("".join(json.dumps(each) + "\n" for each in (head, environment, shown | change)))
    assert "Not measured yet" in page.render(records.read(kept), "", load)
    run(kept, ("1",))
    assert Quick.calls == {"forward": 2}


def test_the_code_of_an_experiment_is_its_fingerprint():
    codes = {entry.code for entry in CLAIMS}
    assert len(codes) == len(CLAIMS)
    assert all(len(code) == 12 for code in codes)


@pytest.mark.parametrize("cut", [1, 40, 250])
def test_a_torn_last_line_is_discarded_with_a_word(tmp_path, cut):
    kept, words = tmp_path / "notes.jsonl", []
    run(kept, ("1", "2"))
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-cut])
    run(kept, ("1", "2"), word=words.append)
    assert words == [f"the last line of {str(kept)!r} was torn and is discarded"]
    assert Quick.calls == {"forward": 1, "reverse": 2}
    assert len(kept.read_bytes().splitlines()) == len(whole.splitlines())


def test_a_last_line_that_is_half_a_line_with_an_end_is_torn_too(tmp_path):
    kept, words = tmp_path / "notes.jsonl", []
    run(kept, ("1", "2"))
    kept.write_bytes(kept.read_bytes()[:-60] + b"\n")
    run(kept, ("1", "2"), word=words.append)
    assert len(words) == 1
    assert Quick.calls == {"forward": 1, "reverse": 2}


def test_a_file_broken_in_the_middle_is_refused_and_kept_unless_fresh(tmp_path):
    kept = tmp_path / "notes.jsonl"
    run(kept, ("1", "2"))
    rows = kept.read_bytes().splitlines(keepends=True)
    rows[2] = rows[2][:50] + b"\n"
    kept.write_bytes(b"".join(rows))
    with pytest.raises(InputError, match=r"line 3: .*; --fresh begins anew"):
        run(kept, ("1",))
    assert kept.read_bytes() == b"".join(rows)
    run(kept, ("1",), fresh=True)
    assert [line["slug"] for line in lines(kept)[2:]] == ["forward"]


@pytest.mark.parametrize("text", ["not ours\n", '{"kind": "header", "version": 1}\n', "[1]\n", "\n", "half a li"])
def test_a_file_that_is_not_ours_is_refused_even_fresh(tmp_path, text):
    kept = tmp_path / "notes.jsonl"
    kept.write_text(text)
    for fresh in (False, True):
        with pytest.raises(InputError, match="is not a records file of the notes"):
            run(kept, fresh=fresh)
    assert kept.read_text() == text


def test_an_empty_file_and_another_version_are_begun_anew(tmp_path):
    kept, words = tmp_path / "notes.jsonl", []
    kept.write_text("")
    run(kept, ("1",), word=words.append)
    assert words == []
    kept.write_text('{"kind":"notesheader","version":99}\n{"kind":"something"}\n')
    run(kept, ("1",), word=words.append)
    assert len(words) == 1
    assert "another version" in words[0]
    assert lines(kept)[0] == {"kind": "notesheader", "version": 1}


def test_a_run_that_ends_early_keeps_what_is_done(tmp_path):
    kept = tmp_path / "notes.jsonl"

    def interrupted(entry):
        if entry.number == 3:
            raise KeyboardInterrupt
        return load(entry)

    with pytest.raises(KeyboardInterrupt):
        run(kept, load=interrupted)
    assert [line["number"] for line in lines(kept)[2:]] == [1, 2]
    run(kept)
    assert all(count == 1 for count in Quick.calls.values())
    assert len(Quick.calls) == 13


def test_claims_keep_the_machine_they_were_measured_on(tmp_path, monkeypatch):
    kept = tmp_path / "notes.jsonl"
    for machine, name in (("one", "1"), ("other", "3"), ("one", "2")):
        monkeypatch.setattr(runner.environment, "describe", lambda *, heavy, machine=machine: {"processor": machine})
        run(kept, (name,))
    notes = records.read(kept)
    found = {slug: environment.entries["processor"] for slug, (_, environment) in notes.shown.items()}
    assert found == {"forward": "one", "reverse": "one", "newton": "other"}
    document = page.render(notes, "", load)
    assert "Claims 1, 2" in document
    assert "Claims 3" in document


# the page


def test_the_page_shows_what_is_there_and_says_what_is_missing(tmp_path):
    notes = run(tmp_path / "notes.jsonl", ("1", "4"))
    document = page.render(notes, "the command", load)
    assert "Of the 13 claims of the notes, 2 hold and 11 have not been measured yet." in document
    assert document.count("not measured yet</b>") == 11
    assert "python -m compare notes newton" in document
    assert NASTY not in document
    assert document.count("&lt;script&gt;") >= 8
    assert page.render(records.read(tmp_path / "notes.jsonl"), "the command", load) == document


def test_the_page_of_nothing_and_of_everything(tmp_path):
    assert "13 have not been measured yet" in page.render(records.Notes(), "", load)
    document = page.render(run(tmp_path / "notes.jsonl"), "", load)
    assert "Of the 13 claims of the notes, 13 hold." in document
    assert "Not measured yet" not in document


@pytest.mark.parametrize(
    ("numbers", "shown", "kind"),
    [
        ({"number": 2.0, "limit": None}, "Holds.", "good"),
        ({"number": 2.0, "limit": 7.0}, "Holds with a limit: only to", "limited"),
        ({"number": 0.5, "limit": 7.0}, "Does not hold: the number is", "bad"),
    ],
)
def test_the_page_says_each_verdict(tmp_path, monkeypatch, numbers, shown, kind):
    monkeypatch.setattr(Quick, "measure", lambda self: Measured({"agreement": 0.0, **numbers}))
    document = page.render(run(tmp_path / "notes.jsonl", ("1",)), "", load)
    assert f'<p class="proof {kind}"><b>' in document
    assert shown in document
    assert ("✗" in document) == (kind == "bad")


# the command


def test_the_command_leaves_a_page_and_goes_on_from_its_records(command, tmp_path):
    done = command("notes", "norm", "--output", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["notes.html", "notes.jsonl"]
    assert "13 norm: holds\n" in done.stdout
    assert "1 holds and 12 have not been measured yet" in done.stdout
    document = (tmp_path / "out/notes.html").read_text(encoding="utf-8")
    for outside in ("http:", "https:", "<script", "src=", "@import", "<link"):
        assert outside not in document
    assert document.count("<svg") == 1
    before = (tmp_path / "out/notes.jsonl").read_bytes()
    again = command("notes", "13", "--output", "out")
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert (tmp_path / "out/notes.jsonl").read_bytes() == before


def test_help_lists_the_claims_and_loads_nothing(command):
    done = command("notes", "--help")
    assert done.returncode == 0
    assert all(f"{entry.number} {entry.slug}" in done.stdout for entry in CLAIMS)
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["newtn"], "unknown claim 'newtn': it must be a number from 1 to 13 or one of forward, "),
        (["newtn"], "Perhaps you meant 'newton'?"),
        (["14"], "unknown claim '14'"),
        (["--output", "file"], "output folder 'file': it is not a folder"),
        (["--output", "foreign"], "is not a records file of the notes"),
    ],
)
def test_bad_input_ends_with_2_and_changes_nothing(monkeypatch, capsys, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("foreign").mkdir()
    Path("foreign/notes.jsonl").write_text("mine\n")
    before = sorted(tmp_path.rglob("*"))
    assert cli._main(["notes", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupt_keeps_what_is_done(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def until_third(entry):
        if entry.number == 3:
            raise KeyboardInterrupt
        return load(entry)

    original = runner.run
    monkeypatch.setattr(runner, "run", lambda *args, **options: original(*args, **options, load=until_third))
    assert cli._main(["notes"]) == 130
    assert capsys.readouterr() == ("", "compare: interrupted\n")
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["notes.jsonl"]
    assert [line["number"] for line in lines(tmp_path / "reports/notes.jsonl")[2:]] == [1, 2]


def test_engines_that_disagree_end_with_3(monkeypatch, capsys, tmp_path):
    from compare.notes.claims import norm

    monkeypatch.setattr(norm, "difference", lambda a, b: 1.0)
    assert cli._main(["notes", "norm", "--output", str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert err == "compare: the engines disagree in norm\n"
    assert "does not hold: both engines compute the same" in out
