import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import mlflow.artifacts
import mlflow.pytorch
import numpy as np
import pytest
import torch
from mlflow.models import get_model_info

from fmnist.adapters.mlflow.artifact import FOLDER, GOLDEN_FILE, INFO_FILE, ONNX_FILE
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.loading import torch_classifier
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.networks import build_network
from fmnist.adapters.torch.weights import load_network
from fmnist.domain.model.errors import CorruptModel, RunNotFound
from fmnist.domain.model.images import CLASS_NAMES, Images
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.registry import ModelInfo, ModelVersion
from fmnist.ports.model_store import TrainedWeights

NAME = "dev.saved-model"


@pytest.fixture(scope="module")
def store(connection: MlflowConnection) -> MlflowModelStore:
    return MlflowModelStore(connection, threads=1)


@pytest.fixture(scope="module")
def info() -> ModelInfo:
    return ModelInfo(
        architecture="cnn",
        normalization=Normalization(mean=0.286, std=0.353),
        class_names=CLASS_NAMES,
        lineage={"dvc_data_version": "fashion-mnist-v1.0.0"},
        metrics={"val_acc": 0.91},
    )


@pytest.fixture(scope="module")
def golden() -> Images:
    return np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def saved(
    store: MlflowModelStore, connection: MlflowConnection, cnn: TrainedWeights, info: ModelInfo, golden: Images
) -> ModelVersion:
    return store.save(MlflowTracker(connection).start("training", {}), NAME, cnn, info, golden)


@pytest.fixture
def spoilable(connection: MlflowConnection, store: MlflowModelStore, saved: ModelVersion, tmp_path: Path) -> Path:
    """The extra files of a version whose artifact is a copy of the saved one, registered as the newest of its name."""
    client = connection.client()
    root = client.get_model_version_download_uri(saved.name, str(saved.version))
    folder = mlflow.artifacts.download_artifacts(root, dst_path=str(tmp_path))
    client.create_model_version(NAME, folder, saved.run_id)
    return Path(folder, FOLDER)


def test_plain_mlflow_loads_it_without_a_pickle_for_any_batch(
    saved: ModelVersion, connection: MlflowConnection, cnn: TrainedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connection.tracking_uri)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    loaded = mlflow.pytorch.load_model(saved.uri)
    network = load_network(cnn)
    for count in (1, 2, 7):
        inputs = torch.randn(count, 1, 28, 28)
        with torch.inference_mode():
            torch.testing.assert_close(loaded(inputs), network(inputs))


def test_run_has_it_as_its_model_with_signature_and_example(
    saved: ModelVersion, connection: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connection.tracking_uri)
    described = get_model_info(f"runs:/{saved.run_id}/model")
    assert described.run_id == saved.run_id
    assert [(each.type, each.shape) for each in described.signature.inputs] == [(np.float32, (-1, 1, 28, 28))]
    assert [(each.type, each.shape) for each in described.signature.outputs] == [(np.float32, (-1, 10))]
    assert described.saved_input_example_info is not None


def test_saving_leaves_nothing_global_behind_and_prints_nothing(
    store: MlflowModelStore,
    connection: MlflowConnection,
    cnn: TrainedWeights,
    info: ModelInfo,
    golden: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), dict(os.environ))
    version = store.save(MlflowTracker(connection).start("training", {}), NAME, cnn, info, golden)
    store.label(store.copy(version, NAME), alias="champion")
    store.classifier(f"models:/{NAME}@champion")()
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), dict(os.environ)) == before
    assert mlflow.active_run() is None
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_unknown_run_registers_nothing(
    store: MlflowModelStore, cnn: TrainedWeights, info: ModelInfo, golden: Images
) -> None:
    with pytest.raises(RunNotFound, match="0" * 32):
        store.save("0" * 32, "dev.without-a-run", cnn, info, golden)
    assert store.versions("dev.without-a-run") == []


def test_torch_answers_as_onnx_does(
    saved: ModelVersion, store: MlflowModelStore, golden: Images, spoilable: Path
) -> None:
    classifier = torch_classifier(spoilable.parent)
    inputs = classifier.info.normalization.apply(golden)
    np.testing.assert_allclose(classifier.logits(inputs), store.classifier(saved.uri)().logits(inputs), atol=1e-4)


def test_pickled_network_in_place_of_the_graph_is_not_loaded(spoilable: Path) -> None:
    data = spoilable.parent / "data"
    (data / "model.pt2").unlink()
    torch.save(build_network("cnn"), data / "model.pth")
    (data / "pickle_module_info.txt").write_text("mlflow.pytorch.pickle_module")
    with pytest.raises(CorruptModel, match="pickle is disallowed"):
        torch_classifier(spoilable.parent)


def test_classifier_on_a_cpu_imports_no_torch(saved: ModelVersion, connection: MlflowConnection) -> None:
    code = (
        "import sys, numpy; from fmnist.adapters.mlflow.connection import MlflowConnection; "
        "from fmnist.adapters.mlflow.model_store import MlflowModelStore; "
        "classifier = MlflowModelStore(MlflowConnection(sys.argv[1])).classifier(sys.argv[2])(); "
        "print(classifier.logits(numpy.zeros((1, 1, 28, 28), 'float32')).shape, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, connection.tracking_uri, saved.uri]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("(1, 10) False\n", "")


def newest(store: MlflowModelStore) -> str:
    return store.versions(NAME)[0].uri


def test_model_with_other_weights_is_noticed(store: MlflowModelStore, spoilable: Path) -> None:
    torch.manual_seed(1)
    (spoilable / ONNX_FILE).write_bytes(export_onnx(build_network("cnn").eval()))
    with pytest.raises(CorruptModel, match=rf"models:/{NAME}/\d+: .*golden batch"):
        store.classifier(newest(store))()


def test_golden_batch_with_other_answers_is_noticed(store: MlflowModelStore, spoilable: Path) -> None:
    with np.load(spoilable / GOLDEN_FILE) as arrays:
        images, probabilities = arrays["images"], arrays["probabilities"]
    np.savez(spoilable / GOLDEN_FILE, images=images, probabilities=probabilities[::-1])
    with pytest.raises(CorruptModel, match="golden batch"):
        store.classifier(newest(store))()


def test_other_normalization_is_noticed(store: MlflowModelStore, spoilable: Path) -> None:
    document = json.loads((spoilable / INFO_FILE).read_text())
    document["normalization"]["mean"] += 0.1
    (spoilable / INFO_FILE).write_text(json.dumps(document))
    with pytest.raises(CorruptModel, match="golden batch"):
        store.classifier(newest(store))()


@pytest.mark.parametrize("name", [ONNX_FILE, INFO_FILE, GOLDEN_FILE])
def test_damaged_file_is_refused(store: MlflowModelStore, spoilable: Path, name: str) -> None:
    content = (spoilable / name).read_bytes()
    (spoilable / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptModel, match=NAME):
        store.classifier(newest(store))()


@pytest.mark.parametrize("name", [ONNX_FILE, INFO_FILE, GOLDEN_FILE])
def test_missing_file_is_named(store: MlflowModelStore, spoilable: Path, name: str) -> None:
    (spoilable / name).unlink()
    with pytest.raises(CorruptModel, match=name):
        store.classifier(newest(store))()


def test_model_that_somebody_else_saved_is_refused(
    store: MlflowModelStore, connection: MlflowConnection, saved: ModelVersion, tmp_path: Path
) -> None:
    example = np.zeros((2, 1, 28, 28), np.float32)
    mlflow.pytorch.save_model(
        build_network("cnn"), tmp_path / "model", input_example=example, pip_requirements=["torch"]
    )
    connection.client().create_model_version(NAME, str(tmp_path / "model"), saved.run_id)
    with pytest.raises(CorruptModel, match="not saved by fmnist"):
        store.classifier(newest(store))()
