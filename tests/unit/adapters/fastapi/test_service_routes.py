"""What the service says of itself: contract keys, readiness, and links that work under any prefix."""

import pytest

from tests.unit.adapters.fastapi.support import GreyServing, Service, grey_model


def test_the_root_names_the_service_and_links_on(service: Service) -> None:
    assert service.get("/").json() == {
        "service": "fashion-mnist-classifier",
        "version": "1.2.3",
        "status": "running",
        "docs": "/docs",
        "health": "/health",
    }


@pytest.mark.parametrize("path", ["/", ""])
def test_links_lead_somewhere_under_a_prefix(serving: GreyServing, path: str) -> None:
    service = Service(serving, root_path="/clothes/v1")
    links = service.get(path).json()
    assert (links["docs"], links["health"]) == ("/clothes/v1/docs", "/clothes/v1/health")
    for link in (links["docs"], links["health"]):
        assert service.get(link.removeprefix("/clothes/v1")).status == 200


def test_docs_load_their_document_under_a_prefix(serving: GreyServing) -> None:
    service = Service(serving, root_path="/clothes")
    assert b"url: '/clothes/openapi.json'" in service.get("/docs").body
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
def test_what_is_not_as_desired_is_told_while_the_old_model_serves(path: str) -> None:
    serving = GreyServing(grey_model(degraded="the data registry does not answer"))
    serving.reload_error = "models:/dev.greys/4 does not replay its golden batch"
    reply = Service(serving).get(path)
    assert reply.status == 200
    assert reply.json()["degraded"] == "the data registry does not answer"
    assert reply.json()["reload_error"] == "models:/dev.greys/4 does not replay its golden batch"
    assert reply.json().get("status") in ("healthy", None), "consumers compare with this word"


def test_info_is_that_of_the_model_that_serves(service: Service, serving: GreyServing) -> None:
    assert service.get("/info").json() == {
        "model_uri": "models:/dev.greys/3",
        "model_uuid": "m-1",
        "run_id": "run-1",
        "model_signature": {"inputs": [{"name": "images", "type": "float32"}], "outputs": []},
        "data_version": "fashion-mnist-v1.0.0",
        "training_timestamp": "2023-11-14T22:13:20+00:00",
        "expected_input_shape": [-1, 28, 28],
        "output_classes": [
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        "normalization_params": {"mean": 0.286, "std": 0.353},
        "desired_model": "models:/dev.greys@champion",
        "degraded": None,
        "reload_error": None,
    }
    serving.model = grey_model(4)
    assert service.get("/info").json()["model_uri"] == "models:/dev.greys/4"
