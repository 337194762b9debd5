"""`fmnist serve`, and the same application through Ray Serve's own commands."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from ray import cloudpickle
from ray.serve.schema import ServeDeploySchema

from fmnist.apps.containers.serve_ray import RayServeContainer
from fmnist.apps.settings import Settings
from fmnist.domain.model.errors import InvalidSetting
from tests.integration.apps.here import Here
from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import free_port, wait_until
from tests.integration.apps.serving.local import Served
from tests.integration.apps.serving.models import CORRUPT, GOOD, NAME, Models, uri

CONFIG = Path(__file__).parents[4] / "deploy" / "serve_config.yaml"


# Variables of a user's machine, which must not affect a service.
ENVIRONMENT = {
    "all_proxy": "socks://127.0.0.1:1",
    "no_proxy": "[::1]",
    "SSL_CERT_FILE": "/absent/authorities.pem",
    "PYTHONWARNINGS": "error",
    # The requests that are open when the service ends must all be admitted, on a slow machine too.
    "REQUEST_QUEUE_IMAGES": "12000",
    "REQUEST_TIMEOUT_SECONDS": "200",
}


@pytest.fixture(scope="module", params=["local", "ray"])
def served(models: Models, request: pytest.FixtureRequest) -> Iterator[Served]:
    command = replace(models.command, variables={**models.command.variables, **ENVIRONMENT})
    model = ("--model", uri(GOOD[0]), "--route-prefix", "/fashion")
    started = Served(command, free_port(), "--compute", request.param, *model)
    try:
        wait_until(lambda: started.printed("serving "), "the service is up")
        yield started
    finally:
        if started.process.poll() is None:
            started.end(signal.SIGKILL)


def test_service_answers_under_its_prefix_and_prints_its_url(served: Served) -> None:
    assert any(line.startswith(f"serving {uri(GOOD[0])} at {served.url}/fashion") for line in served.lines), "".join(
        served.lines
    )
    root = httpx.get(f"{served.url}/fashion/", trust_env=False).json()
    assert root["docs"] == "/fashion/docs"
    for page, file in ((root["docs"], "docs/start.js"), ("/fashion/ui", "ui/app.js")):
        assert file in httpx.get(f"{served.url}{page}", trust_env=False).text
        assert httpx.get(f"{served.url}/fashion/{file}", trust_env=False).status_code == 200
    assert httpx.get(f"{served.url}/fashion/openapi.json", trust_env=False).json()["paths"]["/predict"]


def test_service_listens_only_on_loopback(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    listening = [each for each in psutil.net_connections("tcp") if each.status == "LISTEN" and each.laddr.port == port]
    assert {each.laddr.ip for each in listening} == {"127.0.0.1"}


# The last test of the module's service, because it stops the service.
def test_after_sigterm_to_the_whole_group_running_requests_are_answered(served: Served) -> None:
    family = psutil.Process(served.process.pid).children(recursive=True)
    headers = {"Content-Type": "application/octet-stream"}
    sent = threading.Semaphore(0)

    def body() -> Iterator[bytes]:
        yield bytes(784 * 1000)
        sent.release()

    def ask(_: int) -> int:
        return httpx.post(
            f"{served.url}/fashion/predict", content=body(), headers=headers, timeout=60, trust_env=False
        ).status_code

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, number) for number in range(12)]
        for _ in asked:
            assert sent.acquire(timeout=60)
        wait(asked, timeout=60, return_when=FIRST_COMPLETED)
        assert not all(request.done() for request in asked)
        code = served.end(signal.SIGTERM)
        assert [request.result() for request in asked] == [200] * 12
    assert code == 143
    assert served.lines[-1] == "terminated\n"
    assert psutil.wait_procs(family, timeout=30)[1] == []


@pytest.mark.parametrize(
    ("number", "code", "told"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGHUP, 129, "hung up")]
)
def test_interrupt_ends_a_service_that_is_idle(models: Models, number: int, code: int, told: str) -> None:
    # `nohup` passes an ignored SIGHUP on to its processes.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        started = Served(models.command, free_port(), "--model", uri(GOOD[0]))
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        wait_until(lambda: started.printed("serving "), "the service is up")
    finally:
        ended = started.end(number)
    assert (ended, started.lines[-1]) == (code, f"{told}\n")


def test_predictions_and_metrics_of_one_process_need_a_key(models: Models) -> None:
    command = replace(models.command, variables={**models.command.variables, "FMNIST_API_KEYS": "s3cr3t"})
    started = Served(command, free_port(), "--model", uri(GOOD[0]))
    headers = {"Content-Type": "application/octet-stream"}
    try:
        wait_until(lambda: started.printed("serving "), "the service is up")
        with httpx.Client(base_url=started.url, trust_env=False) as client:
            for key, expected in ({}, 401), ({"X-API-Key": "s3cr3t"}, 200):
                answer = client.post("/predict", content=bytes(784), headers={**headers, **key})
                assert (answer.status_code, client.get("/metrics", headers=key).status_code) == (expected, expected)
            assert client.get("/health").status_code == 200
    finally:
        started.end(signal.SIGTERM)


def test_missing_model_ends_the_command_at_once(models: Models) -> None:
    assert uri(99) in Here(models.command).refused("serve", "--model", uri(99))


@pytest.mark.parametrize("compute", ["local", "ray"])
def test_refused_model_ends_the_command_with_the_reason_also_with_ipv6_and_keys(models: Models, compute: str) -> None:
    command = replace(models.command, variables={**models.command.variables, "FMNIST_API_KEYS": "one,another"})
    model = ("--model", uri(CORRUPT), "--host", "::1", "--port", str(free_port()))
    done = command.run("serve", "--compute", compute, *model)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert uri(CORRUPT) in last


@pytest.mark.parametrize("compute", ["local", "ray"])
def test_port_in_use_is_named(models: Models, compute: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = Here(models.command).refused("serve", "--compute", compute, "--model", uri(GOOD[0]), "--port", port)
    assert refused == f"cannot listen on port {port} of 127.0.0.1: Address already in use; choose another port"


def test_cluster_that_serves_already_is_not_changed(on_ray: Cluster, models: Models) -> None:
    """`RAY_ADDRESS` chooses Ray without a flag."""
    variables = {**models.command.variables, "RAY_ADDRESS": on_ray.address, "RAY_AUTH_MODE": "disabled"}
    done = replace(models.command, variables=variables).run(
        "serve", "--model", uri(GOOD[1]), "--port", str(free_port())
    )
    assert done.returncode == 2
    assert "serve deploy" in done.stderr
    assert on_ray.serves(uri(GOOD[0]))


def test_no_secret_is_sent_to_the_cluster(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_API_KEYS", "s3cr3t-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-of-s3")
    monkeypatch.setenv("DVC_REMOTE_URL", "s3://bucket")
    parts = RayServeContainer(settings=Settings.load()).parts()
    travelling = cloudpickle.dumps(parts)
    assert b"bucket" in travelling
    assert b"s3cr3t" not in travelling
    monkeypatch.delenv("FMNIST_API_KEYS")
    with pytest.raises(InvalidSetting, match="FMNIST_API_KEYS"):
        parts.http(None)


def test_serve_build_writes_the_application_with_its_options(models: Models, tmp_path: Path) -> None:
    command = replace(models.command, variables={**models.command.variables, "RAY_USAGE_STATS_ENABLED": "0"})
    file = tmp_path / "built.yaml"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("serve")), "build", "fmnist.apps.serve:app", "-o", str(file)],
        cwd=command.home,
        env=command.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (application,) = yaml.safe_load(file.read_text())["applications"]
    (deployment,) = application["deployments"]
    assert application["import_path"] == "fmnist.apps.serve:app"
    assert deployment["name"] == "FashionMNISTClassifier"
    assert deployment["user_config"] == {"model_uri": None}
    assert deployment["autoscaling_config"]["max_replicas"] == 3


def test_shipped_config_is_valid_for_serve(models: Models) -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text()))
    (deployment,) = config.applications[0].deployments
    assert deployment.name == "FashionMNISTClassifier"
    assert deployment.user_config == {"model_uri": "models:/prod.fashion-mnist-classifier@champion"}
    assert NAME.partition(".")[2] in deployment.user_config["model_uri"]


WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "lightning", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(f"{name} is not of the serve extra", name=name)

sys.meta_path.insert(0, Absent())

import numpy as np
import fmnist
from fmnist.apps.serve import app

print([each.class_id for each in fmnist.load_classifier(sys.argv[1])(np.zeros((2, 28, 28), np.uint8))])
"""


def test_application_and_model_import_nothing_of_training(models: Models) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, uri(GOOD[1])],
        cwd=models.command.home,
        env=models.command.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str([GOOD[1]] * 2)
