"""The service routes: contract keys, readiness, and links that work under any prefix."""

from dataclasses import replace

import pytest

from fmnist.domain.model.data.images import CLASS_NAMES
from tests.unit.adapters.fastapi.support import INFER, SETTINGS, GreyServing, Service, grey_model


def test_the_root_names_the_service_and_links_on(service: Service) -> None:
    assert service.get("/").json() == {
        "service": "fashion-mnist-classifier",
        "version": "1.2.3",
        "status": "running",
        "docs": "/docs",
        "health": "/health",
    }


@pytest.mark.parametrize("path", ["/", ""])
def test_links_work_under_a_prefix(serving: GreyServing, path: str) -> None:
    service = Service(serving, root_path="/clothes/v1")
    links = service.get(path).json()
    assert (links["docs"], links["health"]) == ("/clothes/v1/docs", "/clothes/v1/health")
    for link in (links["docs"], links["health"]):
        assert service.get(link.removeprefix("/clothes/v1")).status == 200


def test_document_names_the_prefix(serving: GreyServing) -> None:
    service = Service(serving, root_path="/clothes")
    assert service.get("/openapi.json").json()["servers"] == [{"url": "/clothes"}]


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_service_with_a_model_is_healthy(service: Service, path: str) -> None:
    reply = service.get(path)
    health = reply.json()
    assert reply.status == 200
    assert health.pop("uptime_seconds") >= 0
    assert health == {
        "status": "healthy",
        "model_loaded": True,
        "model_uri": "models:/dev.greys/3",
        "desired_model": "models:/dev.greys@champion",
        "degraded": None,
        "reload_error": None,
    }


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/info"])
def test_a_service_without_a_model_is_not_ready_and_says_why(path: str) -> None:
    serving = GreyServing()
    serving.reload_error = "models:/dev.greys@champion: no such alias"
    reply = Service(serving).get(path)
    assert reply.problem == (503, "not_ready")
    health = reply.json()["detail"]
    assert health.pop("uptime_seconds") >= 0
    assert health == {
        "status": "not_ready",
        "model_loaded": False,
        "model_uri": None,
        "desired_model": "models:/dev.greys@champion",
        "degraded": None,
        "reload_error": "models:/dev.greys@champion: no such alias",
    }


def test_a_service_that_loads_its_model_is_alive(service: Service) -> None:
    assert Service(GreyServing()).get("/health/live").status == 200
    assert service.get("/health/live").json() == {"status": "alive"}


@pytest.mark.parametrize("path", ["/health", "/info"])
def test_health_shows_a_failed_reload_while_the_old_model_serves(path: str) -> None:
    serving = GreyServing(grey_model(degraded="the data registry does not answer"))
    serving.reload_error = "models:/dev.greys/4 does not replay its golden batch"
    reply = Service(serving).get(path)
    assert reply.status == 200
    assert reply.json()["degraded"] == "the data registry does not answer"
    assert reply.json()["reload_error"] == "models:/dev.greys/4 does not replay its golden batch"
    assert reply.json().get("status") in ("healthy", None), "consumers compare with this word"


def test_info_describes_the_model_that_serves(service: Service, serving: GreyServing) -> None:
    assert service.get("/info").json() == {
        "model_uri": "models:/dev.greys/3",
        "model_name": "dev.greys",
        "model_uuid": "m-1",
        "run_id": "run-1",
        "model_signature": {"inputs": [{"name": "images", "type": "float32"}], "outputs": []},
        "data_version": "fashion-mnist-v1.0.0",
        "training_timestamp": "2023-11-14T22:13:20+00:00",
        "expected_input_shape": [-1, 28, 28],
        "output_classes": list(CLASS_NAMES),
        "normalization_params": {"mean": 0.286, "std": 0.353},
        "desired_model": "models:/dev.greys@champion",
        "degraded": None,
        "reload_error": None,
    }
    serving.model = grey_model(4)
    assert service.get("/info").json()["model_uri"] == "models:/dev.greys/4"


def got(service: Service) -> list[str]:
    """Every path that answers GET."""
    paths = service.get("/openapi.json").json()["paths"]
    got = [path.format(name="fashion-mnist-classifier", version="3") for path in paths if "get" in paths[path]]
    assert {"/", "/health", "/health/live", "/health/ready", "/info", "/v2/health/ready"} <= set(got)
    return [*got, "/docs", "/ui", "/ui/app.js", "/openapi.json"]


SECRETS = ("s3://store.internal/bucket does not answer", "http://mlflow.internal:5000 fails")


@pytest.mark.parametrize("has_model", [True, False])
@pytest.mark.parametrize("path", ["/health", "/health/ready", "/info"])
def test_reason_of_a_failure_is_shown_only_with_a_key(path: str, has_model: bool) -> None:
    serving = GreyServing(grey_model(degraded=SECRETS[0]) if has_model else None)
    serving.reload_error = SECRETS[1]
    service = Service(serving, replace(SETTINGS, api_keys=("the-key",)))
    shown, hidden = service.get(path, x_api_key="the-key"), service.get(path, x_api_key="wrong")
    assert shown.status == hidden.status == (200 if has_model else 503)
    told, untold = (reply.json() if has_model else reply.json()["detail"] for reply in (shown, hidden))
    assert told["reload_error"] == SECRETS[1]
    assert told["degraded"] == (SECRETS[0] if has_model else None)
    assert untold["reload_error"], "everybody sees that there is an error"
    assert bool(untold["degraded"]) == has_model
    # Only the texts differ.
    changing = {"reload_error", "degraded", "uptime_seconds"}
    assert {key: told[key] for key in told.keys() - changing} == {key: untold[key] for key in untold.keys() - changing}


def test_no_detail_of_a_failure_is_shown_without_a_key() -> None:
    for model in (grey_model(degraded=SECRETS[0]), None):
        serving = GreyServing(model)
        serving.reload_error = SECRETS[1]
        service = Service(serving, replace(SETTINGS, api_keys=("the-key",)))
        replies = [service.get(path) for path in got(service)] + [service.post("/predict"), service.post(INFER)]
        assert not [reply for reply in replies if b"internal" in reply.body]


def test_nothing_is_hidden_if_there_is_no_failure() -> None:
    service = Service(GreyServing(grey_model()), replace(SETTINGS, api_keys=("the-key",)))
    assert (service.get("/health").json()["reload_error"], service.get("/info").json()["degraded"]) == (None, None)


def test_head_is_answered_as_get_without_a_body(service: Service) -> None:
    for path in [*got(service), "/nothing", "/predict"]:
        head, get = service.request("HEAD", path), service.get(path)
        assert (head.status, head.body) == (get.status, b""), path
        ours = {"x-request-id", "content-length"}
        assert head.headers.keys() == get.headers.keys()
        assert {name: head.headers[name] for name in head.headers.keys() - ours} == {
            name: get.headers[name] for name in get.headers.keys() - ours
        }


def test_head_of_a_service_without_a_model_is_not_ready() -> None:
    for path in ("/health", "/v2/health/ready"):
        reply = Service(GreyServing()).request("HEAD", path)
        assert (reply.status, reply.body) == (503, b"")


def test_head_is_not_in_the_openapi_document(service: Service) -> None:
    paths = service.get("/openapi.json").json()["paths"]
    assert not [path for path, methods in paths.items() if "head" in methods]
