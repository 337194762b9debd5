"""Artifacts of an attacker. Nothing in them runs, with either runtime."""

import json
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from mlflow.models import Model

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.packed import PackedModel, PackedNetwork
from fmnist.adapters.mlflow.saving import build_artifact
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import Classifier, TrainedWeights
from tests.integration.adapters.mlflow import traps
from tests.integration.adapters.mlflow.traps import PT2_TRAPS, Trap, edited, packed, python, saved_by_torch, unpacked


def onnx_classifier(folder: Path) -> Classifier:
    return PackedModel.read(folder)()


def torch_classifier(folder: Path) -> Classifier:
    return PackedNetwork.read(folder)()


READERS = {"torch": torch_classifier, "onnx": onnx_classifier}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, cnn: TrainedWeights, info: ModelInfo, golden: Images) -> Path:
    return build_artifact(Model(), cnn, info, golden[:8], "# A card", tmp_path_factory.mktemp("built"))


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "model"))


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that must not be created."""
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists(), "code of the artifact ran"


def shadow_modules(folder: Path, canary: Path) -> None:
    (folder / "code").mkdir()
    for name in ("onnxruntime", "torch", "evil"):
        (folder / "code" / f"{name}.py").write_text(python(canary))
    description = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(description.replace("code: null", "code: code").replace("code:\n", "code: code\n"))


def pickled_network(folder: Path, canary: Path) -> None:
    shadow_modules(folder, canary)
    (folder / "data" / "model.pth").write_bytes(saved_by_torch(canary))
    (folder / "data" / "pickle_module_info.txt").write_text("evil")


def pickles_of_other_flavours(folder: Path, canary: Path) -> None:
    for name in ("python_model.pkl", "model.pkl", "state_dict.pth", "extra_files/model.pkl", "data/extra.pt"):
        (folder / name).write_bytes(pickle.dumps(Trap(canary)))


def libraries_and_scripts(folder: Path, canary: Path) -> None:
    for name in ("lib.so", "data/model.so", "extra_files/custom_ops.so"):
        (folder / name).write_bytes(b"\x7fELF")
    for name in ("sitecustomize.py", "extra_files/__init__.py", "data/conftest.py"):
        (folder / name).write_text(python(canary))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "add",
    [shadow_modules, pickled_network, pickles_of_other_flavours, libraries_and_scripts],
    ids=lambda it: it.__name__,
)
def test_unknown_files_are_ignored_and_run_nothing(
    reader: str, add: Callable[[Path, Path], None], folder: Path, canary: Path
) -> None:
    add(folder, canary)
    path, modules = list(sys.path), set(sys.modules)
    READERS[reader](folder)
    assert sys.path == path
    assert "evil" not in set(sys.modules) - modules


@pytest.fixture(scope="module")
def opened() -> Iterator[list[str]]:
    """The paths of all files that Python opens. An audit hook cannot be removed, so it has a switch."""
    paths: list[str] = []
    counts = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if counts and event in {"open", "ctypes.dlopen", "import", "os.listdir", "os.scandir"}:
            paths.append(str(arguments[0]))

    sys.addaudithook(hook)
    yield paths
    counts.clear()


@pytest.mark.parametrize("reader", READERS)
def test_only_a_fixed_list_of_files_is_opened(reader: str, folder: Path, canary: Path, opened: list[str]) -> None:
    pickled_network(folder, canary)
    pickles_of_other_flavours(folder, canary)
    opened.clear()
    READERS[reader](folder)
    described = {f"extra_files/{name}" for name in (artifact.INFO_FILE, artifact.GOLDEN_FILE)}
    expected = {*described, artifact.PT2_FILE if reader == "torch" else f"extra_files/{artifact.ONNX_FILE}"}
    assert {str(Path(path).relative_to(folder)) for path in opened if path.startswith(str(folder))} == expected


@pytest.mark.parametrize("trap", PT2_TRAPS)
def test_graph_with_code_is_refused(trap: str, folder: Path, canary: Path) -> None:
    entries = unpacked(folder / artifact.PT2_FILE)
    PT2_TRAPS[trap](entries, canary)
    (folder / artifact.PT2_FILE).write_bytes(packed(entries))
    with pytest.raises(CorruptModel, match=r"model\.pt2 is refused"):
        torch_classifier(folder)
    onnx_classifier(folder)  # ONNX does not read the graph


@pytest.mark.parametrize("change", [traps.symbolic_sizes, traps.names_of_values], ids=lambda it: it.__name__)
def test_text_in_a_graph_is_never_evaluated(
    change: Callable[[traps.Entries, Path], None], built: Path, folder: Path, canary: Path
) -> None:
    entries = unpacked(built / artifact.PT2_FILE)
    change(entries, canary)
    assert entries != unpacked(built / artifact.PT2_FILE)
    (folder / artifact.PT2_FILE).write_bytes(packed(entries))
    torch_classifier(folder)


@pytest.mark.parametrize(
    "trap", [traps.pickled_weights, traps.pickled_sample_inputs, traps.guards, traps.symbolic_sizes]
)
def test_the_traps_work_in_the_loader_of_torch(
    trap: Callable[[traps.Entries, Path], None], folder: Path, tmp_path: Path
) -> None:
    entries = unpacked(folder / artifact.PT2_FILE)
    trap(entries, tmp_path / "sprung")
    (folder / artifact.PT2_FILE).write_bytes(packed(entries))
    with suppress(Exception):
        torch.export.load(folder / artifact.PT2_FILE).module()(torch.zeros(2, 1, 28, 28))
    assert (tmp_path / "sprung").exists()


def test_compressed_archive_is_refused(folder: Path) -> None:
    entries = unpacked(folder / artifact.PT2_FILE)
    (folder / artifact.PT2_FILE).write_bytes(packed(entries, zipfile.ZIP_DEFLATED))
    with pytest.raises(CorruptModel, match="compressed"):
        torch_classifier(folder)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_with_one_name_are_refused(folder: Path) -> None:
    entries = [*unpacked(folder / artifact.PT2_FILE).items()]
    (folder / artifact.PT2_FILE).write_bytes(packed([*entries, entries[0]]))
    with pytest.raises(CorruptModel, match="two entries have the same name"):
        torch_classifier(folder)


def test_too_large_file_is_not_read(folder: Path) -> None:
    for name in ("data/model.pt2", "extra_files/fmnist.json", "extra_files/golden.npz"):
        whole = (folder / name).read_bytes()
        with (folder / name).open("r+b") as file:
            file.truncate(2**30 + 1)  # sparse
        with pytest.raises(CorruptModel, match="has more than"):
            torch_classifier(folder)
        (folder / name).write_bytes(whole)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(),
    st.sampled_from(["", "inputs", "torch.os.system", "torch.ops.aten.relu_.default", "custom_obj_0", "../weight_0"]),
    st.just([]),
    st.just({}),
)


@st.composite
def spoilt(draw: st.DrawFn, entries: traps.Entries, canary: Path) -> bytes:
    """The archive with some entries or bytes changed, and with pickles that write the canary in place of others."""
    entries = dict(entries)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(entries)))
        match draw(
            st.sampled_from(["pickle", "checkpoint", "drop", "rename", "copy", "json", "json", "trap", "bytes"])
        ):
            case "pickle":
                entries[name] = pickle.dumps(Trap(canary))
            case "checkpoint":
                entries[name] = saved_by_torch(canary)
            case "drop":
                del entries[name]
            case "rename":
                entries[draw(st.sampled_from([f"{name}.py", f"../{name}", name.upper(), "model/"]))] = entries.pop(name)
            case "copy":
                entries[name] = entries[draw(st.sampled_from(sorted(entries)))]
            case "json":
                with suppress(ValueError, KeyError):
                    edited(
                        entries,
                        draw(st.sampled_from([traps.GRAPH, traps.WEIGHTS, traps.CONSTANTS])),
                        lambda it: _change_somewhere(draw, it, canary),
                    )
            case "trap":
                with suppress(ValueError, KeyError, TypeError, AttributeError, StopIteration, IndexError):
                    PT2_TRAPS[draw(st.sampled_from(sorted(PT2_TRAPS)))](entries, canary)
            case _:
                entries[name] = _mutated(draw, entries[name])
        if not entries:
            break
    content = packed(entries)
    return _mutated(draw, content) if draw(st.booleans()) and draw(st.booleans()) else content


def _change_somewhere(draw: st.DrawFn, document: Any, canary: Path) -> None:
    while True:
        keys = sorted(document) if isinstance(document, dict) else range(len(document))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        inner = document[key]
        if isinstance(inner, dict | list) and inner and draw(st.integers(0, 9)):
            document = inner
            continue
        document[key] = draw(SCALARS | st.just(python(canary)))
        return


def _mutated(draw: st.DrawFn, content: bytes) -> bytes:
    mutable = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        if mutable:
            mutable[draw(st.integers(0, len(mutable) - 1))] = draw(st.integers(0, 255))
    return bytes(mutable[: draw(st.integers(0, len(mutable)))] if draw(st.integers(0, 9)) == 0 else mutable)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_spoilt_graph_is_refused_or_answers_as_before_and_runs_nothing(
    data: st.DataObject, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzzed"
    shutil.copytree(built, root, dirs_exist_ok=True)
    canary = tmp_path_factory.getbasetemp() / "fuzzed-canary"
    content = data.draw(spoilt(unpacked(built / artifact.PT2_FILE), canary))
    (root / artifact.PT2_FILE).write_bytes(content)
    try:
        classifier: Classifier | None = torch_classifier(root)
    except CorruptModel:
        classifier = None
    assert not canary.exists()
    event("refused" if classifier is None else "loaded")
    if classifier is not None:
        images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), dtype=np.uint8)
        inputs = classifier.info.normalization.apply(images)
        np.testing.assert_allclose(classifier.logits(inputs), onnx_classifier(built).logits(inputs), atol=1e-2)


def test_fuzzer_starts_from_a_valid_archive(built: Path, folder: Path) -> None:
    """Otherwise every changed archive would be refused."""
    entries = unpacked(built / artifact.PT2_FILE)
    assert json.loads(entries[traps.GRAPH])["schema_version"]
    (folder / artifact.PT2_FILE).write_bytes(packed(entries))
    torch_classifier(folder)
