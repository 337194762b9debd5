"""`POST /feedback`: what it takes, what it refuses, and that a refusal changes nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.adapters.fastapi.support import INFER, SETTINGS, GreyServing, Reply, Service, greys

OCTETS = "application/octet-stream"


def tell(service: Service, *labels: Any, **headers: str) -> Reply:
    return service.post("/feedback", json.dumps({"labels": labels}).encode(), **headers)


def label(request_id: str, class_id: Any, **more: Any) -> dict[str, Any]:
    return {"request_id": request_id, "class_id": class_id, **more}


def realized(service: Service) -> Any:
    return service.get("/drift").json()["realized_accuracy"]


def test_labels_join_the_answers_of_both_protocols(service: Service) -> None:
    predicted = service.post("/predict", greys(3, 4).tobytes(), OCTETS)
    tensor = {"name": "images", "shape": [1, 28, 28], "datatype": "UINT8", "data": greys(5).ravel().tolist()}
    inferred = service.infer({"inputs": [tensor]})
    assert realized(service) is None
    ids = [reply.headers["x-request-id"] for reply in (predicted, inferred)]
    reply = tell(service, label(ids[0], 3), label(ids[0], 7, index=1), label(ids[1], 5))
    assert (reply.status, reply.json()) == (200, {"accepted": 3, "ignored": 0})
    document = realized(service)
    assert (document["labelled"], document["right"], document["value"]) == (3, 2, 2 / 3)
    assert 0 < document["low"] < document["value"] < document["high"] < 1


def test_first_label_counts(service: Service) -> None:
    service.post("/predict", greys(3).tobytes(), OCTETS, x_request_id="mine")
    assert tell(service, label("mine", 3)).json() == {"accepted": 1, "ignored": 0}
    assert tell(service, label("mine", 4)).json() == {"accepted": 0, "ignored": 1}
    assert realized(service)["right"] == 1


def test_second_answer_under_one_id_is_given_but_takes_no_feedback(service: Service) -> None:
    for grey in (3, 4):
        assert service.post("/predict", greys(grey).tobytes(), OCTETS, x_request_id="twice").status == 200
    assert tell(service, label("twice", 3)).problem == (409, "repeated_id")
    assert realized(service) is None


def test_unknown_answer_is_refused_with_all_labels_of_the_request(service: Service) -> None:
    service.post("/predict", greys(3).tobytes(), OCTETS, x_request_id="known")
    for unknown in (label("unknown", 3), label("known", 3, index=1)):
        reply = tell(service, label("known", 3), unknown)
        assert (reply.problem, reply.headers["retry-after"]) == ((404, "unknown_answer"), "5")
        assert reply.detail.startswith("labels[1]: no such answer")
    assert realized(service) is None


def test_refused_predictions_are_no_answers(service: Service) -> None:
    service.post("/predict", b"no image", OCTETS, x_request_id="refused")
    service.post(INFER.replace("/infer", "/versions/9/infer"), b"{}", x_request_id="refused")
    assert tell(service, label("refused", 3)).status == 404


@pytest.mark.parametrize(
    ("labels", "where"),
    [
        ([label("known", 10)], "labels.0.class_id"),
        ([label("known", 3), label("known", -1)], "labels.1.class_id"),
        ([label("known", 3.0)], "labels.0.class_id"),
        ([label("known", True)], "labels.0.class_id"),
        ([label("known", "3")], "labels.0.class_id"),
        ([label("known", 3, index=-1)], "labels.0.index"),
        ([label("known", 3, index=None)], "labels.0.index"),
        ([label("known", 3, indx=1)], "labels.0.indx"),
        ([{"request_id": "known"}], "labels.0.class_id"),
        ([{"class_id": 3}], "labels.0.request_id"),
        ([label(7, 3)], "labels.0.request_id"),  # type: ignore[arg-type]
        ([3], "labels.0"),
        ([], "labels"),
        ([label("known", 3)] * 1001, "labels"),
    ],
)
def test_wrong_value_is_named_and_nothing_counts(service: Service, labels: list[Any], where: str) -> None:
    service.post("/predict", greys(3).tobytes(), OCTETS, x_request_id="known")
    reply = tell(service, *labels)
    assert reply.problem == (422, "invalid_body")
    assert reply.detail.startswith(f"{where}: ")
    assert realized(service) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"labels": {}}', 422), (b"[" * 100_000, 400)],
)
def test_malformed_body_is_refused(service: Service, body: bytes, status: int) -> None:
    assert service.post("/feedback", body).problem[0] == status


def test_route_is_absent_without_a_place(serving: GreyServing) -> None:
    service = Service(serving, replace(SETTINGS, has_feedback=False))
    assert tell(service, label("any", 3)).problem == (404, "not_found")
    assert "/feedback" not in service.get("/openapi.json").json()["paths"]


def test_feedback_needs_a_key_where_there_are_keys(serving: GreyServing) -> None:
    service = Service(serving, replace(SETTINGS, api_keys=("s3cr3t",)))
    sent = service.post("/predict", greys(3).tobytes(), OCTETS, x_api_key="s3cr3t").headers["x-request-id"]
    assert tell(service, label(sent, 3)).problem == (401, "unauthorized")
    assert tell(service, label(sent, 3), x_api_key="s3cr3t").json()["accepted"] == 1


def test_the_example_follows_its_schema(service: Service) -> None:
    body = service.get("/openapi.json").json()["paths"]["/feedback"]["post"]["requestBody"]["content"]
    assert tell(service, *body["application/json"]["example"]["labels"]).status == 404
    assert "$ref" not in json.dumps(body)
