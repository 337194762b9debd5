from pathlib import Path

import mlflow.artifacts
import pytest

from fmnist.adapters.mlflow.artifact import FOLDER, GOLDEN_FILE
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.model_store import TrainedWeights
from fmnist.testing.contracts.model_store import ModelStoreContract


class TestMlflowModelStore(ModelStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, connection: MlflowConnection) -> MlflowModelStore:
        return MlflowModelStore(connection)

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls, connection: MlflowConnection) -> str:
        return MlflowTracker(connection).start("training", {})

    @pytest.fixture(scope="class")
    @classmethod
    def weights(cls, cnn: TrainedWeights) -> TrainedWeights:
        return cnn

    @pytest.fixture
    def damaged(self, connection: MlflowConnection, saved: ModelVersion, tmp_path: Path) -> ModelVersion:
        return without_golden_batch(connection, saved, tmp_path)


class TestMlflowModelStoreOnAServer(TestMlflowModelStore):
    @pytest.fixture(scope="class")
    @classmethod
    def connection(cls, server: MlflowConnection) -> MlflowConnection:
        return server


def without_golden_batch(connection: MlflowConnection, version: ModelVersion, folder: Path) -> ModelVersion:
    """Register a copy of the version's artifact without one file, as the model of a new run."""
    client, uri = connection.client(), connection.tracking_uri.reveal()
    run_id = MlflowTracker(connection).start("damage", {})
    root = client.get_model_version_download_uri(version.name, str(version.version))
    local = Path(mlflow.artifacts.download_artifacts(root, dst_path=str(folder), tracking_uri=uri))
    (local / FOLDER / GOLDEN_FILE).unlink()
    client.log_artifacts(run_id, str(local), "model")
    client.create_registered_model(f"dev.damaged-{run_id}")
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    client.create_model_version(f"dev.damaged-{run_id}", source, run_id)
    return MlflowModelStore(connection).resolve(f"models:/dev.damaged-{run_id}/1")
