"""What Serve's proxy answers while no application is deployed."""

from tests.integration.apps.serving.server import Cluster, wait_until


def test_without_an_application_the_client_is_told_to_try_again(service: Cluster) -> None:
    service.remove()
    wait_until(lambda: service.client.get("/health").status_code != 200, "the application is gone")
    answer = service.client.post("/predict", content=bytes(784), headers={"Content-Type": "application/octet-stream"})
    assert (answer.status_code, answer.json()["error_type"]) == (503, "not_ready")
    assert int(answer.headers["Retry-After"]) >= 1
