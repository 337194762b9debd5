"""The service behind the HTTP application, the same in both hosts: it batches requests and keeps its model up to date.

A bad configuration or a store that is down must never stop it. The status holds the error, and the current model keeps
serving.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fmnist.adapters.fastapi.batches import Answer, BatchQueue, Watch
from fmnist.adapters.fastapi.metrics import ServingMetrics
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver, ServingStatus

_RETRY_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings:
    """Settings of a replica.

    Attributes:
        max_batch: most images in one batch, and so in one request.
        max_waiting: most images that may wait for the model.
        max_seconds: longest time that images should wait for the model.
        poll_seconds: seconds between two checks whether an alias has moved; None is never.
    """

    max_batch: int
    max_waiting: int
    max_seconds: float
    poll_seconds: float | None


class Replica(Serving):
    """One process that answers with one model at a time.

    Args:
        serving: makes the domain's service from an observer of reloads.
    """

    def __init__(
        self, serving: Callable[[ReloadObserver], ModelServing], metrics: ServingMetrics, settings: ReplicaSettings
    ) -> None:
        self._serving = serving(self._note_reload)
        self._metrics = metrics
        self._poll_seconds = settings.poll_seconds
        self._queue = BatchQueue(
            self._classify,
            self._observe,
            max_batch=settings.max_batch,
            max_waiting=settings.max_waiting,
            max_seconds=settings.max_seconds,
        )

    def status(self) -> ServingStatus:
        return self._serving.status

    def check_room(self) -> None:
        self._queue.check_room()

    async def answer(self, images: Images, watch: Watch | None = None) -> Answer:
        return await self._queue.answer(images, watch)

    def deploy(self, uri: str | None) -> None:
        """Load and serve a model; None is the newest version. It blocks. The result is in the status."""
        self._serving.deploy(uri)

    def keep_up(self) -> None:
        """Start a thread that follows an alias, and repeats a load that failed for a temporary reason."""
        threading.Thread(target=self._keep_up, name="keep up", daemon=True).start()

    def _keep_up(self) -> None:
        pause = self._poll_seconds or _RETRY_SECONDS
        while True:
            time.sleep(pause)
            try:
                self._serving.poll(self._poll_seconds)
            except Exception:
                logger.exception("checking for a newer model failed; the next check is in %s s", pause)

    def _note_reload(self, uri: str, error: str | None) -> None:
        self._metrics.reload(uri, error)
        self._queue.forget_speed()

    def _classify(self, images: Images) -> Answer:
        model = self._serving.current
        if model is None:
            raise StoreUnavailable("no model serves yet")
        return model, model.prediction.probabilities(images)

    def _observe(self, answer: Answer, requests: int, seconds: float) -> None:
        model, probabilities = answer
        self._metrics.batch(model, requests, probabilities, 1000 * seconds)
