"""Checkpoints on a real S3 store: found from any cluster, kept during outages, and refused at once if unusable."""

import contextlib
import pickle
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pyarrow.fs
import pytest
import ray
from ray.train.v2._internal.constants import CHECKPOINT_MANAGER_SNAPSHOT_FILENAME

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.training.run import Progress
from fmnist.testing.contracts.compute import SPEC
from stack.services import HOST, ObjectStore
from tests.integration.apps.serving.host import wait_until
from tests.integration.security.tls import make_certificate, tls_in_front_of
from tests.integration.services import new_object_store, running, s3_settings, stop

TWO_WORKERS = replace(SPEC, num_workers=2, recipe=SPEC.recipe.override(batch_size=8))


@pytest.fixture(scope="module", autouse=True)
def no_cluster_is_left() -> Iterator[None]:
    """Shut down Ray. This module is the last of the folder, and later tests of commands must not find a cluster."""
    yield
    ray.shutdown()


@pytest.fixture
def s3(object_store: ObjectStore) -> S3Settings:
    return s3_settings(object_store)


@pytest.mark.parametrize(
    ("path", "changed", "complaint"),
    [
        ("no-such-bucket/runs", {}, "does not exist; create the bucket 'no-such-bucket', or correct RAY_STORAGE_PATH"),
        ("{bucket}", {"access_key_id": "nobody"}, "check AWS_ACCESS_KEY_ID"),
        ("{bucket}", {"secret_access_key": "guessed"}, "check AWS_ACCESS_KEY_ID"),
        ("{bucket}", {"endpoint_url": f"http://{HOST}:1"}, "Could not connect to the endpoint URL"),
        ("{bucket}", {"endpoint_url": "http://no host"}, "Invalid endpoint: http://no host; check that the store runs"),
    ],
)
def test_unusable_store_is_named_at_once(
    s3: S3Settings, bucket: str, path: str, changed: dict[str, str], complaint: str
) -> None:
    began = time.monotonic()
    storage = CheckpointStorage(path.format(bucket=bucket), replace(s3, **changed))
    with pytest.raises(StoreUnavailable) as caught:
        storage.prepare()
    assert str(storage) in str(caught.value)
    assert complaint in str(caught.value)
    assert str(s3.secret_access_key) not in str(caught.value)
    assert time.monotonic() - began < 20


def test_store_that_does_not_answer_times_out(s3: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmnist.adapters.ray.storage._PROBE_SECONDS", 1)
    with socket.create_server((HOST, 0)) as silent:
        endpoint = f"http://{HOST}:{silent.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match=rf"s3://bucket at {endpoint}: no answer within 1\.0 s"):
            CheckpointStorage("bucket", replace(s3, endpoint_url=endpoint)).prepare()


def test_proxy_of_a_store_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hidden@{HOST}:1")
    storage = CheckpointStorage("bucket", S3Settings("http://s3.invalid:9000", "user", "password"))
    with pytest.raises(StoreUnavailable) as caught:
        storage.prepare()
    assert str(caught.value) == (
        "checkpoints cannot be kept in s3://bucket at http://s3.invalid:9000: Failed to connect to proxy URL: "
        f'"http://{HOST}:1"; check HTTP_PROXY, which names the proxy http://{HOST}:1; list s3.invalid in NO_PROXY to '
        "reach it without a proxy"
    )


def test_wrong_bucket_name_creates_no_bucket(object_store: ObjectStore, s3: S3Settings) -> None:
    storage = CheckpointStorage("no-such-bucket/runs", s3)
    with pytest.raises(StoreUnavailable):
        storage.prepare()
    filesystem = storage.filesystem()
    assert filesystem is not None
    filesystem.create_dir("no-such-bucket/runs/one", recursive=True)
    assert "no-such-bucket" not in {each["Name"] for each in object_store.client().list_buckets()["Buckets"]}


def test_untrusted_certificate_is_accepted_only_by_an_explicit_setting(
    object_store: ObjectStore, s3: S3Settings, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "epoch").mkdir()
    (tmp_path / "epoch" / "state.ckpt").write_bytes(b"weights")
    with tls_in_front_of(object_store.port, make_certificate(tmp_path)) as port:
        s3 = replace(s3, endpoint_url=f"https://{HOST}:{port}")
        with pytest.raises(StoreUnavailable, match=r"certificate verify failed.*AWS_NO_VERIFY_SSL=true accepts any"):
            CheckpointStorage(bucket, s3).prepare()
        storage = CheckpointStorage(bucket, replace(s3, verify_tls=False))
        storage.prepare()
        # Pickled, as a worker gets it.
        filesystem = pickle.loads(pickle.dumps(storage.filesystem()))
        pyarrow.fs.copy_files(str(tmp_path / "epoch"), f"{bucket}/epoch", destination_filesystem=filesystem)
    assert object_store.client().get_object(Bucket=bucket, Key="epoch/state.ckpt")["Body"].read() == b"weights"


@pytest.mark.soak
def test_run_continues_from_the_store_on_another_cluster(
    compute: RayCompute, object_store: ObjectStore, s3: S3Settings, bucket: str, dataset: DatasetVersion
) -> None:
    compute = replace(compute, storage=CheckpointStorage(f"{bucket}/runs", s3))
    run_id, reports = uuid4().hex, list[Progress]()

    def a_checkpoint_is_kept() -> bool:
        found = object_store.client().list_objects_v2(Bucket=bucket, Prefix=f"runs/{run_id}/").get("Contents", ())
        return any(each["Key"].endswith(CHECKPOINT_MANAGER_SNAPSHOT_FILENAME) for each in found)

    def interrupt_in_the_second_epoch(report: Progress) -> None:
        if report.epoch == 1:
            # Ray notes a checkpoint some time after the epoch has ended.
            wait_until(a_checkpoint_is_kept, "a checkpoint in the store")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute.fit(TWO_WORKERS, dataset, run_id, interrupt_in_the_second_epoch)  # this stops the cluster
    result = compute.fit(TWO_WORKERS, dataset, run_id, reports.append)
    assert reports[0].epoch >= 1, "the first epoch is not trained again"
    assert len(result.history) == 3
    assert Path(result.weights.path).is_file()


@pytest.mark.soak
def test_store_that_restarts_during_a_write_costs_no_epoch(
    compute: RayCompute, tmp_path: Path, dataset: DatasetVersion
) -> None:
    store, reports = new_object_store(), list[Progress]()
    service = store.service(tmp_path / "data")
    with running(service, tmp_path) as process, contextlib.ExitStack() as again:
        store.make_buckets(["runs"])
        s3 = s3_settings(store)

        def restart_once(report: Progress) -> None:
            if report.epoch == 1 and reports[-1].epoch == 0:
                stop(process)
                wait_for_a_knock(store.port)
                again.enter_context(running(service, tmp_path))
            reports.append(report)

        result = replace(compute, storage=CheckpointStorage("runs", s3)).fit(
            TWO_WORKERS, dataset, uuid4().hex, restart_once
        )
    places = [(report.epoch, report.step) for report in reports]
    assert places == sorted(places), "no epoch is trained twice"
    assert len(result.history) == 3


@pytest.mark.soak
def test_store_that_stays_down_gives_a_clear_error(
    compute: RayCompute, tmp_path: Path, dataset: DatasetVersion
) -> None:
    store = new_object_store()
    with running(store.service(tmp_path / "data"), tmp_path) as process:
        store.make_buckets(["runs"])
        s3 = s3_settings(store)

        def take_it_away(report: Progress) -> None:
            if report.epoch == 1:
                stop(process)

        with pytest.raises(StoreUnavailable, match=r"checkpoints cannot be .* in s3://runs at http.*store runs"):
            replace(compute, storage=CheckpointStorage("runs", s3)).fit(TWO_WORKERS, dataset, uuid4().hex, take_it_away)


def wait_for_a_knock(port: int) -> None:
    """Wait until a client tries to connect to the port, on which nothing serves."""
    with socket.create_server((HOST, port)) as door:
        door.accept()[0].close()
