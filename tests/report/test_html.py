"""The page is whole, needs no network and shows hostile text as text."""

import json
import re
from html.parser import HTMLParser

import pytest

from t2t.report.content import Curve, Point, ReportContent
from t2t.report.html import write_report
from t2t.report.manifests import read_curves
from t2t.report.plot import CurvePlot, plot_curve
from t2t.report.results import summarize

VOID = {"meta", "br", "hr", "img", "input", "link", "line", "path", "polyline"}
HOSTILE = (
    "<script>alert(1)</script><img src=https://evil.test/x onerror=alert(2)>\"'><svg onload=alert(3)>"
    "</style></pre>{{ 7*7 }}\x00\x1b[31m\u202e"
)


class Page(HTMLParser):
    """Collects tags, attributes and ids; refuses tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def write(tmp_path):
    def write_and_read(content: ReportContent) -> tuple[str, dict]:
        write_report(tmp_path / "report", content)
        files = sorted(file.name for file in (tmp_path / "report").iterdir())
        assert files == ["report.html", "report.json"]
        html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
        return html, json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))

    return write_and_read


def test_page_is_well_formed_and_has_every_section(write, make_content):
    html, _ = write(make_content({"library": (1, 20), "retail": (0, 0)}))
    page = Page(html)
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert ids >= {"headline", "results", "endings", "training", "data", "time", "talks", "settings", "manifest"}
    targets = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {target.removeprefix("#") for target in targets} <= ids
    assert html.startswith("<!doctype html>")
    assert page.tags.count("svg") >= 3
    assert page.tags.count("h1") == 1


def test_page_asks_for_nothing_outside_itself(write, make_content):
    html, _ = write(make_content({"library": (1, 20)}, text=HOSTILE))
    page = Page(html)
    assert not {"link", "img", "iframe", "object", "base"} & set(page.tags)
    assert not [value for _, name, value in page.attributes if name in ("src", "srcset", "action", "data")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html


def test_hostile_text_stays_text(write, make_content):
    plain, _ = write(make_content({"library": (1, 20)}))
    html, data = write(make_content({"library": (1, 20)}, text=HOSTILE))
    page = Page(html)
    assert page.tags.count("script") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert len(page.tags) == len(Page(plain).tags)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "{{ 7*7 }}" in html
    assert not set(html) & {"\x00", "\x1b", "\u202e"}
    assert "\u2400" in html
    assert "\\u{202e}" in html
    assert data["name"] == "quickstart" + HOSTILE


def test_json_holds_the_rows_and_the_other_numbers(write, make_content):
    content = make_content({"library": (1, 20), "retail": (0, 0)})
    _, data = write(content)
    assert data["results"] == [row.model_dump() for row in content.results.results]
    assert {"by_wording", "comparisons", "stop_reasons", "failed_checks", "train", "funnel"} <= data.keys()
    assert data["model"] == "smollm2_135m"
    assert len(data["headline"]) == 2
    assert data["examples"][0] == content.examples[0].rollout.id


def test_equal_content_gives_equal_bytes(write, make_content):
    content = make_content({"library": (1, 20)})
    assert write(content) == write(ReportContent.model_validate_json(content.model_dump_json()))


def test_talks_show_successes_and_failures_beside_base(make_content):
    content = make_content({"library": (1, 20), "retail": (0, 1)})
    shown = {(t.task.domain, t.task.intent, t.rollout.reward.value) for t in content.examples if t.agent == "tuned"}
    assert len([row for row in shown if row[0] == "library"]) == 8
    assert len([row for row in shown if row[0] == "retail"]) == 2
    for tuned, base in zip(content.examples[::2], content.examples[1::2], strict=True):
        assert (tuned.agent, base.agent, tuned.task.id) == ("tuned", "base", base.task.id)


def test_each_failed_check_stands_with_its_note(write, make_content):
    html, _ = write(make_content({"library": (1, 20)}))
    assert re.search(r"<code>db_state</code> fails<span class=\"note\">the state differs", html)
    assert re.search(r"<code>ended</code> passes</li>", html)


def test_a_report_without_talks_or_training_is_still_a_page(write):
    content = ReportContent(name="empty", model="none", trained=("library",), results=summarize([], [], {"library"}))
    html, data = write(content)
    Page(html)
    assert data["results"] == []
    assert "nothing is compared" in html


def draw(values: list[float], *, linear: bool = False) -> CurvePlot | None:
    points = tuple(Point(step=step, value=value) for step, value in enumerate(values, start=1))
    return plot_curve(Curve(name="Loss", points=points, linear=linear))


def test_odd_curves_are_drawn_or_left_out():
    assert draw([]) is None
    assert draw([float("nan"), 1.0]) is None
    flat = draw([0.0, 0.0])
    assert flat is not None and not flat.log_scale
    tiny = draw([1e-9, 2e-9, 1e-9], linear=True)
    assert tiny is not None and len({tick.at for tick in tiny.y_ticks}) == len(tiny.y_ticks)


def test_a_steep_curve_gets_a_logarithmic_axis_unless_it_is_linear():
    steep = [2.0 / step**2 for step in range(1, 11)]
    drawn, straight = draw(steep), draw(steep, linear=True)
    assert drawn is not None and drawn.log_scale
    assert straight is not None and not straight.log_scale


def test_a_curve_below_zero_stays_inside_its_plot():
    plot = draw([-0.3, 0.1, 1.7])
    assert plot is not None
    heights = [float(pair.partition(",")[2]) for pair in plot.points.split()]
    assert all(plot.top <= height <= plot.bottom for height in heights)
    assert heights == sorted(heights, reverse=True)
    assert "0" in [tick.label for tick in plot.y_ticks]


def test_the_page_draws_every_curve_and_tells_the_parity(write, make_content):
    html, data = write(make_content({"library": (1, 20)}))
    for name in ("Loss per trained token", "Learning rate", "Margin of the rewards"):
        assert f'aria-label="{name} by optimiser step' in html
    assert html.count("<polyline") == 3
    assert "Served as trained" in html
    assert "0.0021" in html
    assert data["parity"]["tokens"] == 391


def test_curves_come_from_what_training_logged():
    sft = read_curves([{"step": 1, "loss": 2.0, "learning_rate": 0.0, "grad_norm": 3.0}, {"step": 2, "loss": 1.0}])
    assert [(curve.name, len(curve.points)) for curve in sft] == [
        ("Loss per trained token", 2),
        ("Learning rate", 1),
        ("Gradient norm before clipping", 1),
    ]
    dpo = read_curves([{"step": 1, "loss": 0.69, "rewards/margins": 0.0}, {"step": 2, "loss": 0.6, "train_loss": 0.6}])
    assert [curve.name for curve in dpo] == ["Loss per pair", "Margin of the rewards"]
