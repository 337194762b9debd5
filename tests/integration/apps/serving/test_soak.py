"""Faults that show only after a long time. `make soak` runs these tests before a release."""

import httpx
import pytest

from tests.integration.apps.serving.models import GOOD, uri
from tests.integration.apps.serving.server import Cluster, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def _resident(service: Cluster) -> int:
    (replica,) = service.replicas()
    return int(replica.memory_info().rss)


def test_memory_stays_flat_over_fifty_reloads(service: Cluster) -> None:
    service.deploy(uri(GOOD[0]))

    def reload(times: int) -> None:
        for turn in range(times):
            wanted = uri(GOOD[(turn + 1) % 2])
            service.deploy(wanted)
            wait_until(lambda wanted=wanted: service.serves(wanted), f"{wanted} serves")

    reload(10)
    before = _resident(service)
    reload(50)
    assert _resident(service) < before + 40_000_000


def test_memory_stays_flat_over_twenty_thousand_requests(service: Cluster) -> None:
    service.deploy(uri(GOOD[0]))

    def ask(times: int) -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            for _ in range(times):
                answer = client.post(
                    "/predict", content=bytes(784), headers={"Content-Type": "application/octet-stream"}
                )
                assert answer.status_code == 200

    ask(2000)
    before = _resident(service)
    ask(20_000)
    assert _resident(service) < before + 40_000_000
