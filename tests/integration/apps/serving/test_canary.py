"""A challenger that answers a share of the requests, on a cluster."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fmnist.domain.model.promotion.canary import Canary
from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import Load, wait_until
from tests.integration.apps.serving.models import CORRUPT, GOOD, uri

CHAMPION, CHALLENGER = (uri(version) for version in GOOD)
OCTETS = {"Content-Type": "application/octet-stream"}
IDS = [f"request-{number}" for number in range(60)]


@pytest.fixture
def canaried(on_ray: Cluster) -> Iterator[Cluster]:
    yield on_ray
    on_ray.deploy(CHAMPION)


def configure(service: Cluster, percent: int | None, challenger: str = CHALLENGER, *, model: str = CHAMPION) -> None:
    canary = {} if percent is None else {"canary": {"model_uri": challenger, "percent": percent}}
    service.deploy(model, user_config={"model_uri": model, **canary})


def found(service: Cluster) -> Any:
    return service.client.get("/canary").json()


def answering(service: Cluster, request_id: str) -> str:
    reply = service.client.post("/predict", content=bytes(784), headers={**OCTETS, "x-request-id": request_id})
    assert reply.status_code == 200, reply.text
    model: str = reply.json()["model_uri"]
    assert uri(reply.json()["predictions"][0]["class_id"]) == model
    return model


def test_hash_of_the_id_chooses_the_model_and_every_answer_names_it(canaried: Cluster) -> None:
    configure(canaried, 50)
    wait_until(lambda: found(canaried)["state"] == "running", "the challenger runs")
    canary = Canary(CHALLENGER, 50)
    expected = [CHALLENGER if canary.takes(each) else CHAMPION for each in IDS]
    assert [answering(canaried, each) for each in IDS] == expected

    tensor = {"name": "images", "shape": [1, 28, 28], "datatype": "UINT8", "data": 784 * [0]}
    path = "/v2/models/fashion-mnist-classifier"
    for place, chosen in (("infer", expected), (f"versions/{GOOD[0]}/infer", len(IDS) * [CHAMPION])):
        replies = [
            canaried.client.post(
                f"{path}/{place}", content=json.dumps({"inputs": [tensor]}), headers={"x-request-id": each}
            )
            for each in IDS
        ]
        assert [reply.json()["parameters"]["model_uri"] for reply in replies] == chosen

    document, taken = found(canaried), expected.count(CHALLENGER)
    assert (document["model_uri"], document["challenger_uri"], document["percent"]) == (CHAMPION, CHALLENGER, 50)
    assert sum(document["challenger"]["times"]) == 2 * taken
    assert sum(document["champion"]["times"]) == 3 * len(IDS) - 2 * taken
    assert document["challenger"]["classes"][GOOD[1]] == 2 * taken
    assert document["challenger"]["failed"] == document["champion"]["failed"] == 0

    # Nothing of it is left at 0 %.
    configure(canaried, 0)
    wait_until(lambda: found(canaried)["state"] == "none", "the canary is gone")
    assert {answering(canaried, each) for each in IDS} == {CHAMPION}


@pytest.mark.parametrize("last", [(None, CHAMPION), (100, CHAMPION), (None, CHALLENGER)])
def test_commands_at_once_end_in_what_the_last_one_asked_for(canaried: Cluster, last: tuple[int | None, str]) -> None:
    """A release, a rollback and a canary, each before the one before is done."""
    percent, model = last
    with Load(canaried.url) as load:
        for share, served in ((50, CHAMPION), (None, CHALLENGER), (100, CHAMPION), (5, CHALLENGER), last):
            canaried.deploy(served, wait=False, user_config=config(share, served))
        expected = CHALLENGER if percent else model
        wait_until(lambda: {answering(canaried, each) for each in IDS[:10]} == {expected}, f"{expected} answers")
        wait_until(lambda: canaried.serves(model), f"{model} is the champion")
        before = len(load.answers)
        wait_until(lambda: len(load.answers) > before + 100, "more requests are answered")
    assert load.failures == []
    assert {answering(canaried, each) for each in IDS} == {expected}
    assert found(canaried)["percent"] == (percent or 0)


def config(share: int | None, served: str) -> dict[str, Any]:
    other = CHALLENGER if served == CHAMPION else CHAMPION
    canary = {} if share is None else {"canary": {"model_uri": other, "percent": share}}
    return {"model_uri": served, **canary}


def test_challenger_that_does_not_load_answers_nothing_and_says_why(canaried: Cluster) -> None:
    configure(canaried, 100, uri(CORRUPT))
    wait_until(lambda: found(canaried)["state"] == "failed", "the challenger is refused")
    document = found(canaried)
    assert document["reason"]
    assert document["challenger"] is None
    assert {answering(canaried, each) for each in IDS} == {CHAMPION}
    # A canary without a share is ignored, and the model stays.
    canaried.deploy(CHAMPION, user_config={"model_uri": CHAMPION, "canary": {"model_uri": CHALLENGER}})
    wait_until(lambda: found(canaried)["state"] == "none", "there is no canary")
    assert answering(canaried, "any") == CHAMPION
