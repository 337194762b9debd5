"""A server whose clients store artifacts themselves, in S3 and with the keys of the client process."""

import time

import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.apps.settings import Settings
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import TrainedWeights
from stack.services import ObjectStore

EXPERIMENT = "artifacts-are-the-client-s"


@pytest.fixture
def direct(server: MlflowConnection, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> MlflowConnection:
    """An experiment with its artifacts in its own bucket, and the environment that our apps set."""
    connection = MlflowConnection(server.tracking_uri, experiment=EXPERIMENT)
    if connection.experiment_id() is None:
        object_store.make_buckets([EXPERIMENT])
        connection.client().create_experiment(EXPERIMENT, artifact_location=f"s3://{EXPERIMENT}/artifacts")
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    for name, value in Settings.load().vendor_environment().items():
        monkeypatch.setenv(name, value)
    return connection


def test_model_and_artifacts_go_to_s3_and_come_back(
    direct: MlflowConnection, object_store: ObjectStore, cnn: TrainedWeights, info: ModelInfo, golden: Images
) -> None:
    tracker, store = MlflowTracker(direct), MlflowModelStore(direct, threads=1)
    run_id = tracker.start("training", {})
    tracker.log_artifact(run_id, "figures/confusion.png", b"\x89PNG")
    assert [file.path for file in direct.client().list_artifacts(run_id, "figures")] == ["figures/confusion.png"]
    saved = store.save(run_id, "dev.model-in-s3", cnn, info, golden)
    assert store.download(saved).load().info == info
    keys = [entry["Key"] for entry in object_store.client().list_objects_v2(Bucket=EXPERIMENT)["Contents"]]
    assert [key for key in keys if key.endswith("golden.npz")]


def test_store_that_does_not_answer_is_named_soon(direct: MlflowConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = MlflowTracker(direct)
    run_id = tracker.start("training", {})
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=rf"run '{run_id}'.*http://127\.0\.0\.1:9"):
        tracker.log_artifact(run_id, "a.json", b"{}")
    assert time.monotonic() - began < 30
