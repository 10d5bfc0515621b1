"""Records go round, and a file of another version, a torn one or one of someone else's is refused in one line."""

import json

import msgspec
import pytest

from compare import records


def test_a_run_goes_round(tmp_path, small_run):
    path = tmp_path / "run.jsonl"
    path.write_bytes(records.encode(small_run))
    assert records.read(path) == small_run


def test_every_line_is_one_strict_json_object(small_run):
    def refuse(constant):
        raise AssertionError(constant)

    lines = records.encode(small_run).decode().splitlines()
    kinds = [json.loads(line, parse_constant=refuse)["kind"] for line in lines]
    assert kinds[0] == "header"
    assert kinds[-1] == "footer"
    assert json.loads(lines[-1])["lines"] == len(lines) - 1


@pytest.fixture
def raw(small_run):
    return records.encode(small_run)


def refusal(tmp_path, data):
    path = tmp_path / "run.jsonl"
    path.write_bytes(data)
    with pytest.raises(records.RecordsError) as caught:
        records.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_torn_anywhere_is_refused(tmp_path, raw):
    lines = raw.splitlines(keepends=True)
    assert "torn in its last line" in refusal(tmp_path, raw[:-5])
    assert "torn" in refusal(tmp_path, raw[:-1])
    assert "torn" in refusal(tmp_path, b"".join(lines[:-1]))
    assert "torn" in refusal(tmp_path, b"".join(lines[:2] + lines[3:]))


def test_another_version_is_refused(tmp_path, small_run):
    header = msgspec.structs.replace(small_run[0], version=99)
    assert f"has version 99; this program reads version {records.VERSION}" in refusal(tmp_path, records.encode([header, *small_run[1:]]))


def test_what_is_no_records_file_is_refused(tmp_path, raw):
    assert "is empty" in refusal(tmp_path, b"")
    assert "not a records file" in refusal(tmp_path, b"\x80\x81\n")
    assert "not a records file" in refusal(tmp_path, b'{"a": 1}\n')
    lines = raw.splitlines(keepends=True)
    assert "line 2" in refusal(tmp_path, b"".join([lines[0], b'{"kind": "unheard"}\n', *lines[1:]]))
