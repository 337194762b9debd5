"""Builds a model artifact on the local disk from trained weights. It needs torch, and registers nothing."""

from pathlib import Path

from mlflow.models import Model

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.flavor import write_flavor
from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.adapters.onnx.export import export_onnx
from fmnist.adapters.torch.classifier import TorchClassifier
from fmnist.adapters.torch.graph import read_network
from fmnist.adapters.torch.weights import load_network
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.card import CARD_FILE
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import TrainedWeights


def build_artifact(
    model: Model, weights: TrainedWeights, info: ModelInfo, golden: Images, card: str | None, scratch: Path
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
        **({} if card is None else {scratch / CARD_FILE: card.encode()}),
    }
    for path, content in files.items():
        path.write_bytes(content)
    folder = scratch / "model"
    write_flavor(model, network, info, folder, list(files))
    saved = TorchClassifier(read_network(artifact.read_file(folder / artifact.PT2_FILE)), info, device="cpu")
    batch.check(saved, artifact.SAVE_TOLERANCE, "the pt2 form of the model")
    return folder
