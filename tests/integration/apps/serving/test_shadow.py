"""A second model that answers the same images, in both hosts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import Host, Load, wait_until
from tests.integration.apps.serving.local import Local, local
from tests.integration.apps.serving.models import CORRUPT, GOOD, NAME, Models, uri

OCTETS = {"Content-Type": "application/octet-stream"}
SHADOW = f"models:/{NAME}@shadow"


@pytest.fixture(params=["local", "ray"])
def shadowed(request: pytest.FixtureRequest, models: Models) -> Iterator[Host]:
    """A service of the first model, whose shadow is the alias `shadow`, the second model."""
    models.point("shadow", GOOD[1])
    if request.param == "local":
        with local(models, GOOD[0], "--shadow", SHADOW) as started:
            yield started
    else:
        on_ray: Cluster = request.getfixturevalue("on_ray")
        with deployed(on_ray, SHADOW):
            yield on_ray


@contextmanager
def deployed(on_ray: Cluster, shadow: str) -> Iterator[None]:
    config = {"model_uri": uri(GOOD[0]), "shadow": {"model_uri": shadow}}
    on_ray.deploy(uri(GOOD[0]), user_config=config)
    try:
        yield
    finally:
        on_ray.deploy(uri(GOOD[0]))


def found(service: Host) -> Any:
    return service.client.get("/shadow").json()


def send(service: Host, images: int) -> None:
    assert service.client.post("/predict", content=bytes(784 * images), headers=OCTETS).status_code == 200


def test_second_model_is_compared_and_never_agrees(shadowed: Host, models: Models) -> None:
    wait_until(lambda: found(shadowed)["state"] == "running", "the shadow runs")
    before = found(shadowed)["images"]
    send(shadowed, 100)
    wait_until(lambda: found(shadowed)["images"] == before + 100, "all images are compared")
    document = found(shadowed)
    assert (document["model_uri"], document["shadow_uri"]) == (uri(GOOD[0]), uri(GOOD[1]))
    assert (document["agreement"]["value"], document["agreement"]["low"], document["dropped"]) == (0, 0, 0)
    assert f"{uri(GOOD[1])} is loaded after" in shadowed.logs()
    assert 0 < document["agreement"]["high"] < 0.1
    rows = [row for row in document["classes"] if row["images"]]
    assert rows == [{"class_name": "Trouser", "images": before + 100, "agreed": 0}]
    assert document["model"]["confidence"] == pytest.approx(1)
    assert document["shadow"]["milliseconds"] > 0
    gauge = re.compile(rf'ray_fmnist_shadow_runs\{{[^}}]*shadow_uri="{uri(GOOD[1])}"[^}}]*\}} 1\.0')
    wait_until(lambda: gauge.search(shadowed.metrics()) is not None, "the gauge is exported")
    wait_until(lambda: shadowed.metric("ray_fmnist_shadow_images_total") >= 100, "the images are counted")
    assert shadowed.metric("ray_fmnist_shadow_agreed_total") == 0
    # An alias is looked up once per deploy.
    models.point("shadow", GOOD[0])
    with Load(shadowed.url, connections=2) as load:
        wait_until(lambda: found(shadowed)["images"] > before + 100, "more images are compared")
    assert load.failures == []
    assert found(shadowed)["shadow_uri"] == uri(GOOD[1])


def test_comparison_starts_anew_with_another_model(models: Models) -> None:
    with local(models, GOOD[0], "--shadow", uri(GOOD[1])) as service:
        wait_until(lambda: found(service)["state"] == "running", "the shadow runs")
        send(service, 10)
        wait_until(lambda: found(service)["images"] == 10, "the images are compared")
        service.choose(GOOD[1])
        wait_until(lambda: service.is_well(uri(GOOD[1])), "the second model serves")
        assert found(service)["images"] == 0
        send(service, 10)
        wait_until(lambda: found(service)["images"] == 10, "the images are compared")
        assert found(service)["agreement"]["value"] == 1


def test_shadow_that_does_not_load_is_named_and_the_service_serves(on_ray: Cluster) -> None:
    with deployed(on_ray, uri(CORRUPT)):
        wait_until(lambda: found(on_ray)["state"] == "off", "the shadow is off")
        document = found(on_ray)
        assert document["shadow_uri"] == uri(CORRUPT)
        assert uri(CORRUPT) in document["reason"]
        send(on_ray, 1)
        assert on_ray.is_well(uri(GOOD[0]))
    wait_until(lambda: found(on_ray)["state"] == "none", "there is no shadow")


def test_without_a_shadow_the_route_says_so(in_process: Local) -> None:
    document = found(in_process)
    assert (document["state"], document["model_uri"], document["shadow_uri"]) == ("none", uri(GOOD[0]), None)
