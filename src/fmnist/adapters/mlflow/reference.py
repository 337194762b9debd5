"""`reference.json` in a model artifact: the sketch of `val`, written and strictly read back."""

from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from fmnist.adapters.mlflow.artifact import FOLDER, REFERENCE_FILE, read_file
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.traffic.sketch import EDGES, Sketch, Statistic

_LAYOUT = 1  # raise it with the edges of the bins or the statistics


class _Layout(BaseModel):
    layout: int = 0


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    layout: int = _LAYOUT
    images: PositiveInt
    confidence: NonNegativeInt
    variance: NonNegativeInt
    counts: dict[Statistic, tuple[NonNegativeInt, ...]]


def reference_to_json(sketch: Sketch) -> str:
    """Write `reference.json`."""
    return _Document(**asdict(sketch)).model_dump_json(indent=2)


def read_reference(folder: Path) -> Sketch | None:
    """Read it from the folder of a downloaded artifact; None if there is none, or one of another layout.

    Raises:
        CorruptModel: the file is damaged.
    """
    file = folder / FOLDER / REFERENCE_FILE
    if not file.exists():
        return None
    content = read_file(file)
    try:
        if _Layout.model_validate_json(content).layout != _LAYOUT:
            return None
        document = _Document.model_validate_json(content)
    except ValidationError as error:
        raise CorruptModel(f"{REFERENCE_FILE} is damaged: {error}") from error
    for statistic, edges in EDGES.items():
        counts = document.counts.get(statistic, ())
        if len(counts) != len(edges) - 1 or sum(counts) != document.images:
            raise CorruptModel(f"{REFERENCE_FILE} is damaged: {statistic} has {len(counts)} bins, {sum(counts)} images")
    return Sketch(**document.model_dump(exclude={"layout"}))
