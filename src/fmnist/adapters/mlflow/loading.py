"""A registered model as a classifier: on ONNX Runtime on a CPU, where torch is never imported, on torch on a GPU."""

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.downloading import ONNX_FORM, TORCH_FORM, download_artifact
from fmnist.adapters.mlflow.packed import PackedModel
from fmnist.domain.model.errors import CorruptModel
from fmnist.ports.model_store import Classifier


@dataclass(frozen=True, slots=True)
class MlflowClassifierFactory:
    """Downloads one version and loads it, where it is called: picklable, and connected to nothing until then.

    Attributes:
        name, version: of the registered model.
        threads: of ONNX Runtime, 0 meaning every core.
    """

    connection: MlflowConnection
    name: str
    version: int
    threads: int = 0

    def __call__(self) -> Classifier:
        uri, on_gpu = f"models:/{self.name}/{self.version}", _gpu_is_here()
        with tempfile.TemporaryDirectory(prefix="fmnist-model-") as scratch:
            try:
                files = TORCH_FORM if on_gpu else ONNX_FORM
                folder = download_artifact(self.connection, self.name, self.version, Path(scratch), files)
                return torch_classifier(folder) if on_gpu else onnx_classifier(folder, self.threads)
            except CorruptModel as error:
                raise CorruptModel(f"{uri}: {error}") from error


def onnx_classifier(folder: Path, threads: int = 0) -> Classifier:
    """Load the ONNX form of a downloaded artifact and replay its golden batch.

    Raises:
        CorruptModel: a file is missing or damaged, or the model gives other answers than when it was saved.
    """
    return PackedModel.read(folder / artifact.FOLDER, threads)()


def torch_classifier(folder: Path) -> Classifier:
    """Load the pt2 form of a downloaded artifact and replay its golden batch; raises as `onnx_classifier` does."""
    from fmnist.adapters.mlflow.flavor import read_flavor

    _, info, golden = artifact.read_files(folder / artifact.FOLDER)
    classifier = read_flavor(folder, info)
    golden.check(classifier, artifact.LOAD_TOLERANCE, "torch")
    return classifier


def _gpu_is_here() -> bool:
    """Look for the driver's device and for torch before importing it, which takes seconds."""
    if not (Path("/dev/nvidiactl").exists() and find_spec("torch")):
        return False
    import torch

    return torch.cuda.is_available()
