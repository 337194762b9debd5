from pathlib import Path
from typing import NoReturn

import mlflow.artifacts
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from fmnist.adapters.mlflow.artifact import FOLDER, GOLDEN_FILE
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.model import ModelInfo, ModelVersion
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


def full(*_: object, **__: object) -> NoReturn:
    raise OSError("the disk is full")


def test_model_that_cannot_be_uploaded_is_marked_and_not_registered(
    connection: MlflowConnection,
    cnn: TrainedWeights,
    info: ModelInfo,
    golden: Images,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker, store = MlflowTracker(connection), MlflowModelStore(connection)
    run_id, client = tracker.start("training", {}), connection.client()
    monkeypatch.setattr(MlflowClient, "log_model_artifacts", full)
    with pytest.raises(StoreUnavailable, match=f"the model of run '{run_id}': .*the disk is full"):
        store.save(run_id, "dev.unlucky", cnn, info, golden[:4])
    found = client.search_logged_models([client.get_run(run_id).info.experiment_id])
    assert [model.status for model in found if model.source_run_id == run_id] == [LoggedModelStatus.FAILED]
    assert store.versions("dev.unlucky") == []


def test_name_that_cannot_be_registered_is_named(
    connection: MlflowConnection, saved: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise MlflowException("not today", PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "create_registered_model", refuse)
    with pytest.raises(StoreUnavailable, match=r"fails on registered model 'prod\.refused': not today"):
        MlflowModelStore(connection).copy(saved, "prod.refused")


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
