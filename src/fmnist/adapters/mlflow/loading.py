"""A registered model as a classifier: on ONNX Runtime on a CPU, where torch is never imported, on torch on a GPU."""

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import mlflow.artifacts

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.errors import translated
from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.domain.model.errors import CorruptModel, ModelNotFound
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
        with tempfile.TemporaryDirectory(prefix="fmnist-model-") as scratch:
            on_gpu = _gpu_is_here()
            try:
                folder = self._download(Path(scratch), everything=on_gpu)
                return torch_classifier(folder) if on_gpu else onnx_classifier(folder, self.threads)
            except CorruptModel as error:
                raise CorruptModel(f"models:/{self.name}/{self.version}: {error}") from error

    def _download(self, scratch: Path, *, everything: bool) -> Path:
        """Fetch the artifact, or of it only what a CPU needs, and return the artifact's folder."""
        client, uri = self.connection.client(), self.connection.tracking_uri
        with translated(uri, f"models:/{self.name}/{self.version}", missing=ModelNotFound):
            # Not the models:/ URI itself: MLflow would look that up in the global registry.
            root = client.get_model_version_download_uri(self.name, str(self.version))
            there = {
                Path(entry.path).name
                for entry in mlflow.artifacts.list_artifacts(f"{root}/{artifact.FOLDER}", tracking_uri=uri)
            }
            if missing := [name for name in artifact.FILES if name not in there]:
                raise CorruptModel(
                    f"its artifact has no {', '.join(missing)} in {artifact.FOLDER}: it was not saved by fmnist, or "
                    "its files were removed"
                )
            source = root if everything else f"{root}/{artifact.FOLDER}"
            path = Path(mlflow.artifacts.download_artifacts(source, dst_path=str(scratch), tracking_uri=uri))
        return path if everything else path.parent


def onnx_classifier(folder: Path, threads: int = 0) -> Classifier:
    """Load the ONNX form of a downloaded artifact and replay its golden batch.

    Raises:
        CorruptModel: a file is missing or damaged, or the model gives other answers than when it was saved.
    """
    onnx, info, golden = artifact.read_files(folder / artifact.FOLDER)
    classifier = OnnxClassifier(onnx, info, threads)
    golden.check(classifier, artifact.LOAD_TOLERANCE, "ONNX Runtime")
    return classifier


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
