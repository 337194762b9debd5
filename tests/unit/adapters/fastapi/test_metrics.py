"""Metrics of one process: what is counted, under which labels, and who may read it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fmnist.adapters.fastapi.metrics import DriftMetrics, FeedbackMetrics, ServingMetrics, ShadowMetrics
from fmnist.adapters.prometheus.meter import PrometheusMeter
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import RealizedAccuracy
from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow
from fmnist.testing.data import toy_sketch
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model, greys

MODEL = 'model_uri="models:/dev.greys/3"'


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter()


def lines(meter: PrometheusMeter, name: str) -> list[str]:
    return [line for line in meter.page().decode().splitlines() if line.startswith(name) and "_bucket" not in line]


def test_a_batch_is_counted_by_model_class_and_confidence(meter: PrometheusMeter) -> None:
    model, metrics = grey_model(), ServingMetrics(meter)
    rows = model.prediction.probabilities(greys(1, 1, 4))
    metrics.batch(model, 2, rows, 3.5)
    assert lines(meter, "ray_fmnist_predict_requests_total") == [f"ray_fmnist_predict_requests_total{{{MODEL}}} 2.0"]
    assert lines(meter, "ray_fmnist_images_total") == [f"ray_fmnist_images_total{{{MODEL}}} 3.0"]
    assert lines(meter, "ray_fmnist_batch_images_sum") == [f"ray_fmnist_batch_images_sum{{{MODEL}}} 3.0"]
    assert lines(meter, "ray_fmnist_inference_milliseconds_sum")[0].endswith(" 3.5")
    names = model.prediction.info.class_names
    assert lines(meter, "ray_fmnist_class_images_total") == [
        f'ray_fmnist_class_images_total{{class_name="{names[1]}",{MODEL}}} 2.0',
        f'ray_fmnist_class_images_total{{class_name="{names[4]}",{MODEL}}} 1.0',
    ]
    counted = [float(line.rpartition(" ")[2]) for line in lines(meter, "ray_fmnist_confidence_images_total")]
    assert sum(counted) == 3


def test_certain_answers_are_in_the_last_bin(meter: PrometheusMeter) -> None:
    model, metrics = grey_model(), ServingMetrics(meter)
    rows = model.prediction.probabilities(greys(1))
    rows[:] = 0
    rows[:, 1] = 1
    metrics.batch(model, 1, rows, 1)
    (line,) = lines(meter, "ray_fmnist_confidence_images_total")
    assert 'confidence="0.9-1.0"' in line


def test_reloads_are_counted_by_outcome(meter: PrometheusMeter) -> None:
    metrics = ServingMetrics(meter)
    for error in (None, None, "it is corrupt"):
        metrics.reload("models:/dev.greys/3", error)
    assert lines(meter, "ray_fmnist_reloads_total") == [
        f'ray_fmnist_reloads_total{{{MODEL},outcome="succeeded"}} 2.0',
        f'ray_fmnist_reloads_total{{{MODEL},outcome="failed"}} 1.0',
    ]


def test_drift_is_exported_and_falls_when_another_model_serves(meter: PrometheusMeter) -> None:
    metrics = DriftMetrics(meter)
    window = TrafficWindow(toy_sketch(200, seed=1), 1, 2)
    other = Sketch.of(np.zeros((500, 3), np.int64), np.zeros((500, 10), np.float32))
    metrics.set(Drift.of("models:/dev.greys/3", window, other))
    assert lines(meter, "ray_fmnist_drifted") == [f"ray_fmnist_drifted{{{MODEL}}} 1.0"]
    assert lines(meter, "ray_fmnist_window_images") == [f"ray_fmnist_window_images{{{MODEL}}} 200.0"]
    assert len(lines(meter, "ray_fmnist_drift_distance")) == len(lines(meter, "ray_fmnist_drift_chance")) == 7
    assert lines(meter, "ray_fmnist_expected_accuracy") == [
        f"ray_fmnist_expected_accuracy{{{MODEL}}} {window.sketch.expected_accuracy()[0]}"
    ]
    metrics.set(Drift.of("models:/dev.greys/4", TrafficWindow(Sketch.joined([]), None, None), other))
    assert f"ray_fmnist_drifted{{{MODEL}}} 0.0" in lines(meter, "ray_fmnist_drifted")
    assert f"ray_fmnist_window_images{{{MODEL}}} 0.0" in lines(meter, "ray_fmnist_window_images")


def test_realized_accuracy_is_exported_and_falls_to_no_image_when_another_model_serves(meter: PrometheusMeter) -> None:
    metrics = FeedbackMetrics(meter)
    metrics.set("models:/dev.greys/3", RealizedAccuracy.of(4, 3))
    assert lines(meter, "ray_fmnist_realized_accuracy") == [f"ray_fmnist_realized_accuracy{{{MODEL}}} 0.75"]
    assert lines(meter, "ray_fmnist_labelled_images") == [f"ray_fmnist_labelled_images{{{MODEL}}} 4.0"]
    metrics.set("models:/dev.greys/4", None)
    assert [line[-3:] for line in lines(meter, "ray_fmnist_labelled_images")] == ["0.0", "0.0"]
    assert len(lines(meter, "ray_fmnist_realized_accuracy")) == 1


def test_shadow_is_counted_by_pair_and_its_gauge_falls_with_it(meter: PrometheusMeter) -> None:
    metrics, pair = ShadowMetrics(meter), Pair("models:/dev.greys/3", "models:/dev.greys/8")
    rows = np.eye(10, dtype=np.float32)
    metrics.add(pair, Agreement.of(rows, rows[[0, 1, *8 * [2]]], seconds=1, shadow_seconds=0.0035))
    metrics.add(pair, Agreement(dropped=4))
    labels = f'{MODEL},shadow_uri="models:/dev.greys/8"'
    for name, value in ("images", 10.0), ("agreed", 3.0), ("dropped", 4.0):
        assert lines(meter, f"ray_fmnist_shadow_{name}_total") == [
            f"ray_fmnist_shadow_{name}_total{{{labels}}} {value}"
        ]
    assert lines(meter, "ray_fmnist_shadow_milliseconds") == [
        f"ray_fmnist_shadow_milliseconds_count{{{labels}}} 1.0",
        f"ray_fmnist_shadow_milliseconds_sum{{{labels}}} 3.5",
    ]
    for uri, runs in ("models:/dev.greys/8", 1), ("models:/dev.greys/9", 0):
        metrics.set(SimpleNamespace(uri=uri, is_running=bool(runs)))  # type: ignore[arg-type]
        assert lines(meter, "ray_fmnist_shadow_runs")[-1] == f'ray_fmnist_shadow_runs{{shadow_uri="{uri}"}} {runs}.0'
    metrics.set(None)
    assert {line[-3:] for line in lines(meter, "ray_fmnist_shadow_runs")} == {"0.0"}


def test_nothing_is_counted_as_0_because_ray_refuses_it(meter: PrometheusMeter) -> None:
    rows = np.eye(10, dtype=np.float32)
    found = Agreement.of(rows, rows[::-1], seconds=1, shadow_seconds=1)
    ShadowMetrics(meter).add(Pair("models:/dev.greys/3", "models:/dev.greys/8"), found)
    assert lines(meter, "ray_fmnist_shadow_images_total")[0].endswith(" 10.0")
    assert lines(meter, "ray_fmnist_shadow_agreed_total") == lines(meter, "ray_fmnist_shadow_dropped_total") == []


def test_requests_are_counted_by_route_and_status(meter: PrometheusMeter) -> None:
    service = Service(GreyServing(grey_model()), meter=meter)
    service.post("/predict", greys(1).tobytes(), "application/octet-stream")
    service.post("/predict", b"no image", "application/octet-stream")
    service.get("/v2/models/fashion-mnist-classifier/ready")
    service.get("/nowhere")
    assert lines(meter, "ray_serve_num_http_requests_total") == [
        _requests("/predict", "POST", 200),
        _requests("/predict", "POST", 422),
        _requests("/v2/models/{name}/ready", "GET", 200),
        _requests("", "GET", 404),
    ]
    assert len(lines(meter, "ray_serve_http_request_latency_ms_count")) == 4


def _requests(route: str, method: str, status: int) -> str:
    labels = f'application="fmnist",method="{method}",route="{route}",status_code="{status}"'
    return f"ray_serve_num_http_requests_total{{{labels}}} 1.0"


def test_metrics_page_has_the_metrics_in_text(meter: PrometheusMeter) -> None:
    reply = Service(GreyServing(grey_model()), meter=meter).get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE ray_serve_num_http_requests_total counter" in reply.body


def test_metrics_need_a_key_where_there_are_keys(meter: PrometheusMeter) -> None:
    service = Service(GreyServing(grey_model()), replace(SETTINGS, api_keys=("s3cr3t",)), meter=meter)
    assert service.get("/metrics").problem == (401, "unauthorized")
    assert service.get("/metrics", authorization="Bearer s3cr3t").status == 200


def test_a_host_that_exports_metrics_itself_has_no_such_route(service: Service) -> None:
    assert service.get("/metrics").problem == (404, "not_found")
