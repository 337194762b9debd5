"""fmnist's own files in a model artifact (layout version 1), written and strictly read back.

The artifact's folder `extra_files` holds the ONNX form, `fmnist.json`, a golden batch with the model's answers, and the
model card. Newer models have a sketch of `val`, too: see `reference`. This module imports
neither torch nor MLflow.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import ZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fmnist.domain.model.data.images import Images, images_from_array
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData, CorruptModel
from fmnist.domain.model.evaluation.metrics import Probabilities, softmax
from fmnist.domain.model.model import CARD_FILE, MODEL_LAYOUT_VERSION, ModelInfo
from fmnist.ports.model_store import Classifier

FOLDER = "extra_files"  # MLflow's name for it
ONNX_FILE = "model.onnx"
INFO_FILE = "fmnist.json"
GOLDEN_FILE = "golden.npz"
REFERENCE_FILE = "reference.json"
PT2_FILE = "data/model.pt2"  # MLflow's name for it

# By file name. Real files are far smaller; a larger file is refused before it is read.
MAX_BYTES = {
    ONNX_FILE: 2**30,
    INFO_FILE: 2**20,
    GOLDEN_FILE: 2**24,
    REFERENCE_FILE: 2**20,
    CARD_FILE: 2**20,
    "model.pt2": 2**30,
    "MLmodel": 2**20,
}
_GOLDEN_UNPACKED = 2**26

SAVE_TOLERANCE = 1e-4
LOAD_TOLERANCE = 1e-3


class _Document(BaseModel):
    """`fmnist.json`: a `ModelInfo` and the version of the layout."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    layout_version: int
    architecture: str
    normalization: Normalization
    class_names: tuple[str, ...]
    lineage: dict[str, str]
    metrics: dict[str, float]


def info_to_json(info: ModelInfo) -> str:
    """Write `fmnist.json`.

    Raises:
        CorruptModel: a metric is not a finite number.
    """
    try:
        document = _Document(
            layout_version=MODEL_LAYOUT_VERSION,
            architecture=info.architecture,
            normalization=info.normalization,
            class_names=info.class_names,
            lineage=dict(info.lineage),
            metrics=dict(info.metrics),
        )
    except ValidationError as error:
        raise CorruptModel(f"{INFO_FILE} cannot hold these values of the model: {error}") from error
    return document.model_dump_json(indent=2)


def info_from_json(text: str | bytes) -> ModelInfo:
    """Read `fmnist.json`.

    Raises:
        CorruptModel: another layout version, or a field that is missing, unknown or of another type.
    """
    try:
        raw = json.loads(text)
        found = raw.get("layout_version") if isinstance(raw, dict) else None
        if found != MODEL_LAYOUT_VERSION:
            raise CorruptModel(
                f"{INFO_FILE} has layout version {found!r}, expected {MODEL_LAYOUT_VERSION}: use the release of fmnist "
                "that saved the model"
            )
        document = _Document.model_validate_json(text)
        return ModelInfo(
            architecture=document.architecture,
            normalization=document.normalization,
            class_names=document.class_names,
            lineage=document.lineage,
            metrics=document.metrics,
        )
    except (ValueError, RecursionError, CorruptData) as error:
        raise CorruptModel(f"{INFO_FILE} is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class GoldenBatch:
    """Images uint8 (n, 28, 28), and the probabilities float32 (n, classes) of the saved ONNX form for them."""

    images: Images
    probabilities: Probabilities

    @classmethod
    def of(cls, classifier: Classifier, images: Images) -> Self:
        """Make the batch from the classifier's probabilities for the images."""
        return cls(images, _probabilities(classifier, images))

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read `golden.npz`.

        Raises:
            CorruptModel: an array is missing, or has the wrong shape or dtype.
        """
        try:
            _check_unpacked_size(content)
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(images_from_array(arrays["images"]), arrays["probabilities"])
        except Exception as error:
            # On untrusted bytes, zipfile, zlib and numpy raise many types.
            raise CorruptModel(f"{GOLDEN_FILE} is damaged: {error}") from error

    def to_bytes(self) -> bytes:
        """Write `golden.npz`."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=self.images, probabilities=self.probabilities)
        return buffer.getvalue()

    def check(self, classifier: Classifier, tolerance: float, who: str) -> None:
        """Compare the classifier's probabilities with the saved ones. Messages call the classifier `who`.

        Raises:
            CorruptModel: a probability differs by more than the tolerance, or is NaN.
        """
        found = _probabilities(classifier, self.images)
        if found.shape != self.probabilities.shape:
            raise CorruptModel(
                f"{who} gives probabilities of shape {found.shape} for the golden batch, expected "
                f"{self.probabilities.shape}"
            )
        difference = float(np.abs(found - self.probabilities).max())
        if not difference <= tolerance:
            raise CorruptModel(
                f"{who} predicts differently from the model when it was saved: a probability of the golden batch "
                f"differs by {difference:.2g}, expected at most {tolerance:g}"
            )


def read_description(folder: Path) -> tuple[ModelInfo, GoldenBatch]:
    """Read `fmnist.json` and the golden batch from the folder of a downloaded artifact.

    Raises:
        CorruptModel: a file is missing or damaged.
    """
    info, golden = (read_file(folder / FOLDER / name) for name in (INFO_FILE, GOLDEN_FILE))
    return info_from_json(info), GoldenBatch.from_bytes(golden)


def read_card(folder: Path) -> str | None:
    """Read the model card from the folder of a downloaded artifact; None if there is none.

    Raises:
        CorruptModel: it is too large.
    """
    file = folder / FOLDER / CARD_FILE
    # People read it: a damaged character is no reason to refuse the model.
    return read_file(file).decode(errors="replace") if file.exists() else None


def read_file(file: Path) -> bytes:
    """Read one of the files in `MAX_BYTES`.

    Raises:
        CorruptModel: it is missing or too large.
    """
    try:
        check_size(file.name, file.stat().st_size)
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise CorruptModel(
            f"{file.name} is missing: fmnist did not save this artifact, or saved only a part of it"
        ) from error


def check_size(name: str, size: int) -> None:
    """Check the size of a file against `MAX_BYTES`.

    Raises:
        CorruptModel: it is too large.
    """
    if size > MAX_BYTES[name]:
        raise CorruptModel(f"{name} has more than {MAX_BYTES[name]} bytes: fmnist saves no files of this size")


def _check_unpacked_size(golden: bytes) -> None:
    with ZipFile(io.BytesIO(golden)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > _GOLDEN_UNPACKED:
        raise ValueError(f"it unpacks to {unpacked} bytes, expected at most {_GOLDEN_UNPACKED}")


def _probabilities(classifier: Classifier, images: Images) -> Probabilities:
    return softmax(classifier.logits(classifier.info.normalization.apply(images)))
