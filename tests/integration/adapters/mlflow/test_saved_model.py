import os
import pickle
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
import mlflow.pytorch
import numpy as np
import pytest
import torch
from mlflow.models import get_model_info

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.packed import PackedNetwork
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.adapters.torch.weights import load_network
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import RunNotFound
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.ports.model_store import TrainedWeights


def test_plain_mlflow_loads_it_without_a_pickle_for_any_batch(
    saved: ModelVersion, connection: MlflowConnection, cnn: TrainedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connection.tracking_uri.reveal())
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    loaded = mlflow.pytorch.load_model(saved.uri)
    network = load_network(cnn)
    for count in (1, 2, 7):
        inputs = torch.randn(count, 1, 28, 28)
        with torch.inference_mode():
            torch.testing.assert_close(loaded(inputs), network(inputs))


def test_mlflow_scores_an_array_without_our_code(
    saved: ModelVersion, connection: MlflowConnection, cnn: TrainedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connection.tracking_uri.reveal())
    inputs = torch.randn(5, 1, 28, 28)
    logits = mlflow.pyfunc.load_model(saved.uri).predict(inputs.numpy())
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(logits), load_network(cnn)(inputs))


def test_run_has_the_model_with_signature_and_example(
    saved: ModelVersion, connection: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connection.tracking_uri.reveal())
    described = get_model_info(f"runs:/{saved.run_id}/model")
    assert described.run_id == saved.run_id
    assert [(each.type, each.shape) for each in described.signature.inputs] == [(np.float32, (-1, 1, 28, 28))]
    assert [(each.type, each.shape) for each in described.signature.outputs] == [(np.float32, (-1, 10))]
    assert described.saved_input_example_info is not None


def test_saving_changes_no_global_state_and_prints_nothing(
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
    version = store.save(MlflowTracker(connection).start("training", {}), "dev.saved-model", cnn, info, golden)
    store.label(store.copy(version, version.name), alias="champion")
    store.download(store.resolve("models:/dev.saved-model@champion")).load()
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


def test_torch_and_onnx_give_the_same_predictions(
    saved: ModelVersion, store: MlflowModelStore, golden: Images, spoilable: Path
) -> None:
    classifier = PackedNetwork.read(spoilable.parent)()
    inputs = classifier.info.normalization.apply(golden)
    np.testing.assert_allclose(classifier.logits(inputs), store.download(saved).load().logits(inputs), atol=1e-4)


def test_classifier_on_a_cpu_imports_no_torch(saved: ModelVersion, connection: MlflowConnection) -> None:
    code = (
        "import sys, numpy; from fmnist.adapters.mlflow.connection import MlflowConnection; "
        "from fmnist.adapters.mlflow.model_store import MlflowModelStore, gpu_is_here; "
        "from fmnist.domain.model.address import Address; "
        "store = MlflowModelStore(MlflowConnection(Address(sys.argv[1])), on_gpu=gpu_is_here); "
        "classifier = store.download(store.resolve(sys.argv[2])).load(); "
        "print(classifier.logits(numpy.zeros((1, 1, 28, 28), 'float32')).shape, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, connection.tracking_uri.reveal(), saved.uri]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("(1, 10) False\n", "")


def test_package_loads_without_the_store(
    store: MlflowModelStore, spoilable: Path, saved: ModelVersion, info: ModelInfo, golden: Images
) -> None:
    package = store.download(store.versions(saved.name)[0])
    shutil.rmtree(spoilable.parent)
    loaded = pickle.loads(pickle.dumps(package)).load()
    assert loaded.info.architecture == info.architecture
    inputs = info.normalization.apply(golden)
    np.testing.assert_allclose(loaded.logits(inputs), store.download(saved).load().logits(inputs), atol=1e-5)


def test_package_has_the_id_and_the_time_of_the_run_s_model(
    store: MlflowModelStore, saved: ModelVersion, connection: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connection.tracking_uri.reveal())
    package, described = store.download(saved), get_model_info(f"runs:/{saved.run_id}/model")
    assert package.uuid == described.model_uuid
    assert datetime.fromtimestamp(package.created, UTC).isoformat(" ").startswith(described.utc_time_created)


def test_package_predicts_without_torch_and_mlflow(
    store: MlflowModelStore, saved: ModelVersion, tmp_path: Path
) -> None:
    (tmp_path / "package.pkl").write_bytes(pickle.dumps(store.download(saved)))
    code = (
        "import pathlib, pickle, sys, numpy; package = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()); "
        "print(package.load().logits(numpy.zeros((1, 1, 28, 28), 'float32')).shape); "
        "print({'mlflow', 'torch'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "package.pkl")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("(1, 10)\nset()\n", "")


def test_card_is_in_the_artifact_and_in_the_description_of_versions_and_copies(
    store: MlflowModelStore, connection: MlflowConnection, cnn: TrainedWeights, info: ModelInfo, golden: Images
) -> None:
    client, run_id = connection.client(), MlflowTracker(connection).start("training", {})
    lines = "".join(f"* Limit {number}: it was never measured on anything else.\n" for number in range(150))
    card = f"# A café, longer than a registry shows\n\n{lines}"
    version = store.save(run_id, "dev.with-a-card", cnn, info, golden, card=card)
    copy = store.copy(store.copy(version, "staging.with-a-card"), "prod.with-a-card")
    shown = {client.get_model_version(each.name, str(each.version)).description for each in (version, copy)}
    (description,) = shown
    beginning, found, rest = description.partition("\n\nThe rest is in the artifact")
    assert found
    assert len(description) <= 5000
    assert card.startswith(beginning + "\n"), "it is cut between lines"
    assert rest == ", `extra_files/model_card.md`.\n"
    root = client.get_model_version_download_uri(copy.name, str(copy.version))
    assert mlflow.artifacts.load_text(f"{root}/extra_files/model_card.md") == card


def test_model_without_a_card_loads(store: MlflowModelStore, connection: MlflowConnection, saved: ModelVersion) -> None:
    assert not connection.client().get_model_version(saved.name, str(saved.version)).description
    store.download(saved).load()
