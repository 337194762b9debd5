"""`fmnist drift` against the HTTP application with a trained model, over a real socket."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist.domain.model.traffic.feedback import RealizedAccuracy
from fmnist.domain.model.traffic.sketch import Sketch, features_of
from fmnist.domain.services.serving.load import ServedModel
from fmnist.testing.data import toy_images
from tests.integration.apps.here import Here
from tests.integration.apps.toy_service import SETTINGS, OneModel, service


@pytest.fixture
def served(model: ServedModel) -> OneModel:
    """A model that has answered 300 images which it was not trained on."""
    images = 255 - toy_images(300, seed=5).images
    serving = OneModel(model)
    serving.traffic = Sketch.of(features_of(images), model.prediction.logits(images))
    return serving


def test_verdict_and_distances_are_shown(there: Here, served: OneModel) -> None:
    with service(served) as url:
        code, out, err = there("drift", url)
    assert (code, err) == (0, "")
    assert re.search(r"verdict +drifted", out)
    assert re.search(r"pixel mean +0\.\d{3} +0\.\d{3} +drifted", out)
    assert "On corrupted or strange" in out


def test_realized_accuracy_is_shown_where_there_are_labels(there: Here, served: OneModel, tmp_path: Path) -> None:
    with service(served) as url:
        assert "realized accuracy" not in there("drift", url, "--output-dir", str(tmp_path / "without"))[1]
        served.realized = RealizedAccuracy.of(40, 38)
        _, out, _ = there("drift", url, "--output-dir", str(tmp_path / "with"))
        code, report, _ = there("drift", url, "--json")
    shown = "realized accuracy 95.00% (95 % interval 83.5%-98.6%): 38 of 40 labelled images"
    assert shown in " ".join(out.split())
    assert "realized accuracy" not in (tmp_path / "without" / "report.html").read_text()
    assert "40 labelled images" in (tmp_path / "with" / "report.html").read_text()
    assert (code, json.loads(report)["realized_accuracy"]["right"]) == (0, 38)


def test_page_is_self_contained_and_has_every_histogram(there: Here, served: OneModel, tmp_path: Path) -> None:
    with service(served) as url:
        code, out, _ = there("drift", url, "--output-dir", str(tmp_path / "page"))
    assert code == 0
    page = (tmp_path / "page" / "report.html").read_text()
    assert out.rstrip().endswith("report.html")
    assert page.count("<svg") == 7
    assert not re.search(r"<script|(?:src|href)=.https?:", page)
    assert "differs</strong>" in page
    assert {file.name for file in (tmp_path / "page").iterdir()} == {
        "report.html",
        *(f"{name}.svg" for name in ("pixel_mean", "pixel_spread", "ink_share", "class", "confidence")),
        "entropy.svg",
        "energy.svg",
    }


def test_report_is_json_for_programs(there: Here, served: OneModel) -> None:
    with service(served) as url:
        code, out, _ = there("drift", url, "--json")
    report = json.loads(out)
    assert (code, report["verdict"], report["images"]) == (0, "drifted", 300)
    assert report["reference_images"] > 0


def test_service_without_traffic_has_no_verdict(there: Here, model: ServedModel, tmp_path: Path) -> None:
    with service(OneModel(model)) as url:
        code, out, _ = there("drift", url, "--output-dir", str(tmp_path))
    assert code == 0
    assert re.search(r"verdict +unknown: fewer than 100 images", out)
    assert "There is no verdict" in (tmp_path / "report.html").read_text()


def test_key_is_needed_where_there_are_keys(there: Here, served: OneModel) -> None:
    with service(served, replace(SETTINGS, api_keys=("secret",))) as url:
        assert there("drift", url, FMNIST_API_KEY="secret")[0] == 0
        code, _, err = there("drift", url)
    assert code != 0
    assert "401" in err


def test_service_without_drift_is_named(there: Here, served: OneModel) -> None:
    with service(served, replace(SETTINGS, has_drift=False)) as url:
        code, _, err = there("drift", url)
    assert code == 1
    assert "GET /drift returned 404" in err
