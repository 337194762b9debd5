import pytest
import torch

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.torch.networks import build_network
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
def server(tracking_uri: str) -> MlflowConnection:
    """An MLflow server that keeps artifacts in S3."""
    return MlflowConnection(tracking_uri)
