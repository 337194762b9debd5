"""The report on a study needs no other file, and leaves out parts without numbers."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from fmnist.adapters.jinja2.tuning_page import render_tuning
from fmnist.domain.model.errors import ReportFailed
from fmnist.domain.model.tuning.trial import TrialState
from tests.integration.adapters.jinja2.test_report_page import Page
from tests.unit.hostile import MARKUP
from tests.unit.studies import TASK, a_study

FIGURES = {"history.svg", "importance.svg", "accuracy_and_time.svg", "finalists.svg"}


def test_page_tells_the_verdict_and_has_every_figure() -> None:
    study = a_study()
    files = render_tuning(study)
    assert set(files) == {"report.html", *FIGURES}
    page = Page(files["report.html"])
    assert study.verdict() in page.words
    assert "It did not read test" in page.words
    assert page.elements.count("svg") == len(FIGURES)
    assert not {"script", "link", "iframe", "object"} & set(page.elements)
    assert page.elements.count("tr") == 1 + 3 + 1 + 14 + 2 + 3, "finalists, trials, origin, space"
    for name in FIGURES:
        ET.fromstring(files[name])  # noqa: S314 - our own file


@pytest.mark.parametrize(("trials", "seeds"), [(1, 1), (4, 1), (8, 3)])
def test_young_study_has_a_page_without_what_is_not_known(trials: int, seeds: int) -> None:
    files = render_tuning(a_study(trials, seeds))
    assert "Too few trials are complete to say." in Page(files["report.html"]).words
    assert ("finalists.svg" in files) is (seeds > 1)


def test_trial_that_was_left_is_interrupted() -> None:
    study = a_study()
    left = replace(study.trials[-1], number=14, seed=0, state=TrialState.RUNNING)
    words = Page(render_tuning(replace(study, trials=[*study.search, left]))["report.html"]).words
    assert "1 interrupted" in words
    assert "running" not in words


def test_names_are_escaped() -> None:
    page = render_tuning(replace(a_study(), task=replace(TASK, label=MARKUP)))["report.html"].decode()
    assert not re.search(r"<script|<img", page)


def test_study_that_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ReportFailed, match=r"the report of the study fast-v1\.0\.0-0a1b2c3d cannot be drawn: "):
        render_tuning(replace(a_study(), trials=[]))
