"""A model of the store as plain bytes, which load with no store, no MLflow, no torch and no file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.domain.model.registry import ModelInfo
from fmnist.ports.model_store import Classifier


@dataclass(frozen=True, slots=True)
class PackedModel:
    """Loads the ONNX form and replays the golden batch, where it is called; picklable.

    Attributes:
        onnx: the ONNX form.
        threads: of ONNX Runtime, 0 meaning every core.
    """

    onnx: bytes
    info: ModelInfo
    golden: artifact.GoldenBatch
    threads: int = 0

    @classmethod
    def read(cls, folder: Path, threads: int = 0) -> Self:
        """Read the artifact's extra files from a local folder.

        Raises:
            CorruptModel: one is missing or damaged.
        """
        return cls(*artifact.read_files(folder), threads)

    def __call__(self) -> Classifier:
        classifier = OnnxClassifier(self.onnx, self.info, self.threads)
        self.golden.check(classifier, artifact.LOAD_TOLERANCE, "ONNX Runtime")
        return classifier
