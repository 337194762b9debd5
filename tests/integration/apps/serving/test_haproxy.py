"""The service behind HAProxy, with the variables that `deploy/components/haproxy` sets on a cluster."""

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.integration.apps.serving.cluster import Cluster, cluster
from tests.integration.apps.serving.host import Load, free_port, wait_until
from tests.integration.apps.serving.models import GOOD, Models, uri

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

COMPONENT = Path(__file__).parents[4] / "deploy" / "components" / "haproxy"
PIXELS = bytes(784)
OCTETS = {"Content-Type": "application/octet-stream"}
KEY = {"X-API-Key": "right"}
BUFFER = 8 * 2**20
QUEUE = 200  # images
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: right\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\n\r\n"
)


def shipped() -> dict[str, str]:
    """Return the variables of the component, with one thread for HAProxy."""
    patch = yaml.safe_load((COMPONENT / "head.yaml").read_text(encoding="utf-8"))
    variables = [each["value"] for each in patch if each["path"].endswith("/env/-")]
    return {each["name"]: each.get("value", "1") for each in variables}


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """A folder that only this user can open, for HAProxy's configuration and sockets.

    Ray adds the node's id of 56 characters to the path of a socket, which must not be longer than 97.
    """
    directory = Path(tempfile.mkdtemp(prefix="hap-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    names = ("HAPROXY_METRICS_PORT", "HAPROXY_STATS_PORT", "FALLBACK_PROXY_HTTP_PORT")
    return {f"RAY_SERVE_{name}": str(free_port()) for name in names}


@pytest.fixture(scope="module")
def started(models: Models, files: Path, ports: dict[str, str]) -> Iterator[Cluster]:
    places = {
        "CONFIG_FILE_LOC": "haproxy.cfg",
        "SOCKET_PATH": "a.sock",
        "METRICS_SOCKET_PATH": "m.sock",
        "SERVER_STATE_BASE": "",
        "SERVER_STATE_FILE": "state",
    }
    variables = {
        **shipped(),
        **ports,
        **{f"RAY_SERVE_HAPROXY_{name}": str(files / place) for name, place in places.items()},
        "FMNIST_API_KEYS": KEY["X-API-Key"],
        "REQUEST_BUFFER_BYTES": str(BUFFER),
        "REQUEST_QUEUE_IMAGES": str(QUEUE),
    }
    directory = Path(tempfile.mkdtemp(prefix="fmnist-ray-"))
    try:
        with cluster(models.command, directory, variables=variables) as behind:
            yield behind
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def service(started: Cluster) -> Cluster:
    """One replica that serves the first model, after any earlier test."""
    return deployed(started, 1)


def deployed(service: Cluster, replicas: int) -> Cluster:
    service.deploy(uri(GOOD[0]), num_replicas=replicas)
    wait_until(lambda: len(_live(service)) == replicas, f"{replicas} replicas run")
    wait_until(lambda: service.serves(uri(GOOD[0])), "the first model serves")
    return service


def _live(service: Cluster) -> list[psutil.Process]:
    """Return the replicas of this cluster. Another cluster of the same models may run beside it."""
    return [each for each in service.processes() if str(service.session) in " ".join(each.parent().cmdline())]


def ask(service: Cluster, body: bytes = PIXELS, **headers: str) -> httpx.Response:
    return service.client.post("/predict", content=body, headers={**OCTETS, **KEY, **headers})


def first_bytes(service: Cluster, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def test_twenty_reloads_under_load_lose_no_request_and_mix_no_models(started: Cluster) -> None:
    service = deployed(started, 2)
    with Load(service.url, headers=KEY) as load:
        for turn in range(20):
            wanted = uri(GOOD[(turn + 1) % 2])
            service.deploy(wanted, num_replicas=2)
            wait_until(lambda wanted=wanted: service.serves(wanted), f"{wanted} serves")
    assert load.failures == []
    assert all(model == uri(answer) for _, model, answer in load.answers)
    assert {model for _, model, _ in load.answers} == {uri(version) for version in GOOD}


def test_fewer_and_more_replicas_under_load_lose_no_request(started: Cluster) -> None:
    service = deployed(started, 2)
    with Load(service.url, connections=8, headers=KEY) as load:
        deployed(service, 1)
        deployed(service, 2)
        before = len(load.answers)
        wait_until(lambda: len(load.answers) > before + 200, "both answer")
    assert load.failures == []


def test_a_killed_replica_loses_at_most_the_requests_that_it_held(started: Cluster) -> None:
    service = deployed(started, 2)
    with Load(service.url, connections=8, headers=KEY) as load:
        wait_until(lambda: len(load.answers) > 100, "requests are answered")
        killed = _live(service)[0]
        killed.kill()
        before = len(load.answers)
        wait_until(lambda: len(load.answers) > before + 100, "requests go on being answered", patience=20)
        wait_until(lambda: len([each for each in _live(service) if each.pid != killed.pid]) == 2, "there are two again")
    assert len(load.failures) <= load.connections, load.failures


def test_a_full_queue_gives_429_in_the_services_form_and_refuses_no_health_check(service: Cluster) -> None:
    refused: list[httpx.Response] = []

    def fill() -> bool:
        answers = [pool.submit(ask, service, QUEUE * PIXELS) for _ in range(32)]
        assert service.client.get("/health").status_code == 200
        refused.extend(each.result() for each in answers if each.result().status_code != 200)
        return bool(refused)

    with ThreadPoolExecutor(16) as pool:
        wait_until(fill, "the queue is full", patience=60)
    assert {(answer.status_code, answer.json()["error_type"]) for answer in refused} == {(429, "too_many_requests")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert all(answer.json()["request_id"] for answer in refused)


def test_the_services_own_503_passes_through(service: Cluster) -> None:
    with ExitStack() as slow:
        # Several, because a replica of an earlier test may still drain and take one of them.
        for _ in range(3):
            connection = slow.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30))
            with suppress(ConnectionError):
                connection.sendall(HEAD % BUFFER + bytes(BUFFER - 1))
        wait_until(lambda: ask(service).status_code == 503, "the buffer is full", patience=10)
        answer = ask(service)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "buffers_full")
    assert answer.headers["Retry-After"] == "1"
    wait_until(lambda: ask(service).status_code == 200, "the buffer is empty")


def test_keys_and_limits_hold_before_a_body_is_read(service: Cluster) -> None:
    endless = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n"
    assert b" 401 " in first_bytes(service, endless + b"\r\n")
    assert b" 413 " in first_bytes(service, endless + b"X-API-Key: right\r\n\r\n")
    assert b" 400 " in first_bytes(service, b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000)
    assert ask(service, **{"X-API-Key": "wrong"}).json()["error_type"] == "unauthorized"
    assert ask(service, **{"X-Request-Timeout-Seconds": "0.0001"}).status_code == 200


def test_clients_that_stop_or_leave_delay_nobody_and_leave_no_error(service: Cluster) -> None:
    with ExitStack() as slow:
        for _ in range(100):
            connection = slow.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30))
            connection.sendall(HEAD % 784 + bytes(100))
        answer = ask(service)
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < 10
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(HEAD % 784 + PIXELS)
    time.sleep(1)  # until the replica has seen that they left
    assert service.serves(uri(GOOD[0]))
    assert "Traceback" not in service.logs()


def test_only_the_ports_that_the_network_policy_closes_listen_everywhere(
    service: Cluster, ports: dict[str, str], files: Path
) -> None:
    everywhere = set()
    for process in psutil.process_iter(["cmdline"]):
        if f"-f {files}" in " ".join(process.info["cmdline"] or ()):
            listening = (each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN)
            everywhere |= {each.laddr.port for each in listening if each.laddr.ip != "127.0.0.1"}
    assert everywhere == {int(ports[f"RAY_SERVE_HAPROXY_{name}_PORT"]) for name in ("METRICS", "STATS")}
    (folder,) = {path.parent for path in files.rglob("a.sock")}
    assert (folder / "haproxy.cfg").exists()
    assert files.stat().st_mode & 0o077 == 0  # the socket itself is open to everyone


def test_without_an_application_the_client_is_told_to_try_again(service: Cluster) -> None:
    with Load(service.url, headers=KEY) as load:
        wait_until(lambda: len(load.answers) > 20, "requests are answered")
        service.remove()
        wait_until(lambda: len(load.failures) > 20, "the application is gone")
    assert all(failure.startswith("503 ") and "not_ready" in failure for failure in load.failures[:20]), load.failures
