"""What Serve's proxy answers while no application is deployed."""

from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import wait_until


def test_without_an_application_the_client_is_told_to_try_again(on_ray: Cluster) -> None:
    on_ray.remove()
    wait_until(lambda: on_ray.client.get("/health").status_code != 200, "the application is gone")
    answer = on_ray.client.post("/predict", content=bytes(784), headers={"Content-Type": "application/octet-stream"})
    assert (answer.status_code, answer.json()["error_type"]) == (503, "not_ready")
    assert int(answer.headers["Retry-After"]) >= 1
