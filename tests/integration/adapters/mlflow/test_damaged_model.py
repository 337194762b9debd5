import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
import mlflow.pytorch
import numpy as np
import pytest
import torch

from fmnist.adapters.mlflow.artifact import FOLDER, GOLDEN_FILE, INFO_FILE, ONNX_FILE, REFERENCE_FILE
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.downloading import ONNX_FORM, TORCH_FORM, download_artifact
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.packed import PackedNetwork
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import CARD_FILE, ModelVersion
from fmnist.ports.model_store import Classifier
from tests.integration.adapters.mlflow.traps import Trap


@pytest.fixture
def load_newest(store: MlflowModelStore, saved: ModelVersion) -> Callable[[], Classifier]:
    """Load the newest version."""
    return lambda: store.download(store.versions(saved.name)[0]).load()


def test_model_with_other_weights_is_refused(load_newest: Callable[[], Classifier], spoilable: Path) -> None:
    torch.manual_seed(1)
    (spoilable / ONNX_FILE).write_bytes(export_onnx(build_network("cnn").eval()))
    with pytest.raises(CorruptModel, match="golden batch"):
        load_newest()


def test_golden_batch_with_other_predictions_is_refused(load_newest: Callable[[], Classifier], spoilable: Path) -> None:
    with np.load(spoilable / GOLDEN_FILE) as arrays:
        images, probabilities = arrays["images"], arrays["probabilities"]
    np.savez(spoilable / GOLDEN_FILE, images=images, probabilities=probabilities[::-1])
    with pytest.raises(CorruptModel, match="golden batch"):
        load_newest()


def test_other_normalization_is_refused(load_newest: Callable[[], Classifier], spoilable: Path) -> None:
    document = json.loads((spoilable / INFO_FILE).read_text())
    document["normalization"]["mean"] += 0.1
    (spoilable / INFO_FILE).write_text(json.dumps(document))
    with pytest.raises(CorruptModel, match="golden batch"):
        load_newest()


@pytest.mark.parametrize("name", [ONNX_FILE, INFO_FILE, GOLDEN_FILE, REFERENCE_FILE])
def test_damaged_file_is_refused(load_newest: Callable[[], Classifier], spoilable: Path, name: str) -> None:
    content = (spoilable / name).read_bytes()
    (spoilable / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptModel):
        load_newest()


def test_reference_with_other_counts_is_refused(store: MlflowModelStore, saved: ModelVersion, spoilable: Path) -> None:
    document = json.loads((spoilable / REFERENCE_FILE).read_text())
    document["counts"]["class"][0] += 1
    (spoilable / REFERENCE_FILE).write_text(json.dumps(document))
    with pytest.raises(CorruptModel, match=r"reference\.json is damaged: class has 10 bins"):
        store.download(store.versions(saved.name)[0])


def test_reference_of_a_later_layout_counts_as_none(
    store: MlflowModelStore, saved: ModelVersion, spoilable: Path
) -> None:
    (spoilable / REFERENCE_FILE).write_text('{"layout": 2, "else": []}')
    assert store.download(store.versions(saved.name)[0]).reference is None


def test_model_of_an_earlier_release_has_no_reference_and_no_card(
    store: MlflowModelStore, saved: ModelVersion, spoilable: Path
) -> None:
    (spoilable / REFERENCE_FILE).unlink()
    (spoilable / CARD_FILE).unlink(missing_ok=True)
    package = store.download(store.versions(saved.name)[0])
    assert (package.reference, package.card) == (None, None)
    package.load()


@pytest.mark.parametrize("name", [ONNX_FILE, INFO_FILE, GOLDEN_FILE])
def test_missing_file_is_named(load_newest: Callable[[], Classifier], spoilable: Path, name: str) -> None:
    (spoilable / name).unlink()
    with pytest.raises(CorruptModel, match=name):
        load_newest()


def test_foreign_model_is_refused(
    load_newest: Callable[[], Classifier], connection: MlflowConnection, saved: ModelVersion, tmp_path: Path
) -> None:
    example = np.zeros((2, 1, 28, 28), np.float32)
    mlflow.pytorch.save_model(
        build_network("cnn"), tmp_path / "model", input_example=example, pip_requirements=["torch"]
    )
    connection.client().create_model_version(saved.name, str(tmp_path / "model"), saved.run_id)
    with pytest.raises(CorruptModel, match="fmnist did not save"):
        load_newest()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"signature: null",
        b"model_uuid: m-1\nutc_time_created: '2026-01-01 00:00:00'\n",
        b"model_uuid: m-1\nutc_time_created: yesterday\n",
    ],
)
def test_damaged_description_is_refused(load_newest: Callable[[], Classifier], spoilable: Path, content: bytes) -> None:
    (spoilable.parent / "MLmodel").write_bytes(content)
    with pytest.raises(CorruptModel, match=r"models:/dev.saved-model/\d+: MLmodel is damaged"):
        load_newest()


@pytest.mark.parametrize(
    ("line", "changed", "complaint"),
    [
        ("model_uuid: .*?\n", "model_uuid: 7\n", "MLmodel has no model_uuid: fmnist did not save"),
        ("inputs: .*?  outputs", 'inputs: \'[{"type": "long"}]\'\n  outputs', "damaged: .* only tensors, found long"),
    ],
)
def test_description_that_fmnist_does_not_write_is_refused(
    load_newest: Callable[[], Classifier], spoilable: Path, line: str, changed: str, complaint: str
) -> None:
    content = (spoilable.parent / "MLmodel").read_text()
    (spoilable.parent / "MLmodel").write_text(re.sub(line, changed, content, count=1, flags=re.DOTALL))
    with pytest.raises(CorruptModel, match=complaint):
        load_newest()


def test_missing_description_is_named(load_newest: Callable[[], Classifier], spoilable: Path) -> None:
    (spoilable.parent / "MLmodel").unlink()
    with pytest.raises(CorruptModel, match="no MLmodel"):
        load_newest()


@pytest.mark.parametrize("name", [ONNX_FILE, INFO_FILE, GOLDEN_FILE, "../MLmodel"])
def test_pickle_in_place_of_a_file_is_never_executed(
    load_newest: Callable[[], Classifier], spoilable: Path, tmp_path: Path, name: str
) -> None:
    (spoilable / name).write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    with pytest.raises(CorruptModel):
        load_newest()
    assert not (tmp_path / "trapped").exists()


def test_pickle_inside_of_the_golden_batch_is_never_executed(
    load_newest: Callable[[], Classifier], spoilable: Path, tmp_path: Path
) -> None:
    np.savez(
        spoilable / GOLDEN_FILE,
        images=np.array([Trap(tmp_path / "trapped")], dtype=object),
        probabilities=np.array([Trap(tmp_path / "trapped")], dtype=object),
    )
    with pytest.raises(CorruptModel, match=r"golden\.npz"):
        load_newest()
    assert not (tmp_path / "trapped").exists()


def test_python_object_in_mlmodel_is_never_created(
    load_newest: Callable[[], Classifier], spoilable: Path, tmp_path: Path
) -> None:
    call = f"!!python/object/apply:os.mkdir ['{tmp_path / 'trapped'}']"
    (spoilable.parent / "MLmodel").write_text(f"model_uuid: {call}\n")
    with pytest.raises(CorruptModel, match="MLmodel"):
        load_newest()
    assert not (tmp_path / "trapped").exists()


def test_foreign_pickled_model_is_refused_before_it_is_read(
    load_newest: Callable[[], Classifier], spoilable: Path, tmp_path: Path
) -> None:
    shutil.rmtree(spoilable)
    (spoilable.parent / "data" / "model.pth").write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    with pytest.raises(CorruptModel, match="fmnist did not save"):
        load_newest()
    assert not (tmp_path / "trapped").exists()


def test_the_trap_works_when_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "trapped")))
    assert (tmp_path / "trapped").exists()


def test_pickled_network_in_place_of_the_graph_is_not_read(spoilable: Path) -> None:
    data = spoilable.parent / "data"
    (data / "model.pt2").unlink()
    torch.save(build_network("cnn"), data / "model.pth")
    (data / "pickle_module_info.txt").write_text("mlflow.pytorch.pickle_module")
    with pytest.raises(CorruptModel, match=r"model\.pt2 is missing"):
        PackedNetwork.read(spoilable.parent)()


def test_too_large_description_is_refused(load_newest: Callable[[], Classifier], spoilable: Path) -> None:
    with (spoilable.parent / "MLmodel").open("r+b") as file:
        file.truncate(2**21)
    with pytest.raises(CorruptModel, match="MLmodel has more than"):
        load_newest()


def test_folder_with_a_file_s_name_is_not_downloaded(load_newest: Callable[[], Classifier], spoilable: Path) -> None:
    (spoilable / INFO_FILE).unlink()
    (spoilable / INFO_FILE).mkdir()
    (spoilable / INFO_FILE / "sitecustomize.py").write_text("")
    with pytest.raises(CorruptModel, match=f"no {INFO_FILE}"):
        load_newest()


@pytest.mark.parametrize("files", [ONNX_FORM, TORCH_FORM])
def test_only_the_named_files_are_downloaded(
    connection: MlflowConnection,
    store: MlflowModelStore,
    saved: ModelVersion,
    spoilable: Path,
    tmp_path: Path,
    files: tuple[str, ...],
) -> None:
    for name in ("evil.py", "data/model.pth", "extra_files/evil.so", "code/evil.py"):
        (spoilable.parent / name).parent.mkdir(exist_ok=True)
        (spoilable.parent / name).write_text("")
    newest = store.versions(saved.name)[0]
    folder = download_artifact(connection, newest.name, newest.version, tmp_path / "fetched", files)
    assert {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()} == {
        *files,
        f"{FOLDER}/{REFERENCE_FILE}",
    }
