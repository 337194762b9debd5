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
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.ports.model_store import TrainedWeights
from fmnist.testing.data import toy_info, toy_sketch


@pytest.fixture(scope="session")
def connection(tmp_path_factory: pytest.TempPathFactory) -> MlflowConnection:
    """One sqlite store for all tests, because creating its tables takes seconds."""
    return MlflowConnection(Address(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"))


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> TrainedWeights:
    torch.manual_seed(0)
    network = build_network("cnn")
    with torch.no_grad():
        # Statistics of batch norms as after training. Without them, all inputs have almost the same output.
        for _ in range(20):
            network(torch.randn(64, 1, 28, 28))
    path = tmp_path_factory.mktemp("weights") / "cnn.pt"
    torch.save(network.state_dict(), path)
    return TrainedWeights("cnn", str(path))


@pytest.fixture(scope="session")
def store(connection: MlflowConnection) -> MlflowModelStore:
    return MlflowModelStore(connection, threads=1)


@pytest.fixture(scope="session")
def info() -> ModelInfo:
    return toy_info()


@pytest.fixture(scope="session")
def golden() -> Images:
    return np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="session")
def saved(
    store: MlflowModelStore, connection: MlflowConnection, cnn: TrainedWeights, info: ModelInfo, golden: Images
) -> ModelVersion:
    return store.save(
        MlflowTracker(connection).start("training", {}), "dev.saved-model", cnn, info, golden, reference=toy_sketch()
    )


@pytest.fixture
def spoilable(connection: MlflowConnection, store: MlflowModelStore, saved: ModelVersion, tmp_path: Path) -> Path:
    """The extra files of a new version, whose artifact is a copy of the saved one."""
    client = connection.client()
    root = client.get_model_version_download_uri(saved.name, str(saved.version))
    folder = mlflow.artifacts.download_artifacts(root, dst_path=str(tmp_path))
    client.create_model_version(saved.name, folder, saved.run_id)
    return Path(folder, FOLDER)


@pytest.fixture(scope="session")
def server(tracking_uri: str) -> MlflowConnection:
    """An MLflow server that keeps artifacts in S3."""
    return MlflowConnection(Address(tracking_uri))
