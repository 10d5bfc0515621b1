"""Records of the benchmark go round; other versions, torn files and files of something else are refused in one line."""

import json

import msgspec
import pytest

from compare import records as run_records
from compare.bench import records


def test_they_go_round(tmp_path, lines):
    path = tmp_path / "bench.jsonl"
    path.write_bytes(records.encode(lines))
    assert records.read(path) == lines
    assert run_records.kind(path) == "benchheader"


def test_every_line_is_one_strict_json_object(lines):
    def refuse(constant):
        raise AssertionError(constant)

    kinds = [json.loads(line, parse_constant=refuse)["kind"] for line in records.encode(lines).decode().splitlines()]
    assert kinds == ["benchheader", "environment", "measured", "measured", "measured", "footer"]


def refusal(tmp_path, data):
    path = tmp_path / "bench.jsonl"
    path.write_bytes(data)
    with pytest.raises(run_records.RecordsError) as caught:
        records.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path, lines):
    raw = records.encode(lines)
    parts = raw.splitlines(keepends=True)
    assert "torn in its last line" in refusal(tmp_path, raw[:-5])
    assert "torn" in refusal(tmp_path, b"".join(parts[:2] + parts[3:]))
    assert "line 2" in refusal(tmp_path, b"".join([parts[0], b'{"kind": "unheard"}\n', *parts[1:]]))
    assert "unknown field" in refusal(tmp_path, raw.replace(b'"subject"', b'"object"'))
    newer = [msgspec.structs.replace(lines[0], version=99), *lines[1:]]
    assert f"has version 99; this program reads version {records.VERSION}" in refusal(tmp_path, records.encode(newer))
    assert "not a records file: its first line is not a header" in refusal(tmp_path, b'{"kind": "header", "version": 2}\n')
    with pytest.raises(run_records.RecordsError, match="cannot read records file"):
        run_records.kind(tmp_path / "absent")


@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        (b'"quantity":"bytes"', b'"quantity":"bananas"', "line 5: Invalid enum value 'bananas' - at `$.quantity`"),
        (b'"sense":"at least"', b'"sense":"about"', "line 3: Invalid enum value 'about' - at `$.targets[1].sense`"),
        (b'"bound":2.05', b'"bound":0', "line 4: Expected `float` > 0.0 - at `$.targets[0].bound`"),
        (b'"share":0.01', b'"share":0', "line 3: Expected `float` > 0.0 - at `$.entrants[2].share`"),
        (b'"seconds":12.3', b'"seconds":-1', "line 1: Expected `float` >= 0.0 - at `$.seconds`"),
    ],
)
def test_values_that_mean_nothing_are_refused(tmp_path, lines, was, becomes, reason):
    raw = records.encode(lines)
    assert was in raw
    assert reason in refusal(tmp_path, raw.replace(was, becomes))


def test_a_second_header_or_footer_is_refused(tmp_path, lines):
    footer = run_records.Footer(lines=1)
    assert "line 3: a second header" in refusal(tmp_path, records.encode([*lines[:2], lines[0]]))
    assert "line 2: a second footer" in refusal(tmp_path, records.encode([lines[0], footer, *lines[1:]]))
