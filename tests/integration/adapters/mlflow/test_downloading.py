"""Downloads of an artifact's files have size limits, for anything that a store lists and sends."""

from collections.abc import Iterator
from pathlib import Path

import mlflow.artifacts
import pytest
from mlflow.entities import FileInfo

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.downloading import ONNX_FORM, download_artifact
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.model import ModelVersion
from tests.endless import EndlessServer, endless_server

FILES = ("extra_files/fmnist.json",)


@pytest.fixture
def server() -> Iterator[EndlessServer]:
    with endless_server() as server:
        yield server


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store lists small files, but sends more."""

    def listing(folder: str, **_: object) -> list[FileInfo]:
        return [FileInfo(f"{folder}/{Path(file).name}", False, 10) for file in ONNX_FORM]

    monkeypatch.setattr(mlflow.artifacts, "list_artifacts", listing)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("kind", ["mlflow", "s3"])
def test_download_larger_than_the_limit_is_refused(
    server: EndlessServer,
    connection: MlflowConnection,
    saved: ModelVersion,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    url = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv("MLFLOW_S3_EXPECTED_BUCKET_OWNER", "123456789012")
    for name, value in (("ENDPOINT_URL", url), ("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(f"MLFLOW_S3_{name}" if name == "ENDPOINT_URL" else f"AWS_{name}", value)
    source = f"{url}/api/2.0/mlflow-artifacts/artifacts/a" if kind == "mlflow" else "s3://bucket/a"
    version = connection.client().create_model_version(saved.name, source, saved.run_id)
    with pytest.raises(CorruptModel, match=r"fmnist\.json has more than 1048576 bytes"):
        download_artifact(connection, saved.name, int(version.version), tmp_path, FILES)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) <= 2**20
    assert server.sent < 2**24
    assert kind == "mlflow" or b"x-amz-expected-bucket-owner: 123456789012" in server.asked


@pytest.mark.usefixtures("listed")
def test_store_of_another_kind_is_refused(connection: MlflowConnection, saved: ModelVersion, tmp_path: Path) -> None:
    version = connection.client().create_model_version(saved.name, "ftp://user:s3cret@127.0.0.1/a", saved.run_id)
    with pytest.raises(
        InvalidSetting, match=r"ftp://127\.0\.0\.1/a: expected a directory, S3 or an MLflow server"
    ) as it:
        download_artifact(connection, saved.name, int(version.version), tmp_path, FILES)
    assert "s3cret" not in str(it.value)


def test_version_that_was_registered_by_its_run_is_downloaded(
    connection: MlflowConnection, saved: ModelVersion, tmp_path: Path
) -> None:
    tracker = MlflowTracker(connection)
    run_id = tracker.start("run", {})
    tracker.log_artifact(run_id, f"model/{FILES[0]}", b"{}")
    version = connection.client().create_model_version(saved.name, f"runs:/{run_id}/model", run_id)
    folder = download_artifact(connection, saved.name, int(version.version), tmp_path, FILES)
    assert (folder / FILES[0]).read_bytes() == b"{}"
