"""Measures the costs that `fleet.py` simulates with. Needs a registered model, and starts all servers itself.

The cost of a server is the CPU time that it spends on a request. Other work on the machine changes it less than wall
time.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
from mlflow import MlflowClient
from reporting import machine

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.downloading import ONNX_FORM, download_artifact
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.ray.serving_memory import RayServingMemory
from fmnist.apps.containers.predict import PredictContainer
from fmnist.apps.settings import load_environment
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.serving_memory import KeptModel

HOST, MLFLOW_PORT, GIT_PORT = "127.0.0.1", 5790, 9790


def main() -> None:
    container = PredictContainer(settings=load_environment())
    version = container.find_version(uri=sys.argv[1] if len(sys.argv) > 1 else None)
    package = container.model_store().download(version)
    kept = KeptModel.of(package, compared=True)
    data = package.load().info.data_version
    print(f"{version.uri}, {package.load().info.architecture}: {machine('fmnist', 'mlflow', 'ray')}")
    show("megabytes", len(kept.pickled) / 1e6)

    def load() -> None:
        # As a replica does before it serves.
        prediction = Prediction(package.load())
        for count in (1, 32):
            prediction.probabilities(np.zeros((count, SIDE, SIDE), np.uint8))

    show("load", own_cpu(load, 5))
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as folder:
        artifact = Path(folder, "artifact")
        download_artifact(container.connection(), version.name, version.version, artifact, ONNX_FORM)
        measure_registry(Path(folder), artifact)
    measure_data_registry(container.registry_settings(), data)
    measure_actor(kept)


def measure_registry(home: Path, artifact: Path) -> None:
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(MLFLOW_PORT), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", f"{home}/artifacts"),
    ]
    with running(command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}) as server:
        address = f"http://{HOST}:{MLFLOW_PORT}"
        client = MlflowClient(address, registry_uri=address)
        until_it_answers(client.search_experiments)
        run = client.create_run("0").info
        client.log_artifacts(run.run_id, str(artifact), "model")
        client.create_registered_model("fleet")
        client.create_model_version("fleet", f"{run.artifact_uri}/model", run.run_id)
        client.set_registered_model_alias("fleet", "champion", "1")
        store = MlflowModelStore(MlflowConnection(Address(address)))
        version = store.resolve("models:/fleet@champion")
        show("lookup, of an alias", server_cpu(server, lambda: store.resolve("models:/fleet@champion"), 100))
        show("lookup, of a version", server_cpu(server, lambda: store.resolve(version.uri), 100))
        show("download", server_cpu(server, lambda: store.download(version), 30))


def measure_data_registry(settings: RegistrySettings, data: str | None) -> None:
    directory = Path(settings.repo.reveal())
    if not directory.is_dir():
        sys.exit("the data registry must be a local directory: unset DVC_REPO_URL")
    command = [
        *("git", "daemon", f"--listen={HOST}", f"--port={GIT_PORT}", "--export-all"),
        *(f"--base-path={directory.parent}", str(directory.parent)),
    ]
    with running(command, {}) as server:
        remote = RegistrySettings(
            repo=Address(f"git://{HOST}:{GIT_PORT}/{directory.name}"),
            remote_url=settings.remote_url or str(directory),
            paths=settings.paths,
            s3=settings.s3,
        )
        registry = DvcDataRegistry(remote)
        until_it_answers(lambda: registry.resolve(data))
        show("git", server_cpu(server, lambda: registry.resolve(data), 10))
        show("compare", own_cpu(lambda: registry.resolve(data), 10))


def measure_actor(kept: KeptModel) -> None:
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    memory = RayServingMemory("fleet", "deploy")
    memory.remember(kept)
    children = psutil.Process().children(recursive=True)
    gcs = next(child for child in children if "gcs_server" in child.name())
    actor = next(child for child in children if "MemoryServingMemory" in " ".join(child.cmdline()))
    show("name", server_cpu(gcs, memory.last_good_id, 1000))
    show("call", call := server_cpu(actor, memory.last_good_id, 1000))
    show("copy", (server_cpu(actor, memory.last_good, 200) - call) / (len(kept.pickled) / 1e6))
    ray.shutdown()


def show(cost: str, value: float) -> None:
    print(f"{cost:<22} {value:.6f}", flush=True)


def server_cpu(server: psutil.Process, request: Callable[[], Any], times: int) -> float:
    """Return the CPU seconds of a server, with its child processes, for each request."""
    before = _cpu(server)
    for _ in range(times):
        request()
    return (_cpu(server) - before) / times


def own_cpu(work: Callable[[], Any], times: int) -> float:
    """Return the CPU seconds of this process and its ended children. The first time is a warm-up."""
    work()
    before = os.times()
    for _ in range(times):
        work()
    return sum(after - start for after, start in zip(os.times()[:4], before[:4], strict=True)) / times


def _cpu(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:4]) for each in family)


@contextmanager
def running(command: list[str], variables: dict[str, str]) -> Iterator[psutil.Process]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env={**os.environ, **variables}, stdout=quiet, stderr=quiet) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def until_it_answers(request: Callable[[], Any]) -> None:
    for _ in range(60):
        try:
            request()
        except Exception:  # noqa: BLE001 - the server may not listen yet
            time.sleep(1)
        else:
            return
    sys.exit("the server did not answer within a minute")


if __name__ == "__main__":
    main()
