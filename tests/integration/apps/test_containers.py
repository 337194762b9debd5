"""Each container wires its app: real adapters without a connection, or fakes that a test sets."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from dependency_injector import containers, providers
from pydantic import SecretStr

from fmnist.adapters.filelock.lock import PromotionLock
from fmnist.adapters.git.command import git
from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.containers import train as train_container
from fmnist.apps.containers.audit import AuditContainer
from fmnist.apps.containers.data import DataContainer
from fmnist.apps.containers.deploy import DeployContainer
from fmnist.apps.containers.drift import DriftContainer
from fmnist.apps.containers.evaluate import EvaluateContainer
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.containers.predict import PredictContainer
from fmnist.apps.containers.predict_batch import PredictBatchContainer
from fmnist.apps.containers.predict_batch_ray import on_ray
from fmnist.apps.containers.promote import PromoteContainer
from fmnist.apps.containers.ray_compute import checkpoint_storage
from fmnist.apps.containers.serve import ServeContainer, http_settings
from fmnist.apps.containers.serve_ray import RayServeContainer
from fmnist.apps.containers.smoke import SmokeContainer
from fmnist.apps.containers.train import TrainContainer
from fmnist.apps.containers.tune import TuneContainer
from fmnist.apps.settings import Settings
from fmnist.apps.train import _container
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import TrainingResult, TrainingSpec
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.training.run import TrainingRun
from fmnist.ports.batch_output import BatchOutput
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.compute import Compute
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.desired_state import DesiredState
from fmnist.ports.image_source import ImageSource
from fmnist.ports.label_review import LabelReview
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import RunStatus, Tracker
from fmnist.testing.data import toy_splits

PORTS = {
    "data_registry": DataRegistry,
    "tracker": Tracker,
    "model_store": ModelStore,
    "compute": Compute,
    "desired_state": DesiredState,
    "image_source": ImageSource,
    "label_review": LabelReview,
    "batch_prediction": BatchPrediction,
}
# Calling these runs the app's work, so they are only resolved.
WORK = {
    *("prediction", "find_version", "download", "process", "analyze"),
    *("application", "address_of", "client", "service", "output", "batch_run"),
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return Settings(fmnist_home=tmp_path / "home", mlflow_tracking_uri="http://127.0.0.1:9", git_commit="c0ffee")


def test_commit_is_that_of_this_code_also_in_a_git_hook(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(Path(__file__).parent, "rev-parse", "HEAD").strip()
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "of-the-hook"))
    assert TrainContainer(settings=settings).provenance().git_commit == head


def test_commit_of_an_image_without_a_checkout_is_that_of_its_setting(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_container, "__file__", str(tmp_path / "train.py"))
    assert TrainContainer(settings=settings).provenance().git_commit == "c0ffee"


def test_lineage_of_a_laptop_is_marked(settings: Settings) -> None:
    provenance = TrainContainer(settings=settings).provenance()
    assert (provenance.argo_workflow_uid, provenance.docker_image_tag) == ("DEV", "DEV")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (AuditContainer, {}),
        (DataContainer, {}),
        (DeployContainer, {}),
        (DriftContainer, {}),
        (EvaluateContainer, {}),
        (PredictContainer, {}),
        (PredictBatchContainer, {}),
        (ModelsContainer, {}),
        (PromoteContainer, {}),
        (ServeContainer, {}),
        (RayServeContainer, {}),
        (SmokeContainer, {}),
        (TrainContainer, {"compute_name": "ray"}),
        (TrainContainer, {"compute_name": "local"}),
        (TuneContainer, {"compute_name": "ray"}),
        (TuneContainer, {"compute_name": "local"}),
    ],
)
def test_every_provider_resolves_without_a_connection(
    settings: Settings, tmp_path: Path, kind: type[containers.DeclarativeContainer], given: dict[str, str]
) -> None:
    container = kind(settings=settings, **given)
    resolved = {name: provider() for name, provider in container.providers.items() if name not in WORK}
    assert all(resolved.values())
    for name, port in PORTS.items():
        if name in resolved:
            # Adapters subclass their port.
            assert port in type(resolved[name]).__mro__
    assert list(tmp_path.iterdir()) == [], "nothing is created or written before it is used"


def test_compute_is_chosen_by_name(settings: Settings) -> None:
    names = {
        name: type(TrainContainer(settings=settings, compute_name=name).compute()).__name__ for name in ("ray", "local")
    }
    assert names == {"ray": "IsolatedCompute", "local": "LocalCompute"}


def test_batch_prediction_on_ray_replaces_the_hardware_and_the_store(settings: Settings) -> None:
    container = PredictBatchContainer(settings=settings, **on_ray(settings))
    run = container.batch_run(output=container.output(place="answers"))
    assert BatchOutput in type(run.output).__mro__
    assert type(run.prediction).__name__ == "RayBatchPrediction"
    assert run.store is container.model_store()


def test_training_on_ray_starts_its_process_at_once(settings: Settings) -> None:
    before = set(psutil.Process().children())
    container = _container(settings, "ray")
    try:
        assert any("spawn_main" in " ".join(child.cmdline()) for child in set(psutil.Process().children()) - before)
    finally:
        container.compute().close()


def test_promotions_to_one_production_model_wait_for_each_other(settings: Settings) -> None:
    def lock_file(name: str) -> Path:
        named = settings.model_copy(update={"mlflow_registered_model_name": name})
        lock: PromotionLock = PromoteContainer(settings=named).lock()
        return lock.path

    assert lock_file("dev.fashion-mnist-classifier") == lock_file("ci.fashion-mnist-classifier")
    assert lock_file("dev.fashion-mnist-classifier") != lock_file("dev.another")


def test_checkpoints_go_to_the_disk_or_to_their_own_s3_endpoint(settings: Settings, tmp_path: Path) -> None:
    assert checkpoint_storage(settings) == CheckpointStorage(str(tmp_path / "home" / "checkpoints"))
    elsewhere = Settings(
        ray_storage_endpoint="minio:9000",
        ray_storage_path="s3://bucket/results",
        aws_access_key_id="key",
        aws_secret_access_key="secret",  # type: ignore[arg-type]  # noqa: S106 - as the environment gives it
        aws_endpoint_url="http://data:9000",
        aws_no_verify_ssl=True,
    )
    s3 = S3Settings("http://minio:9000", "key", "secret", verify_tls=False)
    assert checkpoint_storage(elsewhere) == CheckpointStorage("bucket/results", s3)


@pytest.fixture
def fakes(settings: Settings, tmp_path: Path) -> TrainContainer:
    """The train app with fakes for all ports, and a data version to train on."""
    registry, tracker = MemoryDataRegistry(), MemoryTracker()
    registry.add("1.0.0", toy_splits())
    container = TrainContainer(settings=settings, compute_name="ray")
    replacements: dict[providers.Provider[Any], object] = {
        container.data_registry: registry,
        container.tracker: tracker,
        container.model_store: MemoryModelStore(),
        container.compute: MemoryCompute(registry, tmp_path),
    }
    for provider, fake in replacements.items():
        provider.override(fake)
    return container


def train(container: TrainContainer) -> TrainingResult:
    service: TrainingRun = container.training_run()
    spec = TrainingSpec(recipe=Recipe(batch_size=10))
    return service.start(spec, container.provenance(), lambda _: None, run_name="run")


def test_training_run_works_on_fakes_that_override_providers(fakes: TrainContainer) -> None:
    result = train(fakes)
    assert fakes.tracker().get(result.run_id).status is RunStatus.FINISHED
    assert fakes.model_store().versions("dev.fashion-mnist-classifier") == [result.model]


def test_signal_while_the_run_starts_does_not_leave_it_running(fakes: TrainContainer) -> None:
    class Interrupted(MemoryTracker):
        def start(
            self, name: str, tags: Mapping[str, str], dataset: DatasetVersion | None = None, parent: str | None = None
        ) -> str:
            run_id = super().start(name, tags, dataset, parent)
            signal.raise_signal(signal.SIGINT)
            return run_id

    with fakes.tracker.override(tracker := Interrupted()):
        with pytest.raises(KeyboardInterrupt):
            train(fakes)
        assert [run.status for run in tracker.find({})] == [RunStatus.KILLED]


def test_one_part_can_be_overridden_temporarily(settings: Settings) -> None:
    container = PredictContainer(settings=settings)
    fake = MemoryTracker()
    with container.tracker.override(fake):
        assert container.tracker() is fake
    assert type(container.tracker()).__name__ == "MlflowTracker"


def test_proxy_requires_the_keys_and_does_not_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_API_KEYS", "s3cr3t-key")
    (guard,) = RayServeContainer(settings=Settings.load()).proxy_middleware()
    assert guard.kwargs["settings"].api_keys == ("s3cr3t-key",)
    assert "s3cr3t" not in repr(guard)


def test_replicas_get_the_place_of_feedback_without_keys(settings: Settings) -> None:
    keys = {"aws_access_key_id": "the-key", "aws_secret_access_key": SecretStr("s3cr3t")}
    told = settings.model_copy(update={"feedback_place": "s3://bucket/told", **keys})
    parts = RayServeContainer(settings=told).parts()
    assert not any(word in pickle.dumps(parts) for word in (b"s3cr3t", b"the-key"))
    given = parts.given("fmnist")
    assert isinstance(given, GivenAnswers)
    assert pickle.loads(pickle.dumps(parts)).http.keywords["settings"].has_feedback
    assert RayServeContainer(settings=settings).parts().given("fmnist") is None


def test_lock_of_a_local_run_is_beside_its_checkpoints_with_any_ray_storage(settings: Settings) -> None:
    in_s3 = settings.model_copy(update={"ray_storage_endpoint": "s3:9000"})
    assert TrainContainer(settings=in_s3, compute_name="local").lock().folder == settings.checkpoint_directory
    assert TrainContainer(settings=settings, compute_name="ray").lock().folder == settings.checkpoint_directory
    assert TrainContainer(settings=in_s3, compute_name="ray").lock().folder is None


def test_lock_of_promotions_is_the_same_for_every_spelling_of_the_tracker(settings: Settings) -> None:
    written = ["http://h:5000", "http://h:5000/", "HTTP://H:5000", "http://u:p@h:5000", "http://u@h:5000/"]
    locks = [
        PromoteContainer(settings=settings.model_copy(update={"mlflow_tracking_uri": uri})).lock() for uri in written
    ]
    assert len({lock.path for lock in locks}) == 1
    other = settings.model_copy(update={"mlflow_tracking_uri": "http://h:5001"})
    assert PromoteContainer(settings=other).lock().path != locks[0].path


# What MLflow, FastAPI and Ray import of OpenTelemetry is theirs.
TRACING_MODULES = """
import sys, fastapi, mlflow, ray.serve

theirs = set(sys.modules)
from fmnist.apps.containers.serve import ServeContainer, http_settings
from fmnist.apps.containers.serve_ray import http_application, http_settings
from fmnist.apps.settings import load_environment

settings = load_environment(None)
ServeContainer(settings=settings).host()
http_application(None, settings=http_settings(settings), has_keys=False)
print(*(name for name in {*sys.modules} - theirs if "opentelemetry" in name))
"""


@pytest.mark.parametrize("collector", ["", "http://127.0.0.1:9"])
def test_serving_imports_opentelemetry_only_to_send_traces(tmp_path: Path, collector: str) -> None:
    variables = {"FMNIST_HOME": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRACING_MODULES],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tracing = {"fmnist.adapters.opentelemetry.tracer", "opentelemetry.exporter.otlp.proto.http.trace_exporter"}
    found = set(done.stdout.split())
    assert tracing <= found if collector else not found


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (None, None),
        ("http://user:secret@tracker:5000", "http://tracker:5000"),
        ("https://tracker.example", "https://tracker.example"),
    ],
)
def test_page_knows_the_tracker_without_its_credentials(uri: str | None, shown: str | None) -> None:
    settings = http_settings(Settings(mlflow_tracking_uri=uri))
    assert (settings.tracker_url, settings.has_ui) == (shown, True)
    assert not http_settings(Settings(fmnist_ui=False)).has_ui
