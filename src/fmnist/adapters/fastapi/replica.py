"""The service behind the HTTP application, the same in both hosts: it batches requests and keeps its model up to date.

A bad configuration or a store that is down must never stop it. The status holds the error, and the current model keeps
serving.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fmnist.adapters.fastapi.batches import Answer, BatchQueue
from fmnist.adapters.fastapi.metrics import DriftMetrics, Meter, ServingMetrics, ShadowMetrics
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.evaluation.metrics import softmax
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver, ServingStatus
from fmnist.domain.services.serving.shadow import Shadow, ShadowObserver
from fmnist.domain.services.serving.traffic import Traffic

ShadowMaker = Callable[[Callable[[], bool], ShadowObserver, str], Shadow]
"""Makes the shadow of a deploy: whether no caller waits, what observes it, and the URI of its model."""

_RETRY_SECONDS = 15.0
_PUBLISH_SECONDS = 5.0
_JUDGED_EVERY = 6  # times of publishing

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
        traffic: notes what comes in; None keeps no window.
        make_shadow: makes the shadow of a deploy with one; None if there is never one.
    """

    def __init__(
        self,
        serving: Callable[[ReloadObserver], ModelServing],
        meter: Meter,
        settings: ReplicaSettings,
        traffic: Traffic | None,
        make_shadow: ShadowMaker | None = None,
    ) -> None:
        self._serving = serving(self._note_reload)
        self._metrics = ServingMetrics(meter)
        self._drift_metrics = DriftMetrics(meter)
        self._traffic = traffic
        self._shadow_metrics = ShadowMetrics(meter)
        self._make_shadow = make_shadow
        self._shadow: Shadow | None = None
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

    async def answer(self, images: Images) -> Answer:
        return await self._queue.answer(images)

    async def drift(self) -> Drift:
        if self._traffic is None:
            raise Problem(404, "not_found", "this service keeps no window of its traffic")
        return await asyncio.to_thread(self._traffic.judge, self._model())

    async def shadow(self) -> ShadowReport:
        shadow = self._shadow
        if shadow is None:
            return ShadowReport(model_uri=self._serving.status.served_uri)
        return await asyncio.to_thread(shadow.report, self._serving.current)

    def deploy(self, uri: str | None, shadow_uri: str | None = None) -> None:
        """Load and serve a model; None is the newest version. It blocks. The result is in the status.

        Then load the shadow, if there is one. It does not wait for that.
        """
        shadow, before = None, self._shadow
        if shadow_uri is not None and self._make_shadow is not None:
            shadow = self._make_shadow(lambda: self._queue.is_idle, self._shadow_metrics.add, shadow_uri)
        self._shadow = shadow
        if before is not None:
            before.end()
        self._serving.deploy(uri)
        if shadow is not None:
            shadow.start()

    def keep_up(self) -> None:
        """Start a thread that follows an alias, and repeats a load that failed for a temporary reason.

        Another one publishes the traffic, and the comparison with the shadow.
        """
        threading.Thread(target=self._keep_up, name="keep up", daemon=True).start()
        threading.Thread(target=self._publish, name="traffic", daemon=True).start()

    def _keep_up(self) -> None:
        pause = self._poll_seconds or _RETRY_SECONDS
        while True:
            time.sleep(pause)
            try:
                self._serving.poll(self._poll_seconds)
            except Exception:
                logger.exception("checking for a newer model failed; the next check is in %s s", pause)

    def _publish(self) -> None:
        for times in itertools.count(1):
            time.sleep(_PUBLISH_SECONDS)
            for what, publish in (("shadow", self._publish_shadow), ("window of traffic", self._publish_traffic)):
                try:
                    publish(times)
                except Exception:
                    logger.exception("the %s is not up to date; the next try is in %s s", what, _PUBLISH_SECONDS)

    def _publish_traffic(self, times: int) -> None:
        if self._traffic is None:
            return
        model = self._serving.current
        if model is None or times % _JUDGED_EVERY:
            self._traffic.publish()
        else:
            self._drift_metrics.set(self._traffic.judge(model))

    def _publish_shadow(self, _: int) -> None:
        shadow = self._shadow
        try:
            if shadow is not None:
                shadow.publish()
        finally:
            self._shadow_metrics.set(shadow)

    def _note_reload(self, uri: str, error: str | None) -> None:
        self._metrics.reload(uri, error)
        self._queue.forget_speed()

    def _classify(self, images: Images) -> Answer:
        model = self._model()
        logits = model.prediction.logits(images)
        if self._traffic is not None:
            self._traffic.note(model, images, logits)
        return model, softmax(logits)

    def _model(self) -> ServedModel:
        model = self._serving.current
        if model is None:
            raise StoreUnavailable("no model serves yet")
        return model

    def _observe(self, images: Images, answer: Answer, requests: int, seconds: float) -> None:
        model, probabilities = answer
        self._metrics.batch(model, requests, probabilities, 1000 * seconds)
        if self._shadow is not None:
            self._shadow.note(model, images, probabilities, seconds, is_busy=self._queue.has_waiting)
