"""Faults that show only after a long time. `make soak` runs these tests before a release."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from fmnist.adapters.fsspec.feedback import ObjectFeedback
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.traffic.feedback import MOST_IMAGES
from fmnist.testing.contracts.feedback import answer
from tests.integration.apps.serving.collector import ENDPOINT, Collector
from tests.integration.apps.serving.host import Host, Load, wait_until
from tests.integration.apps.serving.local import Local, local
from tests.integration.apps.serving.models import GOOD, Models, uri

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

OCTETS = {"Content-Type": "application/octet-stream"}


def _resident(service: Host) -> int:
    (process,) = service.processes()
    return int(process.memory_info().rss)


def test_memory_stays_flat_over_fifty_reloads(service: Host) -> None:
    def reload(times: int) -> None:
        for turn in range(times):
            version = GOOD[(turn + 1) % 2]
            service.choose(version)
            wait_until(lambda version=version: service.serves(uri(version)), f"version {version} serves")

    reload(10)
    before = _resident(service)
    reload(50)
    assert _resident(service) < before + 40_000_000


def test_memory_stays_flat_over_twenty_thousand_requests(service: Host) -> None:
    def ask(times: int) -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            for _ in range(times):
                answer = client.post("/predict", content=bytes(784), headers=OCTETS)
                assert answer.status_code == 200

    ask(2000)
    before = _resident(service)
    ask(20_000)
    assert _resident(service) < before + 40_000_000


@contextmanager
def _with_everything_on(models: Models, place: Path, collector: Collector) -> Iterator[Local]:
    """A service with a window, feedback, a shadow and traces."""
    # Feedback grows until it has all the images that it keeps. So it begins with them.
    ObjectFeedback(str(place), S3Settings()).add([answer(f"{number:032}", 1) for number in range(MOST_IMAGES)])
    variables = {**models.command.variables, "FEEDBACK_PLACE": str(place), ENDPOINT: collector.url}
    command = replace(models.command, variables=variables)
    with local(replace(models, command=command), GOOD[0], "--shadow", uri(GOOD[1])) as service:
        wait_until(lambda: service.client.get("/shadow").json()["state"] == "running", "the shadow runs")
        yield service


def test_memory_stays_flat_while_requests_are_noted_everywhere(models: Models, tmp_path: Path) -> None:
    def ask(times: int) -> int:
        with Load(service.url) as load:
            wait_until(lambda: len(load.answers) >= times, f"{times} requests are answered")
        assert load.failures == []
        return len(load.answers)

    with Collector().running() as collector, _with_everything_on(models, tmp_path, collector) as service:
        sent = ask(10_000)
        wait_until(lambda: service.metric("ray_fmnist_drift_distance") > 0, "the window is judged, which takes memory")
        before = _resident(service)
        sent += ask(20_000)
        # A leak of 250 bytes a request would break it.
        assert _resident(service) < before + 5_000_000

        assert service.client.get("/drift").json()["images"] == sent
        assert service.client.get("/shadow").json()["images"] > 1000
        assert len(collector.spans) > sent
        reply = service.client.post("/predict", content=bytes(784), headers=OCTETS)
        label = {"request_id": reply.headers["x-request-id"], "class_id": GOOD[0]}
        assert service.client.post("/feedback", json={"labels": [label]}).json()["accepted"] == 1
