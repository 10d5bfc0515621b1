from __future__ import annotations

import re
import subprocess
import sys

import pytest

from compare.records import Agreement, Arithmetic, Environment, Memory, Moment, Strategy, Timing, Training
from compare.report import render_html
from compare.report.summary import planned

R, A, P = "reverse", "forward-activations", "forward-parameters"


@pytest.fixture(scope="module")
def html(synthetic):
    return render_html(synthetic.run())


@pytest.fixture
def page(html, take_apart):
    return take_apart(html)


def test_tags_balance(page):
    assert page.faults == []


def test_nothing_comes_from_elsewhere(html, page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "use", "image", "base"}
        for name, value in attributes.items():
            assert name not in {"src", "href", "xlink:href", "srcset", "action"}
            assert not name.startswith("on")
            assert "http:" not in value
            assert "https:" not in value
            assert "url(" not in value
    assert "@import" not in html
    assert "url(" not in html


def test_ids_do_not_clash(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_it_is_small(html):
    assert len(html.encode()) < 200_000


def test_the_same_records_make_the_same_page(html, synthetic):
    assert render_html(synthetic.run()) == html


def test_the_verdict_stands_on_top(page):
    (heading,) = [index for index, (tag, _) in enumerate(page.elements) if tag == "h1"]
    assert not any(tag in {"table", "svg", "h2"} for tag, _ in page.elements[:heading])
    assert "reverse mode is cheapest" in page.text


def test_the_table_shows_what_was_recorded(page, synthetic):
    row = page.row("forward, activation directions")
    for part in ("97.2 %", "279 µs", "2.9×", "n = 500", "197 KiB", "1.8×", "measured", "2.18 MFLOP", "3.2×"):
        assert part in " ".join(row)


def test_the_numbers_of_every_figure_stand_in_its_table(page, synthetic):
    heads = [row[1] for row in page.rows if len(row) > 1]
    assert {"least", "measured peak", "primal", "steps"} <= set(heads)
    start = next(index for index, row in enumerate(page.rows) if "primal" in row)
    assert page.row("reverse", start)[1:] == ["311 k", "0", "360 k", "9.64 k", "681 k", "2.69 k"]
    start = next(index for index, row in enumerate(page.rows) if "planned peak" in row)
    assert page.row("reverse", start)[1] == "109 KiB"
    assert planned(synthetic.memory(R)) / 1024 == pytest.approx(float(page.row("reverse", start)[2].removesuffix(" KiB")), rel=0.01)
    start = next(index for index, row in enumerate(page.rows) if "first loss" in row)
    assert page.row("reverse", start)[1] == "440"
    assert float(page.row("reverse", start)[3]) == pytest.approx(synthetic.training(R).losses[-1], rel=1e-3)


def test_the_proof_gives_every_parameter(page):
    assert "after 200 training steps in float64 from one seed all parameters differ by at most 3e-15, within the tolerance" in page.text
    start = next(index for index, row in enumerate(page.rows) if "0.weight" in row)
    assert page.row("forward, activation", start)[1:] == ["2.6e-15", "8.7e-16", "1.3e-15", "0"]


def test_it_says_how_to_run_again_and_where_it_ran(page, synthetic):
    assert synthetic.header().command in page.text
    for name, value in synthetic.environment().entries.items():
        assert f"{name} {value}" in page.text
    assert "A multiply-add counts 2 operations" in page.text


def test_every_figure_has_a_name_for_those_who_cannot_see_it(page):
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(drawings) == 5
    assert all(drawing["role"] == "img" and len(drawing["aria-label"]) > 20 for drawing in drawings)
    assert len({drawing["aria-label"] for drawing in drawings}) == 5


def test_colours_come_from_the_style_sheet(html, page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}", drawings) == []
    used = set(re.findall(r"var\((--[\w-]+)\)", html))
    assert {name for name in used if f"{name}:" not in page.styles} == set()
    assert "DejaVu" not in drawings


def test_a_sample_for_every_dot(html, synthetic):
    drawing = re.search(r'<svg[^>]*aria-label="Time per step.*?</svg>', html, re.DOTALL)
    assert drawing is not None
    assert drawing[0].count("h0") == sum(len(samples) for name in (R, A, P) for samples in synthetic.timing(name).rounds)


def test_a_great_many_samples_stay_small(synthetic, take_apart):
    records = synthetic.run()
    long = {
        Timing: lambda name: synthetic.timing(name, rounds=20, each=2000),
        Training: lambda name: synthetic.training(name, 20_000),
        Agreement: lambda name: synthetic.agreement(name, steps=20_000),
        Memory: lambda name: synthetic.memory(name, timeline=synthetic.timeline(name) * 1000),
    }
    records = [long[type(line)](line.strategy) if type(line) in long else line for line in records]
    html = render_html(records)
    assert len(html.encode()) < 1_000_000
    assert "highest of each of 300 equal stretches" in take_apart(html).text


NASTY = "<script>alert('&\"x\"')</script>$x$ {{ 7 * 7 }} #c0de00"


def test_text_of_records_is_text(synthetic, take_apart):
    records = synthetic.run(name=NASTY, command=NASTY, network=NASTY, shape=NASTY, data=NASTY, optimizer=NASTY, created=NASTY)
    strategies = {name: synthetic.strategy(name, title=f"{name} {NASTY}", note=NASTY) for name in (R, A, P)}
    records = [strategies[line.name] if isinstance(line, Strategy) else line for line in records]
    records = [
        synthetic.memory(line.strategy, measured_by=NASTY, timeline=[Moment(NASTY, {NASTY: 5})])
        if isinstance(line, Memory)
        else line
        for line in records
    ]
    records.append(Environment({NASTY: NASTY}))
    html = render_html(records)
    page = take_apart(html)
    assert page.faults == []
    assert not any(tag == "script" for tag, _ in page.elements)
    assert page.text.count(NASTY) >= 12


def swap(records, kind, make):
    """The records with every one of `kind` replaced by what `make` makes of its strategy's name."""
    return [make(line.strategy) if isinstance(line, kind) else line for line in records]


def proof(name, losses, differences, largest=0.0):
    return Agreement(name, R, "float64", len(losses), 1e-10, {"w": largest}, losses, differences)


MISSING = {
    "one strategy": lambda s: s.run((R,)),
    "forward only": lambda s: s.run((A, P)),
    "no memory": lambda s: [line for line in s.run() if not isinstance(line, Memory)],
    "memory of one": lambda s: [line for line in s.run() if not (isinstance(line, Memory) and line.strategy != A)],
    "not measured": lambda s: swap(s.run(), Memory, lambda name: s.memory(name, measured_peak=None)),
    "no timeline": lambda s: swap(s.run(), Memory, lambda name: s.memory(name, timeline=[])),
    "unknown roles": lambda s: swap(s.run(), Memory, lambda name: s.memory(name, timeline=[Moment("dreaming x", {"dream": 9})])),
    "no agreement": lambda s: [line for line in s.run() if not isinstance(line, Agreement)],
    "no proof losses": lambda s: swap(s.run(), Agreement, lambda name: proof(name, [], [])),
    "all differences zero": lambda s: swap(s.run(), Agreement, lambda name: proof(name, [3.0, 2.0, 1.0], [0.0, 0.0, 0.0])),
    "one difference": lambda s: swap(s.run(), Agreement, lambda name: proof(name, [3.0], [1e-16], 1e-3)),
    "far apart": lambda s: swap(s.run(), Agreement, lambda name: proof(name, [3.0, 2.0], [1e-16, 1.0], 1e-3)),
    "no timing": lambda s: [line for line in s.run() if not isinstance(line, Timing)],
    "empty rounds": lambda s: swap(s.run(), Timing, lambda name: Timing(name, [[], []], 0)),
    "one sample": lambda s: swap(s.run(), Timing, lambda name: Timing(name, [[1e-3]], 0)),
    "no time passed": lambda s: swap(s.run(), Timing, lambda name: Timing(name, [[0.0, 0.0]], 0)),
    "no training": lambda s: [line for line in s.run() if not isinstance(line, Training)],
    "one step": lambda s: swap(s.run(), Training, lambda name: s.training(name, 1)),
    "no steps": lambda s: swap(s.run(), Training, lambda name: s.training(name, 0)),
    "no arithmetic": lambda s: [line for line in s.run() if not isinstance(line, Arithmetic)],
    "zero arithmetic": lambda s: swap(s.run(), Arithmetic, lambda name: Arithmetic(name, {}, {}, "")),
    "nothing but a strategy": lambda s: [s.header(), s.strategy(R)],
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_parts_leave_a_sensible_page(case, synthetic, take_apart):
    page = take_apart(render_html(MISSING[case](synthetic)))
    assert page.faults == []
    assert "None" not in page.text
    assert "nan" not in page.text.split()
    for tag, attributes in page.elements:
        if tag in {"path", "text"}:
            assert "nan" not in attributes.get("d", "") + attributes.get("x", "")


def test_zeros_are_marked_on_the_logarithmic_axis(html):
    drawing = re.search(r'<svg[^>]*aria-label="Losses of the proof.*?</svg>', html, re.DOTALL)
    assert drawing is not None
    assert "exactly 0" in drawing[0]
    assert re.search(r"\d+ of 400 differences are exactly zero", re.sub(r"<[^>]*>", "", html))


def test_importing_the_report_loads_nothing_heavy():
    code = (
        "import sys, compare.report; "
        "heavy = {'matplotlib', 'jax', 'numpy', 'jinja2', 'rich', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rendering_never_loads_pyplot_nor_changes_matplotlib(synthetic):
    import matplotlib

    before = dict(matplotlib.rcParams)
    render_html(synthetic.run((R,)))
    assert dict(matplotlib.rcParams) == before
    code = "import sys; import compare.report.page; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
