"""The interface through which the HTTP application uses a model."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from fmnist.adapters.fastapi.batches import Answer, Watch
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Labelling, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ServingStatus


class Serving(Protocol):
    """Predicts with one model at a time, and tells its status. One event loop calls it; it must not block that loop."""

    @abstractmethod
    def status(self) -> ServingStatus:
        """Return the desired model, the serving model and the last error, from memory."""

    @abstractmethod
    def check_room(self) -> None:
        """Check that images may wait for the model.

        Raises:
            Problem: too many images wait already (429).
        """

    @abstractmethod
    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> Answer:
        """Classify a whole uint8 batch (n, 28, 28), n >= 1, with one model.

        Returns that model and the probabilities, float32 (n, classes). `watch` is called before. Without `request_id`
        the model that serves answers. With it, a canary may answer. Images that are no traffic, such as those of an
        explanation, are admitted alike, but counted nowhere.

        Raises:
            StoreUnavailable: no model serves yet.
            Problem: too many images wait already (429).
        """

    @abstractmethod
    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        """Note an answer with its probabilities float32 (n, classes), for feedback on it."""

    @abstractmethod
    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        """Accept true classes 0-9 of answers: all of them, or none if one is refused.

        Raises:
            Problem: the feedback does not answer (503), or the service takes none (404).
        """

    @abstractmethod
    async def drift(self) -> Drift:
        """Compare the recent traffic of the model that serves with its reference.

        Raises:
            StoreUnavailable: no model serves yet, or the windows of the replicas do not answer.
        """

    @abstractmethod
    async def canary(self) -> CanaryReport:
        """Compare the model that serves with a canary, over all replicas. Without a canary, say so.

        Raises:
            StoreUnavailable: the counts of the replicas do not answer.
        """

    @abstractmethod
    async def shadow(self) -> ShadowReport:
        """Compare the model that serves with its shadow, over all replicas. Without a shadow, say so.

        Raises:
            StoreUnavailable: the counts of the replicas do not answer.
        """
