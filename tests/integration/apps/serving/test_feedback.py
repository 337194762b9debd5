"""True classes of answers, in both hosts."""

import uuid
from typing import Any

import httpx
import numpy as np

from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import Host, wait_until
from tests.integration.apps.serving.local import Local, local
from tests.integration.apps.serving.models import GOOD, Models, uri

IMAGES = np.zeros((3, 28, 28), np.uint8)


def predict(host: Host, request_id: str | None = None) -> str:
    headers = {"Content-Type": "application/octet-stream", "x-request-id": request_id or uuid.uuid4().hex}
    reply = host.client.post("/predict", content=IMAGES.tobytes(), headers=headers)
    assert reply.status_code == 200, reply.text
    found: str = reply.headers["x-request-id"]
    return found


def tell(host: Host, request_id: str, *classes: int, start: int = 0) -> httpx.Response:
    labels = [
        {"request_id": request_id, "index": index, "class_id": class_id}
        for index, class_id in enumerate(classes, start)
    ]
    return host.client.post("/feedback", json={"labels": labels})


def realized(host: Host) -> Any:
    return host.client.get("/drift").json()["realized_accuracy"] or {"labelled": 0, "right": 0}


def test_feedback_gives_the_realized_accuracy(service: Host) -> None:
    sent, before = predict(service), realized(service)
    assert tell(service, sent, GOOD[0], GOOD[0], 9).json() == {"accepted": 3, "ignored": 0}
    assert tell(service, sent, 9).json() == {"accepted": 0, "ignored": 1}
    after = realized(service)
    assert (after["labelled"] - before["labelled"], after["right"] - before["right"]) == (3, 2)
    assert after["low"] < after["value"] < after["high"]


def test_refused_feedback_changes_nothing(service: Host) -> None:
    twice, sent, before = predict(service), predict(service), realized(service)
    assert predict(service, twice) == twice
    assert tell(service, twice, 1).status_code == 409
    assert tell(service, "never-sent", 1).status_code == 404
    assert tell(service, sent, 1, 10).status_code == 422
    assert realized(service) == before


def test_feedback_outlives_a_replica(on_ray: Cluster) -> None:
    sent = predict(on_ray)
    assert tell(on_ray, sent, 1).json()["accepted"] == 1
    before = realized(on_ray)
    (process,) = on_ray.processes()
    process.kill()
    wait_until(lambda: on_ray.serves(uri(GOOD[0])), "another replica serves")
    assert realized(on_ray) == before
    assert tell(on_ray, sent, 2, 1).json() == {"accepted": 1, "ignored": 1}


def test_two_replicas_share_one_window_and_feedback(on_ray: Cluster) -> None:
    sent = list[str]()
    # While there is one replica, it knows of all images.
    images, labelled = on_ray.client.get("/drift").json()["images"], realized(on_ray)["labelled"]

    def both_answer() -> bool:
        sent.append(predict(on_ray))
        logs = [path.read_text() for path in on_ray.replica_logs()]
        return sum(any(each in log for each in sent) for log in logs) == 2

    on_ray.deploy(uri(GOOD[0]), num_replicas=2)
    wait_until(both_answer, "both replicas answer")
    for request_id in sent:
        wait_until(lambda each=request_id: tell(on_ray, each, 1).status_code == 200, "the answer is found", 60)  # type: ignore[misc]
    # Each connection may reach another replica.
    again = [
        httpx.post(f"{on_ray.url}/feedback", json={"labels": [{"request_id": each, "class_id": 2}]}) for each in sent
    ]
    assert [reply.json() for reply in again] == [{"accepted": 0, "ignored": 1}] * len(sent)
    assert realized(on_ray)["labelled"] == labelled + len(sent)
    all_images = images + len(sent) * len(IMAGES)
    wait_until(lambda: on_ray.client.get("/drift").json()["images"] == all_images, "the window has all images", 60)


def test_feedback_outlives_its_process(models: Models, in_process: Local) -> None:
    sent = predict(in_process)
    assert tell(in_process, sent, 1).json() == {"accepted": 1, "ignored": 0}
    before = realized(in_process)
    assert before["labelled"]
    with local(models, GOOD[0]) as another:
        assert realized(another) == before
        assert tell(another, sent, 2, 1).json() == {"accepted": 1, "ignored": 1}
    assert realized(in_process)["labelled"] == before["labelled"] + 1
