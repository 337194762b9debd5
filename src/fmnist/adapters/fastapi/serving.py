"""What the HTTP application asks of whoever serves a model. It never learns who that is."""

from abc import abstractmethod
from typing import Protocol

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ServingStatus


class Serving(Protocol):
    """Answers with one model at a time, and tells how it stands. Asked from one event loop, which it never blocks."""

    @abstractmethod
    def status(self) -> ServingStatus:
        """Return what was asked for, what serves, and what went wrong; at once, from memory."""

    @abstractmethod
    async def answer(self, images: Images) -> tuple[ServedModel, Probabilities]:
        """Classify a uint8 batch (n, 28, 28), n >= 1, whole, with one model.

        Returns that model, and probabilities float32 (n, classes).

        Raises:
            StoreUnavailable: no model serves yet.
        """
