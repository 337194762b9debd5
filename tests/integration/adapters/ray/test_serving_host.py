"""What Ray Serve is asked to do, and what its failures become. Nothing runs: Serve's functions are replaced."""

from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import ray
from ray import serve

from fmnist.adapters.ray.serving_host import RayHost
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

SHARED = ClusterSettings("10.0.0.1:6379")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions that were called, on a cluster without Serve."""
    asked: list[str] = []

    def record(module: Any, name: str) -> None:
        monkeypatch.setattr(module, name, lambda *_, **__: asked.append(f"{module.__name__}.{name}"))

    for name in ("start", "run", "delete", "shutdown"):
        record(serve, name)
    record(ray, "shutdown")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(serve, "status", lambda: SimpleNamespace(proxies={}))
    monkeypatch.setenv("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "")
    return asked


def host(cluster: ClusterSettings = SHARED) -> RayHost:
    return RayHost(lambda *_: "application", cluster=cluster, request_seconds=30, proxy="a:b")


def start() -> None:
    host().start(None, host="127.0.0.1", port=8000, prefix="")


def test_service_of_another_user_on_the_cluster_is_not_replaced(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "status", lambda: SimpleNamespace(proxies={"node": "HEALTHY"}))
    with pytest.raises(InvalidSetting, match=r"Ray Serve runs on this cluster already.*unset RAY_ADDRESS"):
        start()
    assert asked == []


def test_application_that_does_not_start_is_an_outage(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("no replica became ready")

    monkeypatch.setattr(serve, "run", fail)
    with pytest.raises(StoreUnavailable, match="did not start the service: no replica became ready"):
        start()
    assert asked == ["ray.serve.start"]


def test_proxy_waits_longer_than_the_service(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(serve, "start", lambda **options: given.update(options))
    start()
    assert given["http_options"].request_timeout_s == 35
    assert (given["http_options"].host, given["http_options"].port) == ("127.0.0.1", 8000)
    assert asked == ["ray.serve.run"]


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (ClusterSettings(), ["ray.serve.delete", "ray.shutdown"]),
        (SHARED, ["ray.serve.delete", "ray.serve.shutdown", "ray.shutdown"]),
    ],
)
def test_requests_are_answered_before_anything_else_stops(
    asked: list[str], cluster: ClusterSettings, expected: list[str]
) -> None:
    started = host(cluster)
    started.stop()  # nothing runs yet
    assert asked == []
    started._runs = True
    started.stop()
    assert asked == expected
