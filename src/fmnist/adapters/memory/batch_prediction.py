"""Batch prediction without threads: it reads and answers one piece at a time."""

from collections.abc import Generator, Sequence

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.services.batch.answer import Answering, pieces
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory


class MemoryBatchPrediction(BatchPrediction):
    """The simplest `BatchPrediction`."""

    def answer(
        self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
    ) -> Generator[AnsweredRows]:
        answering = Answering(classifier)
        for part in parts:
            for piece in pieces(source, part):
                yield answering(piece)
