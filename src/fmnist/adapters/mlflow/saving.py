"""Builds a model artifact on the local disk from trained weights. It needs torch, and registers nothing."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import mlflow.pytorch
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import nn

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.reference import reference_to_json
from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.classifier import TorchClassifier
from fmnist.adapters.torch.graph import read_network
from fmnist.adapters.torch.weights import load_network
from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.model import CARD_FILE, ModelInfo
from fmnist.domain.model.traffic.sketch import Sketch
from fmnist.ports.model_store import TrainedWeights


def build_artifact(
    model: Model,
    weights: TrainedWeights,
    info: ModelInfo,
    golden: Images,
    card: str | None,
    scratch: Path,
    reference: Sketch | None = None,
) -> Path:
    """Write all forms of the model below `scratch`, fill in `model` (its MLmodel), and return the artifact's folder.

    Raises:
        CorruptModel: the weights cannot be read, or a saved form predicts differently from the network.
    """
    network = load_network(weights)
    onnx = export_onnx(network)
    batch = artifact.GoldenBatch.of(OnnxClassifier(onnx, info), golden)
    batch.check(TorchClassifier(network, info, device="cpu"), artifact.SAVE_TOLERANCE, "the network in torch")

    files = {
        scratch / artifact.ONNX_FILE: onnx,
        scratch / artifact.INFO_FILE: artifact.info_to_json(info).encode(),
        scratch / artifact.GOLDEN_FILE: batch.to_bytes(),
        **({} if reference is None else {scratch / artifact.REFERENCE_FILE: reference_to_json(reference).encode()}),
        **({} if card is None else {scratch / CARD_FILE: card.encode()}),
    }
    for path, content in files.items():
        path.write_bytes(content)
    folder = scratch / "model"
    _write_pt2(model, network, info, folder, list(files))
    saved = TorchClassifier(read_network(artifact.read_file(folder / artifact.PT2_FILE)), info, device="cpu")
    batch.check(saved, artifact.SAVE_TOLERANCE, "the pt2 form of the model")
    return folder


def _write_pt2(model: Model, network: nn.Module, info: ModelInfo, folder: Path, extra_files: Sequence[Path]) -> None:
    """Write MLflow's pytorch flavour in its `pt2` form, a torch.export graph, into a new folder."""
    # Two images, because torch.export would fix the batch size at 1 for an example of one.
    example = np.zeros((2, 1, SIDE, SIDE), np.float32)
    float32 = np.dtype(np.float32)
    mlflow.pytorch.save_model(
        network,
        folder,
        mlflow_model=model,
        serialization_format="pt2",
        input_example=example,
        # No names: with names, MLflow's scoring server passes a dictionary, which its pytorch flavour refuses.
        signature=ModelSignature(
            inputs=Schema([TensorSpec(float32, (-1, *example.shape[1:]))]),
            outputs=Schema([TensorSpec(float32, (-1, len(info.class_names)))]),
        ),
        extra_files=[str(file) for file in extra_files],
        # MLflow would infer them by loading the model in another process, which takes ten seconds.
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "numpy", "torch")],
    )
