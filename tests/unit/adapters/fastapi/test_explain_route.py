"""`/explain` answers with the map of one image, and asks the model for no more than a request may hold."""

from dataclasses import replace

import numpy as np
import pytest

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.services.explanation import COPIES, Explanation, covered_copies
from tests.unit.adapters.fastapi.support import JSON, SETTINGS, GreyServing, Service, bodies, grey_model, greys, picture

IMAGE = greys(4)
IMAGE[0, 5:12, 5:12] = 255


@pytest.mark.parametrize("name", bodies(greys(0)))
def test_every_format_gets_the_explanation_of_the_model(service: Service, serving: GreyServing, name: str) -> None:
    reply = service.post("/explain", *bodies(IMAGE)[name])
    assert reply.status == 200
    document = reply.json()
    assert serving.model is not None
    expected = Explanation.of(serving.model.prediction.probabilities(covered_copies(IMAGE[0])))
    assert (document["class_id"], document["class_name"]) == (expected.class_id, CLASS_NAMES[expected.class_id])
    assert document["confidence"] == pytest.approx(expected.confidence)
    assert (document["images"], document["model_uri"]) == (1 + COPIES, "models:/dev.greys/3")
    np.testing.assert_allclose(document["map"], expected.map, atol=1e-6)
    assert np.ptp(document["map"]) > 0


def test_a_picture_can_be_explained(service: Service) -> None:
    document = service.post("/explain", picture(IMAGE[0], "PNG"), "image/png").json()
    assert np.shape(document["map"]) == (28, 28)


def test_two_images_are_refused(service: Service, serving: GreyServing) -> None:
    reply = service.post("/explain", greys(1, 2).tobytes(), "application/octet-stream")
    assert reply.problem == (422, "invalid_images")
    assert "2 images, expected one" in reply.detail
    assert serving.asked == 0


def test_images_are_asked_for_in_pieces_of_a_request_and_are_no_traffic(serving: GreyServing) -> None:
    narrow = Service(serving, replace(SETTINGS, max_images=30))
    body, content_type = bodies(IMAGE)["octet-stream"]
    pieces = narrow.post("/explain", body, content_type)
    assert serving.sizes == [(30, False), (30, False), (22, False)]
    serving.restore(grey_model())
    whole = Service(serving).post("/explain", body, content_type)
    assert serving.sizes == [(82, False)]
    np.testing.assert_allclose(pieces.json()["map"], whole.json()["map"], atol=1e-6)


def test_answers_of_two_models_are_not_mixed(serving: GreyServing) -> None:
    narrow = Service(serving, replace(SETTINGS, max_images=50))

    def reload() -> None:
        if serving.asked == 2:
            serving.model = grey_model(4)

    serving.before_answer = reload
    reply = narrow.post("/explain", IMAGE.tobytes(), "application/octet-stream")
    assert reply.problem == (503, "model_changed")
    assert reply.headers["retry-after"] == "1"


def test_feedback_knows_no_explanation(service: Service) -> None:
    service.post("/explain", IMAGE.tobytes(), "application/octet-stream", x_request_id="explained")
    label = b'{"labels": [{"request_id": "explained", "class_id": 1}]}'
    assert service.post("/feedback", label).problem == (404, "unknown_answer")


def test_body_is_not_decoded_while_too_many_images_wait(service: Service, serving: GreyServing) -> None:
    serving.is_full = True
    assert service.post("/explain", b"not JSON", JSON).problem == (429, "too_many_requests")


def test_without_a_model_there_is_no_explanation() -> None:
    assert Service(GreyServing()).post("/explain", b"not JSON").problem == (503, "not_ready")
