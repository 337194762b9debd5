"""The window of recent traffic, in both hosts."""

import re

import numpy as np

from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import Host, wait_until
from tests.integration.apps.serving.local import Local
from tests.integration.apps.serving.models import GOOD, uri

OCTETS = {"Content-Type": "application/octet-stream"}
NOISE = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)


def test_window_has_the_answers_of_the_serving_model(service: Host) -> None:
    before = service.client.get("/drift").json()
    assert before["model_uri"] == uri(GOOD[0])
    for start in range(0, 300, 100):
        sent = NOISE[start : start + 100].tobytes()
        assert service.client.post("/predict", content=sent, headers=OCTETS).status_code == 200
    after = service.client.get("/drift").json()
    assert after["images"] - before["images"] == 300
    grown = np.array(after["statistics"]["class"]["window"]) - before["statistics"]["class"]["window"]
    assert grown[GOOD[0]] == 300
    assert (after["verdict"], after["reference_images"]) == ("drifted", 500)


def test_metrics_have_the_verdict_and_the_realized_accuracy(in_process: Local, on_ray: Cluster) -> None:
    """Both hosts at once, because each judges its traffic only every 30 s."""
    model, hosts = rf'\{{[^}}]*model_uri="{uri(GOOD[0])}"[^}}]*\}}', (in_process, on_ray)
    for host in hosts:
        reply = host.client.post("/predict", content=NOISE.tobytes(), headers=OCTETS)
        label = {"request_id": reply.headers["x-request-id"], "class_id": GOOD[0]}
        assert host.client.post("/feedback", json={"labels": [label]}).json()["accepted"] == 1
    for host in hosts:
        for line in (rf"ray_fmnist_drifted{model} 1\.0", rf"ray_fmnist_labelled_images{model} [1-9]"):
            wait_until(lambda host=host, line=line: re.search(line, host.metrics()) is not None, f"it exports {line}")  # type: ignore[misc]
        assert 0 < host.metric("ray_fmnist_realized_accuracy") <= 1


def test_each_model_has_a_window_of_its_own(in_process: Local) -> None:
    in_process.choose(GOOD[1])
    wait_until(lambda: in_process.is_well(uri(GOOD[1])), "the second model serves")
    found = in_process.client.get("/drift").json()
    assert (found["model_uri"], found["verdict"], found["images"]) == (uri(GOOD[1]), "unknown", 0)
    assert found["reason"].startswith("no reference")


def test_windows_outlive_a_replica(on_ray: Cluster) -> None:
    assert on_ray.client.post("/predict", content=NOISE.tobytes(), headers=OCTETS).status_code == 200
    before = on_ray.client.get("/drift").json()["images"]
    (process,) = on_ray.processes()
    process.kill()
    wait_until(lambda: on_ray.serves(uri(GOOD[0])), "another replica serves")
    assert on_ray.client.get("/drift").json()["images"] >= before
