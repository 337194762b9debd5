import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow.artifacts
import numpy as np
import pytest
import torch

from fmnist.adapters.mlflow.artifact import FOLDER
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.images import CLASS_NAMES, Images
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.registry import ModelInfo, ModelVersion
from fmnist.ports.model_store import TrainedWeights


@pytest.fixture(scope="session")
def connection(tmp_path_factory: pytest.TempPathFactory) -> MlflowConnection:
    """One sqlite store for all tests, for making its tables takes seconds."""
    return MlflowConnection(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> TrainedWeights:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "cnn.pt"
    torch.save(build_network("cnn").state_dict(), path)
    return TrainedWeights("cnn", str(path))


@pytest.fixture(scope="session")
def store(connection: MlflowConnection) -> MlflowModelStore:
    return MlflowModelStore(connection, threads=1)


@pytest.fixture(scope="session")
def info() -> ModelInfo:
    return ModelInfo(
        architecture="cnn",
        normalization=Normalization(mean=0.286, std=0.353),
        class_names=CLASS_NAMES,
        lineage={"dvc_data_version": "fashion-mnist-v1.0.0"},
        metrics={"val_acc": 0.91},
    )


@pytest.fixture(scope="session")
def golden() -> Images:
    return np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="session")
def saved(
    store: MlflowModelStore, connection: MlflowConnection, cnn: TrainedWeights, info: ModelInfo, golden: Images
) -> ModelVersion:
    return store.save(MlflowTracker(connection).start("training", {}), "dev.saved-model", cnn, info, golden)


@pytest.fixture
def spoilable(connection: MlflowConnection, store: MlflowModelStore, saved: ModelVersion, tmp_path: Path) -> Path:
    """The extra files of a version whose artifact is a copy of the saved one, registered as the newest of its name."""
    client = connection.client()
    root = client.get_model_version_download_uri(saved.name, str(saved.version))
    folder = mlflow.artifacts.download_artifacts(root, dst_path=str(tmp_path))
    client.create_model_version(saved.name, folder, saved.run_id)
    return Path(folder, FOLDER)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowConnection]:
    """An MLflow server on this machine, in its leanest form, for all tests; it ends with them."""
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = home / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--workers", "1", "--backend-store-uri", f"sqlite:///{home}/mlflow.db"),
                *("--artifacts-destination", str(home / "artifacts")),
            ],
            cwd=home,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its workers are its own children: the whole group is ended below
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, log.read_text)
        yield MlflowConnection(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Callable[[], str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.2)  # between two looks at the condition that is waited for
    raise AssertionError(f"the MLflow server does not answer: {log()}")
