"""The page is whole in itself, small, the same for the same records, and shows every row."""

import pytest

from compare.report.bench import render


@pytest.fixture
def html(lines):
    return render(lines)


@pytest.fixture
def page(html, take_apart):
    return take_apart(html)


def test_it_is_well_formed_and_loads_nothing(html, page):
    assert page.faults == []
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "use", "image", "base"}
        assert not {"src", "href", "srcset", "action"} & set(attributes)
    assert not [part for part in ("http:", "https:", "@import", "url(") if part in html]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(html.encode()) < 100_000


def test_the_same_records_make_the_same_page(html, lines):
    assert render(lines) == html


def test_every_row_is_there(page):
    assert page.row("ours / by hand") == ["ours / by hand300 µs / 100 µs", "2.00×2.00 to 2.50", "at most 1.25×", "✗"]
    assert page.row("in parts / ours") == [
        "in parts / ours100 ms / 300 µs; in parts: 1 of 100 parts, scaled", "333×194 to 417", "at least 100×", "✓",
    ]  # fmt: skip
    assert page.row("ours / a peer") == ["ours / a peernot installed", "\N{EM DASH}", "at most 1×", ""]
    assert page.row("in parts / by hand")[2:] == ["", ""]
    assert page.row("Linear(2, 2): jvp / primal") == ["Linear(2, 2): jvp / primal30 kFLOP / 15 kFLOP", "2.00×", "at most 2.05×", "✓"]
    assert page.row("net: ours / theirs")[1:] == ["1.001×", "at most 1×", "✗"]


def test_it_says_where_and_how(page):
    for part in ("2 of 4 targets are met", "python -m compare bench", "OMP_NUM_THREADS=2", "2026-01-02 03:04 UTC", "3 interleaved rounds"):
        assert part in page.text


def test_figures_show_the_rows_that_have_a_bound(page):
    figures = [attributes["aria-label"] for tag, attributes in page.elements if tag == "svg"]
    assert len(figures) == 3
    assert figures[0].count("of its bound") == 2


def test_a_group_without_bounds_has_no_figure(lines, take_apart):
    peerless = [*lines[:2], type(lines[2])("reverse-numpy", "s", "seconds", lines[2].entrants, lines[2].targets[2:])]
    page = take_apart(render(peerless))
    assert "svg" not in {tag for tag, _ in page.elements}
    assert "No target was measured; 1 row could not be measured." in page.text
