"""The pages for people: their policy, their files, and what `/ui` asks the service. A browser tests them elsewhere."""

import base64
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist.adapters.fastapi.pages import files, model
from fmnist.adapters.fastapi.tracing import Trace, Tracer
from fmnist.adapters.prometheus.meter import PrometheusMeter
from fmnist.domain.model.evaluation.card import model_card
from fmnist.domain.model.evaluation.robustness import energies
from fmnist.domain.model.traffic.sketch import EDGES, Sketch, Statistic
from fmnist.testing.data import toy_sketch
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model, greys
from tests.unit.reports import a_report

OCTETS = "application/octet-stream"
FOLDER = Path(files.__file__).parent / "assets"
SCRIPT = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
import fmnist.apps.containers.serve
from tests.unit.adapters.fastapi.support import GreyServing, Service, grey_model
service = Service(GreyServing(grey_model()))
def ours():
    names = [name for name in sys.modules if "fastapi.pages" in name or name.startswith("fastapi_swagger")]
    return names + [path for path in opened if "fastapi/pages" in path or "fastapi_swagger/" in path]
assert service.get("/health").status == 200
assert ours() == [], ours()
assert service.get("/ui").status == 200
assert ours() != []
"""


@pytest.fixture(scope="module")
def guarded(shared_serving: GreyServing) -> Service:
    return Service(shared_serving, replace(SETTINGS, api_keys=("the-key",)))


def named(document: Any, **changes: Any) -> Any:
    return replace(document, package=replace(document.package, **changes))


def test_nothing_of_the_pages_is_imported_or_read_before_one_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", ["/ui", "/docs", "/ui/app.js", "/docs/swagger-ui.css"])
def test_every_file_has_the_strict_policy(service: Service, path: str) -> None:
    reply = service.get(path)
    assert reply.status == 200
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["ui.html", "docs.html"])
def test_nothing_is_inline_and_nothing_is_from_elsewhere(path: str) -> None:
    html = (FOLDER / path).read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", html)
    assert "//" not in html.replace("<!doctype", "")
    linked = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert linked
    assert not any(link.startswith("/") for link in linked)  # the service may have a prefix


def test_every_module_that_a_script_imports_is_there(service: Service) -> None:
    for script in (FOLDER / "ui").glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', script.read_text(encoding="utf-8")):
            assert service.get(f"/ui/{name}").headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/ui/missing.js", "/docs/ui.html", "/ui/../ui.html", "/ui/%2e%2e/ui.html"])
def test_other_files_are_not_found(service: Service, path: str) -> None:
    assert service.get(path).problem == (404, "not_found")


def test_page_with_a_slash_leads_to_the_page_below_any_prefix(service: Service) -> None:
    reply = service.get("/ui/")
    assert (reply.status, reply.headers["location"]) == (307, "../ui")


def test_unchanged_file_is_not_sent_again(service: Service) -> None:
    first = service.get("/ui/app.js")
    again = service.get("/ui/app.js", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert service.get("/ui/app.js", if_none_match='"other"').status == 200


def test_page_can_be_switched_off(serving: GreyServing) -> None:
    without = Service(serving, replace(SETTINGS, has_ui=False))
    assert without.get("/ui").problem == (404, "not_found")
    assert without.get("/ui/model").problem == (404, "not_found")
    assert without.post("/ui/energy", greys(1).tobytes(), OCTETS).problem == (404, "not_found")
    assert without.get("/docs").status == 200


def test_page_says_whether_a_key_is_needed(service: Service, guarded: Service) -> None:
    assert b'data-key="none"' in service.get("/ui").body
    assert b'data-key="needed"' in guarded.get("/ui").body


@pytest.mark.parametrize("path", ["/ui/model", "/ui/samples"])
def test_model_needs_a_key_and_a_model(guarded: Service, serving: GreyServing, path: str) -> None:
    assert guarded.get(path).problem == (401, "unauthorized")
    assert guarded.get(path, x_api_key="the-key").status == 200
    serving.model = None
    assert guarded.get(path, x_api_key="the-key").problem == (503, "not_ready")


def test_model_is_described(serving: GreyServing) -> None:
    serving.model = named(grey_model(reference=toy_sketch()), card=model_card(a_report()))
    found = Service(serving, replace(SETTINGS, tracker_url="https://tracker.example/")).get("/ui/model").json()
    assert found["model_uri"] == "models:/dev.greys/3"
    assert found["registered"] == "2023-11-14T22:13:20+00:00"
    assert found["since"] > found["registered"]
    assert found["data_version"] == "fashion-mnist-v1.0.0"
    assert found["run_url"] == "https://tracker.example/#/runs/run-1"
    assert found["has_reference"] is True
    assert f"| accuracy | {found['accuracy']['text']} |" in found["card"]
    assert found["accuracy"]["split"] == "test"


def test_model_of_an_earlier_release_has_no_card_no_samples_and_no_comparison(service: Service) -> None:
    found = service.get("/ui/model").json()
    assert [found[name] for name in ("card", "accuracy", "run_url", "has_reference")] == [None, None, None, False]
    assert service.get("/ui/samples").json()["images"] == []
    assert service.post("/ui/energy", greys(1).tobytes(), OCTETS).json()["share"] is None


def test_samples_are_the_golden_images(service: Service, serving: GreyServing) -> None:
    serving.model = named(grey_model(), golden=greys(3, 7))
    images = [base64.b64decode(text) for text in service.get("/ui/samples").json()["images"]]
    assert images == [image.tobytes() for image in greys(3, 7)]


def test_energy_is_that_of_the_logits(service: Service, serving: GreyServing) -> None:
    expected = energies(grey_model().prediction.logits(greys(4)))[0]
    found = service.post("/ui/energy", greys(4).tobytes(), OCTETS).json()
    assert found["energy"] == pytest.approx(expected, abs=1e-3)


def test_energy_takes_one_image_and_a_key_and_waits_for_no_full_queue(
    service: Service, guarded: Service, serving: GreyServing
) -> None:
    assert service.post("/ui/energy", greys(1, 2).tobytes(), OCTETS).problem == (422, "invalid_images")
    assert service.post("/ui/energy", b"", OCTETS).problem == (422, "invalid_images")
    assert guarded.post("/ui/energy", greys(1).tobytes(), OCTETS).problem == (401, "unauthorized")
    serving.is_full = True
    assert service.post("/ui/energy", greys(1).tobytes(), OCTETS).problem == (429, "too_many_requests")


@pytest.mark.parametrize(("energy", "share"), [(-5.0, 0.1), (0.2, 0.1), (9.9, 0.1), (10.1, 1.0), (40.0, 1.0)])
def test_share_counts_the_images_whose_energy_is_not_higher(energy: float, share: float) -> None:
    counts = np.zeros(len(EDGES[Statistic.ENERGY]) - 1, int)
    counts[0], counts[20] = 1, 9  # 0 to 0.5, and 10 to 10.5
    empty = Sketch.joined([])
    reference = replace(empty, images=10, counts={**empty.counts, Statistic.ENERGY: tuple(counts.tolist())})
    assert model.share_up_to(energy, reference) == share


def test_run_with_an_odd_id_gets_no_link(serving: GreyServing) -> None:
    odd = grey_model()
    odd = named(odd, version=replace(odd.version, run_id="../x"))
    assert model.describe(odd, "https://tracker.example")["run_url"] is None


def test_requests_of_the_page_are_counted_by_route(serving: GreyServing) -> None:
    meter = PrometheusMeter()
    service = Service(serving, meter=meter)
    for path in ("/ui", "/ui/app.js", "/ui/model", "/docs"):
        service.get(path)
    text = meter.page().decode()
    for route, count in (("/ui", 1), ("/ui/{name}", 2), ("/docs", 1)):
        assert re.search(rf'num_http_requests_total{{[^}}]*route="{re.escape(route)}"[^}}]*}} {count}', text), text


class NoTracer(Tracer):
    """A tracer whose traces nobody may begin: the energy is not traced."""

    def begin(self, method: str, headers: Any, request_id: str) -> Trace:
        raise AssertionError("not a prediction")

    def close(self) -> None:
        pass


def test_energy_is_answered_where_predictions_are_traced() -> None:
    traced = Service(GreyServing(grey_model()), tracer=NoTracer())
    assert traced.post("/ui/energy", greys(4).tobytes(), OCTETS).status == 200


def test_what_needs_a_key_is_kept_by_no_cache(guarded: Service) -> None:
    for path in ("/ui/model", "/ui/samples"):
        assert guarded.get(path, authorization="Bearer the-key").headers["cache-control"] == "no-store"
