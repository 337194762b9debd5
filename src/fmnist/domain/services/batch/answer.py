"""Reads a part piece by piece, and answers a piece. Both run where the compute runs them: in a thread or a worker."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import ImageRows, InputPart
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory

_NOTHING = ImageRows(np.empty((0, SIDE, SIDE), np.uint8), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of a part, by its name. `is_last` says whether the part ends with them."""

    part: str
    rows: ImageRows
    is_last: bool


def pieces(source: ImageSource, part: InputPart) -> Iterator[Piece]:
    """Read a part. At least one piece comes, the last one marked as such; it raises as `source.read`."""
    before = None
    for rows in source.read(part):
        if before is not None:
            yield Piece(part.name, before, is_last=False)
        before = rows
    yield Piece(part.name, _NOTHING if before is None else before, is_last=True)


class Answering:
    """Answers pieces with the classifier of a factory, which the first piece loads."""

    def __init__(self, classifier: ClassifierFactory) -> None:
        self._factory = classifier
        self._prediction: Prediction | None = None

    def __call__(self, piece: Piece) -> AnsweredRows:
        """Answer a piece.

        Raises:
            CorruptModel: the model does not load, or does not answer.
        """
        prediction = self._prediction = self._prediction or Prediction(self._factory())
        rows = piece.rows
        return AnsweredRows(
            part=piece.part,
            rows=rows.rows,
            paths=rows.paths,
            labels=rows.labels,
            ids=rows.ids,
            unreadable=rows.unreadable,
            probabilities=prediction.probabilities(rows.images),
            is_last=piece.is_last,
        )
