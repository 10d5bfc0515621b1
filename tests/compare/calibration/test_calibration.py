"""Calibrations are kept strictly and belong to one machine; commands make and show them."""

import json

import msgspec
import pytest

from compare.calibration import load, path, read, save
from compare.calibration.model import VERSION
from compare.calibration.store import VARIABLE, UncalibratedError, this_machine
from compare.calibration.terminal import rows
from compare.cli import _main
from compare.errors import InputError
from tests.compare.calibration.prices import US, made


def test_round_trip(kept):
    assert path() == kept
    assert save(made()) == kept
    assert load() == read() == made()
    assert json.loads(kept.read_text())["operations"]["record"] == 3 * US


def test_it_is_kept_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert path() == tmp_path / "diffmodes" / "calibration.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
    assert path().is_absolute()


@pytest.mark.parametrize("name", ["processor", "cores", "threads", "numpy", "BLAS", "diffmodes"])
def test_one_of_another_machine_is_not_used(kept, name):
    save(made(machine=this_machine() | {name: "another one"}))
    with pytest.raises(InputError, match=rf"of another {name} \('another one', here .*compare calibrate"):
        load()
    assert read().machine[name] == "another one"


def changed(**changes):
    return json.dumps(msgspec.to_builtins(made()) | changes).encode()


BAD = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "another object": b'{"a": 1}',
    "an unknown field": changed(colour="red"),
    "a number that is text": changed(call="2"),
    "a curve that falls": changed(traffic={"sizes": [1, 2], "values": [2.0, 1.0], "beyond": 0.0}),
    "a cube with a hole": changed(products={"float32": {"sizes": [1, 2], "seconds": [[[1.0]]]}}),
    "another version": changed(version=99),
    "no pace": changed(pace=0.0),
    "functions of nothing": changed(walks={}),
    "products of nothing": changed(products={}),
    "operations of nothing": changed(operations={}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_calibration_is_told_in_one_line(kept, name):
    kept.parent.mkdir()
    kept.write_bytes(BAD[name])
    with pytest.raises(InputError, match="compare calibrate") as caught:
        load()
    assert str(kept) in str(caught.value)
    assert "`python -m compare calibrate`" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [1, 99])
def test_another_version_may_have_other_fields(kept, version):
    kept.parent.mkdir()
    kept.write_bytes(changed(version=version, colour="red", walks=[]))
    with pytest.raises(UncalibratedError, match=rf"has version {version}, and {VERSION} is read"):
        read()


def test_a_machine_that_is_not_calibrated(kept):
    with pytest.raises(InputError, match=r"not calibrated: run `python -m compare calibrate`"):
        load()
    kept.mkdir(parents=True)
    with pytest.raises(InputError, match="cannot read calibration"):
        load()


def test_what_is_shown():
    shown = rows(made(pace=0.5))
    assert shown["a call of numpy's"] == "0.5 us"
    assert shown["a step in reverse mode"] == "20.0 us"
    assert shown["products of 512x512, float32"] == "2 GFLOP/s"


def test_the_command_shows_what_is_kept(kept, threads, capsys):
    save(made())
    assert _main(["calibrate"]) == 0
    out = capsys.readouterr().out
    assert "a step in reverse mode" in out
    assert "40.0 us" in out
    assert _main(["calibrate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(kept)
    assert told["operations"]["record"] == 3 * US


def test_the_command_warns_of_overheads_that_were_measured_as_nothing(kept, threads, capsys):
    whole = made()
    assert whole.warning == ""
    nothing = dict.fromkeys(("record", "chain", "pullback tanh", "update", "update SGD"), 0.0)  # of the first three that may be left
    save(made(operations=whole.operations | nothing | {"segment": -1e-6}))
    assert _main(["calibrate", "--json"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compare: the calibration has an overhead of 0 for `update`, `update SGD`, which must be above 0")
    assert line.endswith("run `python -m compare calibrate --force` while the machine has nothing else to do")


def test_one_made_in_company_is_warned_of():
    assert made(others=0.2).warning == made(others=None).warning == ""
    assert made(others=0.9).warning.startswith("the machine was calibrated while others kept 0.9 of its cores busy: predictions may be far")
    assert rows(made(others=0.9))["others meanwhile kept busy"] == "0.90 cores"
    assert "others meanwhile kept busy" not in rows(made())


def test_the_command_measures_what_is_not_known(kept, threads, capsys, monkeypatch):
    calls = []

    def measured(heard):
        heard("everything", 0.5)
        calls.append(1)
        return made(pace=0.25)

    monkeypatch.setattr("compare.calibration.measuring.calibrate", measured)
    assert _main(["calibrate"]) == 0
    assert load() == made(pace=0.25)
    assert _main(["calibrate"]) == 0
    assert len(calls) == 1
    assert _main(["calibrate", "--force"]) == 0
    assert len(calls) == 2
    kept.write_bytes(b"{")
    assert _main(["calibrate"]) == 0
    assert load() == made(pace=0.25)
    capsys.readouterr()
