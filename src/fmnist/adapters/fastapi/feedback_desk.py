"""The feedback of a replica: it notes answers, accepts true classes, and tells the accuracy, if it can in time."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fmnist.adapters.fastapi.metrics import FeedbackMetrics, Meter
from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.feedback import Labelling, RealizedAccuracy, TrueClass
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ServedModel

_RETRY_SECONDS = "15"
_ACCURACY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class FeedbackDesk:
    """The feedback of one replica, or none of it without `given`."""

    def __init__(self, given: GivenAnswers | None, meter: Meter) -> None:
        self._given = given
        self._metrics = FeedbackMetrics(meter)
        # Threads of its own: a place that hangs must not take those that decode images.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="feedback")

    @property
    def is_open(self) -> bool:
        """Whether there is feedback."""
        return self._given is not None

    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        """Note an answer with its probabilities float32 (n, classes)."""
        if self._given is not None:
            self._given.note(request_id, model.version.uri, rows)

    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        """Accept true classes, all of them or none.

        Raises:
            Problem: the feedback does not answer (503), or there is none (404).
        """
        if self._given is None:
            raise Problem(404, "not_found", "this service takes no feedback")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._given.label, given)
        except StoreUnavailable as error:
            logger.warning("feedback is refused: %s", error)
            detail = "the place of the feedback does not answer: send it again later"
            raise Problem(503, "feedback_unavailable", detail, {"retry-after": _RETRY_SECONDS}) from error

    async def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        """Return the accuracy as `GivenAnswers` does. It is None also if the place does not answer in time."""
        if self._given is None:
            return None
        asked = asyncio.get_running_loop().run_in_executor(self._threads, self._given.accuracy, model_uri, since)
        try:
            return await asyncio.wait_for(asked, _ACCURACY_SECONDS)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("the realized accuracy is unknown: %s", error or "the place does not answer")
            return None

    def publish(self, model: ServedModel | None) -> None:
        """Hand over all answers, and set the metrics of this model, if there is one.

        Raises:
            StoreUnavailable: the place does not answer. The next call tries again.
        """
        if self._given is not None:
            self._given.publish()
            if model is not None:
                self._metrics.set(model.version.uri, self._given.accuracy(model.version.uri))
