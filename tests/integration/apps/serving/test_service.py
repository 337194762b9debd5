"""The contract over real HTTP, and the service's behaviour with slow, greedy or hostile clients."""

import io
import json
import re
import socket
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from fmnist.adapters.fastapi.settings import HttpSettings
from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import Host, wait_until
from tests.integration.apps.serving.local import Local
from tests.integration.apps.serving.models import GOOD, NAME, uri

JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}
PROBES = ("/health", "/health/live", "/health/ready", "/info")
PIXELS = bytes(784)
IMAGES, BATCHES, REQUESTS = (
    "ray_fmnist_images_total",
    "ray_fmnist_batch_images_count",
    "ray_fmnist_predict_requests_total",
)


def test_contract_routes_give_the_answers_of_the_platform_contract(service: Host) -> None:
    root = service.client.get("/").json()
    assert {"service", "version", "status", "docs", "health"} <= set(root)
    health = service.client.get("/health").json()
    assert health["status"] == "healthy"
    assert health["model_loaded"] is True
    assert health["model_uri"] == uri(GOOD[0])
    info = service.client.get("/info").json()
    assert (info["model_uri"], info["model_name"]) == (uri(GOOD[0]), NAME)
    assert info["data_version"] == "1.0.0"
    assert set(info["normalization_params"]) == {"mean", "std"}
    assert service.client.get("/docs").status_code == 200
    assert service.client.get("/ui").status_code == 200
    assert service.client.get("/ui/model").json()["model_uri"] == uri(GOOD[0])
    answer = service.client.post("/predict", json={"images": [[0] * 784, [[255] * 28] * 28]}).json()
    assert [each["class_id"] for each in answer["predictions"]] == [GOOD[0]] * 2
    assert answer["model_uri"] == uri(GOOD[0])


def test_every_body_format_gives_the_same_answer(service: Host) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    npy, png = io.BytesIO(), io.BytesIO()
    np.save(npy, images)
    Image.fromarray(images[0]).save(png, "PNG")
    bodies = {
        "application/json": json.dumps({"images": images.tolist()}).encode(),
        "application/octet-stream": images.tobytes(),
        "application/x-npy": npy.getvalue(),
        "image/png": png.getvalue(),
    }
    answers = [
        service.client.post("/predict", content=body, headers={"Content-Type": kind}).json()["predictions"]
        for kind, body in bodies.items()
    ]
    assert all(answer == answers[0] for answer in answers)


def test_an_image_is_explained_and_a_photograph_prepared(service: Host) -> None:
    photo, picture = np.full((90, 120), 250, np.uint8), io.BytesIO()
    photo[20:70, 30:80] = 75
    Image.fromarray(photo).save(picture, "PNG")
    for route in ("/explain", "/explain?prepare=photo", "/predict?prepare=photo"):
        headers = {"Content-Type": "image/png"}
        answer = service.client.post(route, content=picture.getvalue(), headers=headers).json()
        assert answer["model_uri"] == uri(GOOD[0])
        assert ("preparation" in answer) == ("?" in route)
        if route.startswith("/explain"):
            assert (answer["class_id"], answer["images"], np.shape(answer["map"])) == (GOOD[0], 82, (28, 28))


def test_clients_of_the_open_inference_protocol_get_answers(service: Host) -> None:
    model = "/v2/models/fashion-mnist-classifier"
    assert service.client.get(f"{model}/ready").status_code == 200
    body = {"id": "7", "inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": [0] * 784}]}
    answer = service.client.post(f"{model}/infer", json=body).json()
    assert answer["id"] == "7"
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["class_id"]["data"] == [GOOD[0]]
    assert outputs["probabilities"]["shape"] == [1, 10]


def test_serving_imports_no_torch(service: Host) -> None:
    for process in service.processes():
        assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()


def test_waiting_requests_share_a_batch(service: Host) -> None:
    before = {name: service.metric(name) for name in (IMAGES, BATCHES, REQUESTS)}
    asked = 0

    def ask(images: int) -> int:
        return service.client.post("/predict", content=PIXELS * images, headers=OCTETS).status_code

    def some_shared() -> bool:
        nonlocal asked
        # The small requests wait while the model classifies the large one.
        sizes = [800, *[10] * 15]
        with ThreadPoolExecutor(len(sizes)) as pool:
            assert set(pool.map(ask, sizes)) == {200}
        asked += sum(sizes)
        # Requests of earlier tests may be counted only now. They were sent one at a time.
        wait_until(lambda: service.metric(IMAGES) - before[IMAGES] >= asked, "the images are counted")
        return service.metric(BATCHES) - before[BATCHES] < service.metric(REQUESTS) - before[REQUESTS]

    wait_until(some_shared, "requests have shared a batch")
    assert f'model_uri="{uri(GOOD[0])}"' in service.metrics()


def test_log_has_the_request_id(on_ray: Cluster) -> None:
    on_ray.client.post("/predict", content=PIXELS, headers={"X-Request-ID": "who-asked-17"})
    wait_until(lambda: "who-asked-17" in on_ray.logs(), "the request is logged")


HOSTILE = {
    "no images": (b'{"images": []}', "application/json"),
    "npy that promises more": (
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (999999, 28, 28), }".ljust(79)
        + b"\n",
        "application/x-npy",
    ),
    "text": (b"hello", "text/plain"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bad_bodies_are_refused_with_a_short_message(service: Host, name: str) -> None:
    body, kind = HOSTILE[name]
    answer = service.client.post("/predict", content=body, headers={"Content-Type": kind})
    assert 400 <= answer.status_code < 500, answer.text
    assert {"detail", "error_type", "request_id"} <= set(answer.json())
    assert len(answer.content) < 2000


def test_compressed_bombs_are_not_decompressed(service: Host) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes(300_000_000)) + packer.flush()
    packed = service.client.post("/predict", content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert packed.status_code == 415
    picture = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(picture, "PNG")
    unfolded = service.client.post("/predict", content=picture.getvalue(), headers={"Content-Type": "image/png"})
    assert 400 <= unfolded.status_code < 500
    (process,) = service.processes()
    assert process.memory_info().rss < 1_500_000_000


def test_a_too_large_body_is_refused_before_it_is_read(service: Host) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 413 " in connection.recv(4096)


def test_endless_headers_are_refused(service: Host) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000)
        assert b" 400 " in connection.recv(4096)


def test_a_client_that_stops_halfway_costs_nothing(service: Host) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 784\r\n\r\n"
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(head + bytes(100))
    assert service.serves(uri(GOOD[0]))
    assert "Traceback" not in service.logs()


def test_slow_clients_do_not_delay_others(service: Host) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 784\r\n\r\n"
    with ExitStack() as slow:
        for _ in range(100):
            connection = slow.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30))
            connection.sendall(head + bytes(100))
        answer = service.client.post("/predict", content=PIXELS, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < HttpSettings(version="").body_timeout_seconds


def test_a_full_queue_refuses_predictions_and_no_health_check(service: Host) -> None:
    ended = threading.Event()
    probed: list[tuple[str, int]] = []

    def probe() -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            while not ended.is_set():
                probed.extend((path, client.get(path).status_code) for path in PROBES)

    def ask(_: int) -> httpx.Response:
        return service.client.post("/predict", content=PIXELS * 1000, headers=OCTETS)

    answers: list[httpx.Response] = []

    def was_refused() -> bool:
        with ThreadPoolExecutor(16) as pool:
            answers.extend(pool.map(ask, range(32)))
        return any(answer.status_code == 429 for answer in answers)

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        wait_until(was_refused, "the queue is full")
    finally:
        ended.set()
        prober.join()
    assert {answer.status_code for answer in answers} == {200, 429}
    assert set(probed) == {(path, 200) for path in PROBES}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert {"detail", "error_type", "request_id"} <= set(refused.json())
    assert service.client.post("/predict", content=PIXELS, headers=OCTETS).status_code == 200


def test_metrics_have_the_names_and_labels_of_ray(in_process: Local, on_ray: Cluster) -> None:
    for host in (in_process, on_ray):
        assert host.client.post("/predict", content=PIXELS, headers=OCTETS).status_code == 200
    wait_until(lambda: series(in_process).keys() <= series(on_ray).keys(), "Ray exports what one process exports")
    theirs = series(on_ray)
    assert all(labels <= theirs[name] for name, labels in series(in_process).items())


def series(host: Host) -> dict[str, set[str]]:
    """The names of all metrics of the service, with the names of their labels."""
    ours = r"^(ray_(?:fmnist|serve_num_http_requests|serve_http_request)\w+)\{(.*)\} "
    found = re.findall(ours, host.metrics(), re.MULTILINE)
    return {name: set(re.findall(r'(\w+)="', labels)) for name, labels in found}
