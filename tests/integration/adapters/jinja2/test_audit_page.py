"""The report on a data version needs no other file, escapes any text, and leaves out what is not known."""

import re
from dataclasses import replace

import pytest

from fmnist.adapters.jinja2.audit_page import render_audit
from fmnist.domain.model.errors import ReportFailed
from tests.integration.adapters.jinja2.test_report_page import Page
from tests.unit.audits import an_audit
from tests.unit.hostile import MARKUP

NAMES = [text for text in MARKUP if len(text) <= 200]  # a registry refuses longer ones


def test_page_has_every_finding_and_needs_no_other_file() -> None:
    files = render_audit(an_audit())
    assert set(files) == {"report.html"}
    page = Page(files["report.html"])
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not {"script", "link", "iframe", "object"} & set(page.elements)
    # Two doubtful labels, an equal pair, a near pair twice, a pair below the threshold, and an outlier.
    assert page.elements.count("img") == 2 + 2 + 2 * 2 + 2 + 1
    for said in ("train 0, test 0", "train 1, test 1", "0.980", "0.950", "90.00%", "No person has checked it"):
        assert said in page.words


def test_version_without_test_and_without_findings_has_a_page() -> None:
    audit = an_audit(test=0)
    words = Page(render_audit(replace(audit, doubted=audit.doubted[:0]))["report.html"]).words
    assert "This version has no test split." in words
    assert "without both" not in words


@pytest.mark.parametrize("start", [0, 10, len(NAMES) - 10])
def test_class_names_are_escaped(start: int) -> None:
    audit = an_audit()
    names = {str(label): name for label, name in enumerate(NAMES[start : start + 10])}
    metadata = {**audit.dataset.metadata, "schema": {"features": {"label": {"classes": names}}}}
    source = '"><script>alert(1)</script>'
    page = render_audit(replace(audit, dataset=replace(audit.dataset, metadata=metadata, source=source)))["report.html"]
    found = Page(page)
    assert set(found.elements) == set(Page(render_audit(audit)["report.html"]).elements)
    assert not re.search(r"<script|javascript:|<https", page.decode())


def test_audit_that_cannot_be_drawn_is_named() -> None:
    audit = an_audit()
    with pytest.raises(ReportFailed, match=r"the report on fashion-mnist-v1\.0\.0 cannot be drawn: "):
        render_audit(replace(audit, dataset=replace(audit.dataset, metadata={})))
