"""Faults that show only after a long time. `make soak` runs these tests before a release."""

import httpx
import pytest

from tests.integration.apps.serving.host import Host, wait_until
from tests.integration.apps.serving.models import GOOD, uri

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


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
                answer = client.post(
                    "/predict", content=bytes(784), headers={"Content-Type": "application/octet-stream"}
                )
                assert answer.status_code == 200

    ask(2000)
    before = _resident(service)
    ask(20_000)
    assert _resident(service) < before + 40_000_000
