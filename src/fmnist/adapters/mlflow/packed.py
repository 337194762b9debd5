"""A downloaded model as plain bytes. It loads without the store, without MLflow and without files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.onnx.classifier import OnnxClassifier
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import Classifier


@dataclass(frozen=True, slots=True)
class PackedModel:
    """The ONNX form, picklable. A call loads it without torch and checks the golden batch.

    Attributes:
        threads: threads of ONNX Runtime; 0 means all cores.
    """

    onnx: bytes
    info: ModelInfo
    golden: artifact.GoldenBatch
    threads: int = 0

    @classmethod
    def read(cls, folder: Path, threads: int = 0) -> Self:
        """Read it from the folder of a downloaded artifact.

        Raises:
            CorruptModel: a file is missing or damaged.
        """
        onnx = artifact.read_file(folder / artifact.FOLDER / artifact.ONNX_FILE)
        return cls(onnx, *artifact.read_description(folder), threads)

    def __call__(self) -> Classifier:
        classifier = OnnxClassifier(self.onnx, self.info, self.threads)
        self.golden.check(classifier, artifact.LOAD_TOLERANCE, "ONNX Runtime")
        return classifier


@dataclass(frozen=True, slots=True)
class PackedNetwork:
    """The pt2 form. A call loads it with torch, on the GPU if there is one, and checks the golden batch.

    MLflow's own reader is not used: it puts the artifact's code on the path, imports the modules that the artifact
    names, and runs its pickles.
    """

    pt2: bytes
    info: ModelInfo
    golden: artifact.GoldenBatch

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from the folder of a downloaded artifact; raises as `PackedModel.read` does."""
        return cls(artifact.read_file(folder / artifact.PT2_FILE), *artifact.read_description(folder))

    def __call__(self) -> Classifier:
        from fmnist.adapters.torch.classifier import TorchClassifier
        from fmnist.adapters.torch.graph import read_network

        classifier = TorchClassifier(read_network(self.pt2), self.info)
        self.golden.check(classifier, artifact.LOAD_TOLERANCE, "torch")
        return classifier
