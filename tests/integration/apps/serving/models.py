"""A state directory with models whose predictions differ, and with some that must never serve."""

import json
import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from mlflow import MlflowClient
from onnx import TensorProto, helper

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import TrainedWeights
from fmnist.testing.data import toy_sketch
from tests.integration.apps.command import Command

NAME = "dev.fashion-mnist-classifier"
GOOD = (1, 2)  # version n always predicts class n
CORRUPT, OTHER_SHAPE, OTHER_NORMALIZATION, PICKLED = 3, 4, 5, 6


@dataclass(frozen=True)
class Models:
    """The command whose state directory has the models, and the file that a pickle in one of them would create."""

    command: Command
    evidence: Path

    @property
    def database(self) -> Path:
        return self.command.home / "mlflow.db"

    def point(self, alias: str, version: int) -> None:
        """Move an alias like a promotion."""
        MlflowClient(f"sqlite:///{self.database}").set_registered_model_alias(NAME, alias, str(version))


def uri(version: int) -> str:
    return f"models:/{NAME}/{version}"


def make_models(command: Command) -> Models:
    """Register versions 1 to 6. Versions after the good ones have one fault each, which their name tells."""
    connection = MlflowConnection(Address(f"sqlite:///{command.home}/mlflow.db"))
    store, tracker = MlflowModelStore(connection, threads=1), MlflowTracker(connection)
    normalization = DvcDataRegistry(command.registry).resolve("1.0.0").normalization
    models = Models(command, command.home / "evidence")

    def save(version: int) -> Path:
        run = tracker.start("training", {})
        info = ModelInfo(
            architecture="cnn",
            normalization=normalization,
            class_names=CLASS_NAMES,
            lineage={"dvc_data_version": "1.0.0", "run_id": run},
            metrics={"test_acc": 0.1},
        )
        golden = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
        # The second one is like a model of an earlier release.
        reference = toy_sketch(500) if version == GOOD[0] else None
        saved = store.save(run, NAME, _weights(command.home, version), info, golden, reference=reference)
        assert saved.version == version
        return Path(connection.client().get_model_version_download_uri(NAME, str(version)).removeprefix("file://"))

    def spoil(version: int) -> Path:
        folder = shutil.copytree(first, command.home / f"spoiled-{version}")
        saved = connection.client().create_model_version(NAME, str(folder))
        assert int(saved.version) == version
        return folder

    first, _ = (save(good) for good in GOOD)
    with (spoil(CORRUPT) / "extra_files" / "model.onnx").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 4000)
    (spoil(OTHER_SHAPE) / "extra_files" / "model.onnx").write_bytes(_other_shape())
    described = spoil(OTHER_NORMALIZATION) / "extra_files" / "fmnist.json"
    described.write_text(_shift_the_mean(described.read_text()))
    _make_pickled(spoil(PICKLED), models.evidence)
    return models


def _weights(home: Path, answer: int) -> TrainedWeights:
    torch.manual_seed(answer)
    state = build_network("cnn").state_dict()
    last = [name for name in state if name.endswith("bias")][-1]
    state[last][answer] += 100
    path = home / f"weights-{answer}.pt"
    torch.save(state, path)
    return TrainedWeights("cnn", str(path))


def _shift_the_mean(document: str) -> str:
    """Another mean, so close that the golden batch still passes."""
    content = json.loads(document)
    content["normalization"]["mean"] += 1e-5
    return json.dumps(content)


def _other_shape() -> bytes:
    """A working ONNX model for images of 32x32."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, 32, 32])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1, 32, 32])
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["logits"])], "other", [images], [logits])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Trap:
    def __init__(self, evidence: Path) -> None:
        self._evidence = evidence

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._evidence),)


def _make_pickled(artifact: Path, evidence: Path) -> None:
    """Turn the artifact into a pickled model, as MLflow's pyfunc saves one. Unpickling it creates a file."""
    shutil.rmtree(artifact / "extra_files")
    (artifact / "python_model.pkl").write_bytes(pickle.dumps(_Trap(evidence)))
    model = (artifact / "MLmodel").read_text()
    flavor = (
        "flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl\n"
    )
    kept = [line for line in model.splitlines(keepends=True) if line.startswith(("model_uuid", "run_id", "utc_time"))]
    (artifact / "MLmodel").write_text(flavor + "".join(kept))
