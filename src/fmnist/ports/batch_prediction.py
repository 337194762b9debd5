"""A model at work on many input files: it answers their rows in order, on some hardware."""

from abc import abstractmethod
from collections.abc import Generator, Sequence
from typing import Protocol

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory


class BatchPrediction(Protocol):
    """Reads and answers parts. Reading, answering and the caller's own work overlap."""

    @abstractmethod
    def answer(
        self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
    ) -> Generator[AnsweredRows]:
        """Yield answers for the rows of the parts, in the order of the parts and of their rows.

        At least one item is of each part, and the last one of a part says so. The memory does not grow with the number
        of rows. The work stops when the iterator is closed.

        Raises:
            InvalidImages, StoreUnavailable: a part cannot be read. All rows of the parts before it were answered.
            CorruptModel: the model does not load, or does not answer.
            StoreUnavailable: the cluster does not start or answer.
        """
