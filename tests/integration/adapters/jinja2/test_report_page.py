"""The report page needs no other file, escapes any text, and leaves out parts without numbers."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings

from fmnist.adapters.jinja2 import report_page
from fmnist.adapters.jinja2.report_page import render_report
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.errors import ReportFailed
from fmnist.domain.model.text import one_line
from tests.unit.hostile import MARKUP, names, texts
from tests.unit.reports import a_report, a_robustness

URI = "models:/dev.fashion-mnist-classifier/7"
FIGURES = {"confusion_matrix.svg", "classes.svg", "reliability.svg", "learning_curves.svg"}


class Page(HTMLParser):
    """Collects a page's content and links, and checks that every element is closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.words, self.elements, self.sources, self.ids = "", list[str](), list[str](), list[str]()
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self._open == [], "left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.words += data


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(render_report(URI, a_report()))


def test_report_consists_of_a_page_and_figures(files: dict[str, bytes]) -> None:
    assert set(files) == {"report.html", *FIGURES}


def test_page_needs_no_other_file_and_has_no_script(files: dict[str, bytes]) -> None:
    page = Page(files["report.html"])
    assert not {"script", "link", "iframe", "object"} & set(page.elements)
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    assert "@import" not in files["report.html"].decode()
    urls = set(re.findall(rb"url\(([^)]*)\)", files["report.html"]))
    assert all(url.startswith(b"#") for url in urls)


def test_page_names_the_device_and_the_settings_that_it_used(files: dict[str, bytes]) -> None:
    report = a_report()
    assert report.story is not None
    on_cpu = Page(files["report.html"])
    on_gpu = Page(render_report(URI, replace(report, story=replace(report.story, device="NVIDIA H100")))["report.html"])
    assert "on NVIDIA H100" in on_gpu.words
    assert "bfloat16" in on_gpu.words
    assert "on cpu" in on_cpu.words
    assert "bfloat16" not in on_cpu.words


def test_page_says_how_far_training_can_be_repeated(files: dict[str, bytes]) -> None:
    assert "On a GPU the weights differ slightly" in Page(files["report.html"]).words


def test_figures_of_a_page_do_not_share_ids_of_different_content(files: dict[str, bytes]) -> None:
    page = Page(files["report.html"])
    text = files["report.html"].decode()
    for used in set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text)):
        assert used in page.ids
    # Equal ids must have equal content: a marker or frame that two figures share.
    definitions = dict[str, set[str]]()
    for identity, body in re.findall(r'id="([mp][0-9a-f]{10})"(.*?)/>', text, re.DOTALL):
        definitions.setdefault(identity, set()).add(re.sub(r"\s+", " ", body))
    assert all(len(bodies) == 1 for bodies in definitions.values())


def test_page_shows_what_was_measured(files: dict[str, bytes]) -> None:
    report = a_report()
    page = Page(files["report.html"])
    measured = report.measured
    assert page.elements.count("svg") == 4
    assert page.elements.count("img") == len(measured.mistakes) > 0
    for figure in (URI, f"{measured.evaluation.accuracy:.2%}", f"{measured.evaluation.ece:.2%}", "c0ffee", "55,000"):
        assert figure in page.words
    for each in measured.classes(CLASS_NAMES):
        assert f"{each.recall:.1%}" in page.words
    for name in CLASS_NAMES:
        assert page.words.count(name) >= 4, "in the matrix twice, in the figure and in the table of classes"


@settings(max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts, names)
@example('"><script>alert(1)</script>&', [*MARKUP[:10]])
@example("\x00\x1b[31m\ud800", [*MARKUP[10:20]])
@example("W" * 5000, [*MARKUP[-10:]])
def test_text_from_outside_is_escaped(files: dict[str, bytes], text: str, class_names: list[str]) -> None:
    report = a_report()
    assert report.story is not None
    report = replace(
        report,
        info=replace(
            report.info,
            class_names=tuple(class_names),
            lineage={**report.info.lineage, text: text},
            architecture=text,
        ),
        measured=replace(report.measured, data_version=text, digest=text),
        story=replace(report.story, params={text: text}, device=text),
        source=text,
    )
    page = Page(render_report(text, report)["report.html"])
    assert set(page.elements) <= set(Page(files["report.html"]).elements)
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    assert page.words.count(one_line(text)) >= 8
    for name in class_names:
        assert one_line(name) in page.words


def test_model_without_mistakes_run_or_calibration_has_a_page() -> None:
    report = a_report()
    perfect = report.measured.evaluation.confusion * 0
    perfect[range(10), range(10)] = 7
    evaluation = replace(report.measured.evaluation, confusion=perfect)
    bare = replace(
        report,
        measured=replace(report.measured, mistakes=(), evaluation=evaluation),
        val=None,
        calibration=None,
        story=None,
        counts={},
    )
    files = render_report(URI, bare)
    words = Page(files["report.html"]).words
    assert set(files) == {"report.html", *FIGURES} - {"learning_curves.svg"}
    assert "It made no mistake." in words
    assert "most confident" not in words
    assert "Its run is not known" in words
    assert "accuracy on val" not in words


def test_page_shows_robustness_if_it_was_measured() -> None:
    found = a_robustness()
    files = render_report(URI, replace(a_report(), robustness=found))
    page = Page(files["report.html"])
    assert set(files) == {"report.html", "robustness.svg", *FIGURES}
    assert page.elements.count("img") == len(a_report().measured.mistakes) + sum(map(len, found.examples.values()))
    assert "loud picturesenergy0.87525.0%" in page.words
    assert all(str(corruption) in page.words for corruption in found.cells)
    assert f"{found.accuracy:.2%}" in page.words


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_figure_file_needs_no_other_file(files: dict[str, bytes], name: str) -> None:
    root = ET.fromstring(files[name])  # noqa: S314 - our own bytes
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert b"var(--" not in files[name], "a figure needs a title"
    assert next(iter(root)).attrib["fill"] == "#ffffff"
    texts = [text.strip() for text in root.itertext() if text.strip()]
    assert texts, "text stays text, not outlines"


def test_equal_reports_give_equal_bytes(files: dict[str, bytes]) -> None:
    assert dict(render_report(URI, a_report())) == files


def test_an_error_while_drawing_is_reported_as_a_failed_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(report: object) -> None:
        raise KeyError("a font")

    monkeypatch.setattr(report_page, "draw", stops)
    with pytest.raises(ReportFailed, match="'a font'"):
        render_report(URI, a_report())
