from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from compare.records import Memory, Strategy, Training
from compare.report import print_report


def printed(records, encoding="utf-8", width=80, **options):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    print_report(records, Console(file=stream, width=width, **options))
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_fits_80_columns(synthetic, width):
    assert max(map(len, printed(synthetic.run(), width=width).splitlines())) <= 80


def test_every_number_asked_for_is_there(synthetic):
    text = printed(synthetic.run())
    for part in ("97.2 %", "91.4 %", "on test", "440 steps", "60 steps", "IQR", "measured", "109 KiB", "197 KiB", "9.41 MiB", "681 kFLOP"):
        assert part in text
    for part in ("1.8x reverse", "88x reverse", "398x reverse"):
        assert part in text
    whole = " ".join(text.split())
    assert "forward by activations agrees with reverse mode: parameters after 200 steps in float64 differ by at most 3e-15" in whole
    assert "reverse mode is cheapest" in whole


def test_no_cell_is_cut_off(synthetic):
    assert "…" not in printed(synthetic.run())


def test_scores_of_other_tasks_fit_too(synthetic):
    records = synthetic.run(score="token accuracy", task="language", inputs=(32,))
    for encoding in ("utf-8", "ascii"):
        text = printed(records, encoding)
        assert max(map(len, text.splitlines())) <= 80
        assert "token" in text
        assert "FLOPs per step" in text
    text = printed(synthetic.run(score="R²", unit="", task="regression"), "ascii")
    assert "R^2" in text
    assert "0.972" in text
    lines = synthetic.run((synthetic.REVERSE,))
    unscored = [msgspec.structs.replace(line, score_test=None, losses=[1.0]) if isinstance(line, Training) else line for line in lines]
    assert "on test" in printed(unscored)
    assert "1 step " in printed(unscored)


def test_a_pipe_gets_no_colour(synthetic):
    assert "\x1b" not in printed(synthetic.run())


def test_any_encoding_will_do(synthetic):
    text = printed(synthetic.run(network="größe ☃"), encoding="ascii")
    assert "2.9x the time" in text
    assert "IQR" in text


def test_markup_in_records_is_text(synthetic):
    records = [
        Strategy(line.name, line.engine, line.seeding, "[bold]x[/bold]", line.directions, "[red]n") if isinstance(line, Strategy) else line
        for line in synthetic.run((synthetic.REVERSE,))
    ]
    text = printed(records)
    assert "[bold]x[/bold]" in text
    assert "[red]n" in text


def test_planned_peaks_say_so(synthetic):
    records = [synthetic.memory(line.strategy, measured_peak=None) if isinstance(line, Memory) else line for line in synthetic.run()]
    text = printed(records)
    assert "planned" in text
    assert "measured" not in text


def test_missing_parts_leave_a_dash(synthetic):
    text = printed([synthetic.header(), synthetic.strategy(synthetic.REVERSE)])
    assert text.count("—") >= 4
    assert "nothing to compare it with" in " ".join(text.split())


def test_a_disagreement_is_printed(synthetic):
    records = synthetic.run((synthetic.REVERSE, synthetic.ACTIVATIONS))[:-1]
    records.append(synthetic.agreement(synthetic.ACTIVATIONS, 1.0))
    assert "DISAGREES" in printed(records)
