"""`fmnist smoke` against the HTTP application with a trained model, over a real socket."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.domain.model.addresses import Address
from fmnist.domain.model.images import Images
from fmnist.domain.model.metrics import Probabilities
from fmnist.domain.services.model_serving import ServedModel, ServingStatus
from fmnist.domain.services.prediction import Prediction
from tests.integration.apps.conftest import Trained
from tests.integration.apps.here import Here

SETTINGS = HttpSettings(version="1.2.3", max_images=40)
LIMIT = {"REQUEST_MAX_LENGTH": "40"}


class OneModel(Serving):
    """Serves one model, or none."""

    def __init__(self, model: ServedModel | None) -> None:
        self._model = model

    def status(self) -> ServingStatus:
        return ServingStatus(desired="newest", served=self._model, reload_error=None)

    async def answer(self, images: Images) -> tuple[ServedModel, Probabilities]:
        assert self._model is not None
        return self._model, self._model.prediction.probabilities(images)


@pytest.fixture(scope="module")
def model(trained: Trained) -> ServedModel:
    store = MlflowModelStore(MlflowConnection(tracking_uri=Address(f"sqlite:///{trained.command.home}/mlflow.db")))
    package = store.download(store.resolve(trained.result["model_uri"]))
    return ServedModel(
        version=package.version,
        uuid=package.uuid,
        signature=package.signature,
        created=package.created,
        prediction=Prediction(package.load()),
        degraded=None,
    )


@contextmanager
def service(model: ServedModel | None, settings: HttpSettings = SETTINGS) -> Iterator[str]:
    """Serve below the prefix /toy, and give the URL."""
    app = Starlette(routes=[Mount("/toy", create_app(OneModel(model), settings))])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    # Whoever connects before the server accepts stands in line.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/toy"
        finally:
            server.should_exit = True
            thread.join()


def test_good_service_passes_below_its_prefix(there: Here, model: ServedModel) -> None:
    with service(model) as url:
        code, out, err = there("smoke", url, **LIMIT)
    assert (code, err) == (0, ""), out
    assert out.startswith(f"{url}\npass  ready ")
    assert "FAIL" not in out
    assert out.rstrip().endswith("checks passed")
    assert max(map(len, out.splitlines())) <= 80


def test_report_is_json_for_programs(there: Here, trained: Trained, model: ServedModel) -> None:
    with service(model) as url:
        code, out, _ = there("smoke", url, "--json", "--images", "7", **LIMIT)
    report = json.loads(out)
    assert (code, report["passed"], report["url"]) == (0, True, url)
    assert report["models"] == [trained.result["model_uri"]]
    assert report["data_version"] == "fashion-mnist-v1.0.0"
    assert {check["name"] for check in report["checks"]} >= {"ready", "accuracy", "JSON 28x28", "one model"}
    assert [latency["images"] for latency in report["latencies"]] == [1, 2]


def test_failed_check_is_told_and_ends_with_1(there: Here) -> None:
    with service(None) as url:
        code, out, _ = there("smoke", url)
    assert code == 1
    assert "FAIL  ready  GET /health/ready gave 503 (not_ready), expected 200" in out
    assert out.rstrip().endswith("failed: ready")


def test_key_is_that_of_the_environment(there: Here, model: ServedModel) -> None:
    with service(model, replace(SETTINGS, api_keys=("secret",))) as url:
        code, out, _ = there("smoke", url, **LIMIT, FMNIST_API_KEY="secret")
        assert code == 0, out
        code, out, _ = there("smoke", url, "--api-key", "wrong", **LIMIT, FMNIST_API_KEY="secret")
        assert code == 1
    assert "secret" not in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["localhost:8000"], "'localhost:8000' is no URL of a service: expected one such as http://"),
        (["http://127.0.0.1:1", "--api-key", "a b"], "the API key must be of visible ASCII characters"),
        (["http://127.0.0.1:1", "--api-key", ""], "the API key must be of visible ASCII characters"),
        (["http://127.0.0.1:1", "--model", "models:/a@b"], "--model models:/a@b names no version"),
        (["http://127.0.0.1:1", "--model", "best"], "model URI 'best' must be models:/NAME/VERSION"),
    ],
)
def test_what_cannot_be_asked_is_bad_input(there: Here, arguments: list[str], complaint: str) -> None:
    assert complaint in there.refused("smoke", *arguments)


def test_service_that_is_not_there_ends_with_1(there: Here) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        code, out, _ = there("smoke", f"http://127.0.0.1:{unheard.getsockname()[1]}")
    assert code == 1
    assert "refused" in out


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("password", ["s3cret", "s3cret'w", "s3cret/w", "s3cret w", "s3cret%40"])
def test_password_in_the_url_is_sent_and_not_shown(there: Here, password: str, form: tuple[str, ...]) -> None:
    code, out, err = there("smoke", f"http://bot:{password}@127.0.0.1:9/toy", *form, LOG_LEVEL="DEBUG")
    assert code == 1
    assert "http://127.0.0.1:9/toy" in out
    assert "s3cret" not in out + err


def test_registry_of_the_service_s_data_is_needed(there: Here, trained: Trained, model: ServedModel) -> None:
    with service(model) as url:
        line = there.refused("smoke", url, code=1, DVC_REPO_URL=str(trained.command.home / "absent.git"))
    assert "absent.git" in line
