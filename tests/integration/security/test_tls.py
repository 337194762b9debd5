"""An untrusted certificate is refused, unless the variable for this purpose allows it."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.adapters.parquet.storage import S3Settings, Storage
from fmnist.apps.containers.base import s3_settings
from fmnist.apps.containers.models import mlflow_connection
from fmnist.apps.settings import Settings
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import StoreUnavailable
from stack.services import ObjectStore
from tests.integration.security.tls import SelfSigned, make_certificate, tls_in_front_of

CONTENT = b"what lies in the store"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> SelfSigned:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def s3(object_store: ObjectStore, self_signed: SelfSigned, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Settings]:
    """The store behind TLS, with the settings of a process that sets nothing about certificates."""
    with tls_in_front_of(object_store.port, self_signed) as port:
        for name, value in object_store.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{port}")
        monkeypatch.delenv("AWS_NO_VERIFY_SSL", raising=False)
        yield s3_settings(Settings.load())


@pytest.fixture
def file(object_store: ObjectStore, bucket: str) -> SplitFile:
    object_store.client().put_object(Bucket=bucket, Key="file", Body=CONTENT)
    return SplitFile("train", f"s3://{bucket}/file", hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())


def test_store_with_a_self_signed_certificate_is_refused(s3: S3Settings, file: SplitFile) -> None:
    with pytest.raises(StoreUnavailable, match=r"certificate verify failed.*AWS_CA_BUNDLE"):
        Storage(s3).read(file)


def test_store_is_read_if_its_ca_certificate_is_set(
    s3: S3Settings, file: SplitFile, self_signed: SelfSigned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(self_signed.certificate))
    assert Storage(s3).read(file) == CONTENT


def test_store_is_read_if_verification_is_turned_off_explicitly(
    s3: S3Settings, file: SplitFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_NO_VERIFY_SSL", "true")
    assert s3_settings(Settings.load()) == replace(s3, verify_tls=False)
    assert Storage(s3_settings(Settings.load())).read(file) == CONTENT


@pytest.fixture
def mlflow(tracking_uri: str, self_signed: SelfSigned, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowConnection]:
    """The server behind TLS, in the same way."""
    # Set here, so that monkeypatch restores it: the connection sets it for the process.
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "")
    monkeypatch.delenv("MLFLOW_TRACKING_INSECURE_TLS")
    with tls_in_front_of(urlsplit(tracking_uri).port or 0, self_signed) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://127.0.0.1:{port}")
        yield mlflow_connection(Settings.load())


def test_mlflow_with_a_self_signed_certificate_is_refused(mlflow: MlflowConnection) -> None:
    with pytest.raises(StoreUnavailable, match=r"fails on the connection: .*certificate .*REQUESTS_CA_BUNDLE"):
        MlflowTracker(mlflow).start("run", {})


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH"])
def test_mlflow_is_used_if_its_ca_certificate_is_set(
    mlflow: MlflowConnection, self_signed: SelfSigned, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(self_signed.certificate))
    tracker = MlflowTracker(mlflow)
    assert tracker.get(tracker.start("run", {})).name == "run"


def test_client_certificate_is_sent_to_mlflow(
    tracking_uri: str, self_signed: SelfSigned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "client.pem"
    shown.write_bytes(self_signed.certificate.read_bytes() + self_signed.key.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(self_signed.certificate))
    monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(shown))
    with tls_in_front_of(urlsplit(tracking_uri).port or 0, self_signed, known_clients_only=True) as port:
        tracker = MlflowTracker(MlflowConnection(Address(f"https://127.0.0.1:{port}")))
        assert tracker.get(tracker.start("run", {})).name == "run"


def test_missing_certificate_file_is_named(mlflow: MlflowConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/no/such/file.pem")
    with pytest.raises(StoreUnavailable, match=r"the connection: .*/no/such/file\.pem; set REQUESTS_CA_BUNDLE"):
        MlflowTracker(mlflow).start("run", {})


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")  # expected without verification
def test_mlflow_is_used_if_verification_is_turned_off_explicitly(
    mlflow: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    connection = mlflow_connection(Settings.load())
    tracker = MlflowTracker(connection)
    run_id = tracker.start("run", {})
    tracker.log_artifact(run_id, "a.json", b"{}")
    assert [file.path for file in connection.client().list_artifacts(run_id)] == ["a.json"]
