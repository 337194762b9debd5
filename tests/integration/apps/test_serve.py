"""The application that Ray Serve imports, and the parts of a replica, without a cluster."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from fmnist.apps import serve
from fmnist.apps.containers.serve_ray import RayServeContainer
from fmnist.apps.serve_application import ServeArguments
from fmnist.apps.settings import Settings
from tests.integration.apps.here import Here
from tests.unit.adapters.fastapi.support import GreyServing, grey_model

MODEL = "models:/prod.fashion-mnist-classifier/7"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service with an API key, in an empty state directory."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMNIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FMNIST_API_KEYS", "s3cr3t-key")


def _served(application: Any) -> object:
    return application._bound_deployment.user_config["model_uri"]


def test_ray_serve_imports_the_application_by_name(tmp_path: Path) -> None:
    assert _served(serve.app) is None
    assert _served(serve.app_builder(ServeArguments(model_uri=MODEL))) == MODEL
    (guard,) = serve.proxy_middleware()
    assert guard.kwargs["settings"].api_keys == ("s3cr3t-key",)
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_and_arguments_are_refused() -> None:
    with pytest.raises(AttributeError, match=r"module 'fmnist\.apps\.serve' has no attribute 'application'"):
        serve.application  # noqa: B018 - reading it raises
    with pytest.raises(ValidationError, match="model"):
        ServeArguments(model=MODEL)  # type: ignore[call-arg]


def test_a_replica_requires_the_keys_of_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = RayServeContainer(settings=Settings.load()).parts()
    monkeypatch.setenv("FMNIST_API_KEYS", "key-of-the-node")
    application = parts.http(GreyServing(grey_model()))

    async def status(key: str) -> int:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
            headers = {"Authorization": f"Bearer {key}"}
            return (await client.post("/predict", json={"images": []}, headers=headers)).status_code

    assert [asyncio.run(status(key)) for key in ("s3cr3t-key", "key-of-the-node")] == [401, 422]


def test_a_replica_builds_its_service_without_a_connection(tmp_path: Path) -> None:
    settings = Settings(mlflow_tracking_uri="http://127.0.0.1:9", mlflow_registered_model_name="prod.other")
    serving = RayServeContainer(settings=settings).parts().serving("fashion-mnist", 1, lambda *_: None)
    assert serving.status.served is None
    assert serving._sources.model_name == "prod.other"
    assert list(tmp_path.iterdir()) == []


def test_route_prefix_without_a_slash_is_refused(here: Here) -> None:
    refused = here.refused("serve", "--route-prefix", "fashion")
    assert refused == "--route-prefix 'fashion' must begin with /"
