"""`/predict` gives the same answer for every format, in the contract's form, from one model."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fmnist.domain.model.data.images import CLASS_NAMES
from tests.unit.adapters.fastapi.support import INFER, GreyServing, Service, bodies, grey_model, greys, picture

LABELS = (7, 0, 9)


@pytest.mark.parametrize("name", bodies(greys(0)))
def test_every_format_gets_the_same_answer(service: Service, name: str) -> None:
    body, content_type = bodies(greys(*LABELS))[name]
    reply = service.post("/predict", body, content_type)
    assert reply.status == 200
    document = reply.json()
    assert document.keys() == {"predictions", "model_uri", "timestamp", "processing_time_ms"}
    assert document["model_uri"] == "models:/dev.greys/3"
    assert 0 < document["processing_time_ms"] < 10_000
    assert abs(datetime.now(UTC) - datetime.fromisoformat(document["timestamp"])) < timedelta(minutes=1)
    assert [prediction.keys() for prediction in document["predictions"]] == [
        {"class_id", "class_name", "confidence"}
    ] * 3
    assert [(prediction["class_id"], prediction["class_name"]) for prediction in document["predictions"]] == [
        (label, CLASS_NAMES[label]) for label in LABELS
    ]
    assert all(0.5 < prediction["confidence"] <= 1 for prediction in document["predictions"])


@pytest.mark.parametrize(("kind", "content_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_picture_is_one_image(service: Service, kind: str, content_type: str) -> None:
    large = np.full((300, 300), 100, np.uint8)
    reply = service.post("/predict", picture(large, kind), content_type)
    assert [prediction["class_id"] for prediction in reply.json()["predictions"]] == [4]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", " application/json ;x=y", "application/json;"],
)
def test_case_and_parameters_of_a_content_type_do_not_matter(service: Service, content_type: str) -> None:
    body = json.dumps({"images": greys(1).tolist()}).encode()
    assert service.post("/predict", body, content_type).status == 200


@pytest.mark.parametrize(
    "content_type", [None, "", ";", "text/plain", "application/x-www-form-urlencoded", "json", "image/gif", "é", "*/*"]
)
def test_error_for_another_content_type_lists_the_accepted_ones(service: Service, content_type: str | None) -> None:
    reply = service.post("/predict", b"{}", content_type)
    assert reply.problem == (415, "unsupported_media_type")
    for accepted in ("application/json", "application/octet-stream", "application/x-npy", "image/png", "image/jpeg"):
        assert accepted in reply.detail


def test_more_classes_are_returned_on_request(service: Service, serving: GreyServing) -> None:
    [prediction] = service.predict({"images": greys(5).tolist()}, "?top_k=3").json()["predictions"]
    assert prediction.keys() == {"class_id", "class_name", "confidence", "top_k"}
    assert len(prediction["top_k"]) == 3
    assert prediction["top_k"][0] == {name: prediction[name] for name in ("class_id", "class_name", "confidence")}
    assert {best["class_id"] for best in prediction["top_k"]} == {4, 5, 6}
    confidences = [best["confidence"] for best in prediction["top_k"]]
    assert confidences == sorted(confidences, reverse=True)


def test_all_probabilities_are_returned_on_request(service: Service, serving: GreyServing) -> None:
    images = greys(5, 2)
    predictions = service.predict({"images": images.tolist()}, "?probabilities=true").json()["predictions"]
    assert serving.model is not None
    expected = serving.model.prediction.probabilities(images)
    assert [prediction.keys() for prediction in predictions] == [
        {"class_id", "class_name", "confidence", "probabilities"}
    ] * 2
    np.testing.assert_allclose([prediction["probabilities"] for prediction in predictions], expected, rtol=1e-6)
    [both] = service.predict({"images": greys(1).tolist()}, "?probabilities=true&top_k=1").json()["predictions"]
    assert (len(both["top_k"]), len(both["probabilities"])) == (1, 10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("top_k", value) for value in ("0", "11", "-1", "1.5", "", "secret", "9" * 5000)),
        *(("probabilities", value) for value in ("2", "", "secret")),
    ],
)
def test_a_wrong_parameter_is_named_and_not_repeated(service: Service, name: str, value: str) -> None:
    reply = service.predict({"images": greys(1).tolist()}, f"?{name}={value}")
    assert reply.problem == (422, "invalid_parameter")
    assert name in reply.detail
    assert "secret" not in reply.detail
    assert len(reply.detail) < 200


def test_an_answer_names_the_model_that_made_it_even_after_a_reload(service: Service, serving: GreyServing) -> None:
    def reload() -> None:
        serving.model = grey_model(4)

    serving.before_answer = reload
    assert service.predict({"images": greys(1).tolist()}).json()["model_uri"] == "models:/dev.greys/4"


def test_without_a_model_no_body_is_decoded_and_no_internal_error_is_shown() -> None:
    reply = Service(GreyServing()).post("/predict", b"not even JSON")
    assert reply.problem == (503, "not_ready")
    assert "/health" in reply.detail


def test_a_model_that_goes_away_during_a_request_gives_503(service: Service, serving: GreyServing) -> None:
    def lose() -> None:
        serving.model = None

    serving.before_answer = lose
    reply = service.predict({"images": greys(1).tolist()})
    assert reply.problem == (503, "not_ready")
    assert "store.internal" not in reply.detail


@pytest.mark.parametrize("route", ["/predict", INFER])
def test_body_is_not_decoded_while_too_many_images_wait(service: Service, serving: GreyServing, route: str) -> None:
    serving.is_full = True
    reply = service.post(route, b"this is not JSON")
    assert reply.problem == (429, "too_many_requests")
    assert reply.headers["retry-after"] == "1"
    assert serving.asked == 0
    assert service.get("/health").status == 200


def dark_on_white() -> bytes:
    grey = np.full((100, 140), 250, np.uint8)
    grey[20:80, 30:90] = 40
    return picture(grey, "PNG")


def test_photograph_is_prepared_and_the_answer_says_how(service: Service, serving: GreyServing) -> None:
    plain = service.post("/predict", dark_on_white(), "image/png").json()
    assert "preparation" not in plain
    document = service.post("/predict?prepare=photo", dark_on_white(), "image/png").json()
    image = np.array(document["preparation"]["image"]).reshape(28, 28)
    assert image.min() > 200  # the article fills the image
    assert [step["step"] for step in document["preparation"]["steps"]] == ["background", "inversion", "crop", "resize"]
    explained = service.post("/explain?prepare=photo", dark_on_white(), "image/png").json()
    assert explained["preparation"] == document["preparation"]
    left = service.post("/predict?prepare=photo&without=crop,inversion", dark_on_white(), "image/png").json()
    assert [step["step"] for step in left["preparation"]["steps"]] == ["background", "resize"]
    assert np.max(left["preparation"]["image"]) == 0


@pytest.mark.parametrize(
    ("query", "kind", "problem"),
    [
        ("prepare=photo", "application/octet-stream", "only a picture, PNG or JPEG, can be prepared"),
        ("prepare=photograph", "image/png", "query prepare"),
        ("prepare=photo&without=resize", "image/png", "query without"),
        ("without=crop", "image/png", "it needs prepare=photo"),
    ],
)
def test_preparation_that_cannot_be_is_refused(service: Service, query: str, kind: str, problem: str) -> None:
    body = dark_on_white() if kind == "image/png" else bytes(784)
    reply = service.post(f"/predict?{query}", body, kind)
    assert reply.problem == (422, "invalid_parameter")
    assert problem in reply.json()["detail"]


def test_damaged_photograph_is_refused_like_any_picture(service: Service) -> None:
    reply = service.post("/predict?prepare=photo", dark_on_white()[:60], "image/png")
    assert reply.problem == (400, "malformed_picture")
