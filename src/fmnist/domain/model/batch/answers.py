"""Answers for many rows, on their way from a model to a file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.image_rows import InputPart, UnreadableRow
from fmnist.domain.model.errors import CorruptData
from fmnist.domain.model.evaluation.metrics import Probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRows:
    """Consecutive rows of a part as in `ImageRows`, with the model's answers in place of the images.

    Attributes:
        part: name of the part.
        probabilities: float32 (n, classes).
        is_last: whether the part ends with these rows.
    """

    part: str
    rows: npt.NDArray[np.int64]
    paths: tuple[str | None, ...] | None
    labels: Labels | None
    ids: Mapping[str, tuple[object, ...]]
    unreadable: tuple[UnreadableRow, ...]
    probabilities: Probabilities
    is_last: bool


@dataclass(slots=True)
class PartCount:
    """Counts the rows of one part while they pass by, and checks that none is missing or answered twice.

    Attributes:
        rows: rows of the part so far, with unreadable ones.
        unreadable: unreadable rows so far.
        labeled: whether there are answered rows with labels.
    """

    part: InputPart
    rows: int = 0
    unreadable: int = 0
    labeled: bool = False

    def passing(self, answers: Iterable[AnsweredRows]) -> Iterator[AnsweredRows]:
        """Yield the answers of this part, and stop after its last row.

        Raises:
            CorruptData: the counts do not add up: a row is missing, out of order or of another part.
        """
        for answered in answers:
            self._count(answered)
            yield answered
            if answered.is_last:
                break
        else:
            raise CorruptData(f"the answers for {self.part.uri} end after row {self.rows}, before the part ends")
        if self.part.rows not in {None, self.rows}:
            raise CorruptData(
                f"{self.part.uri} has {self.part.rows} rows, but {self.rows} were read: the counts must add up; check "
                "that nobody writes to it"
            )

    def _count(self, answered: AnsweredRows) -> None:
        places = np.sort(np.append(answered.rows, [each.row for each in answered.unreadable]))
        if answered.part != self.part.name or not np.array_equal(places, self.rows + np.arange(len(places))):
            raise CorruptData(
                f"the answers for {self.part.uri} are not its rows from {self.rows} on: {len(places)} rows of "
                f"{answered.part} came instead"
            )
        self.rows += len(places)
        self.unreadable += len(answered.unreadable)
        self.labeled = self.labeled or bool(answered.labels is not None and len(answered.labels))
