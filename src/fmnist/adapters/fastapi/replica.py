"""The service behind the HTTP application, the same in both hosts: it batches requests and keeps its model up to date.

A bad configuration or a store that is down must never stop it. The status holds the error, and the current model keeps
serving.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from fmnist.adapters.fastapi.batches import Answer, BatchQueue, Watch
from fmnist.adapters.fastapi.metrics import DriftMetrics, FeedbackMetrics, Meter, ServingMetrics, ShadowMetrics
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import FmnistError, StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities, softmax
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Labelling, RealizedAccuracy, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ServedModel, short_reason
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver, ServingStatus
from fmnist.domain.services.serving.shadow import Shadow, ShadowObserver
from fmnist.domain.services.serving.traffic import Traffic

ShadowMaker = Callable[[Callable[[], bool], ShadowObserver, str], Shadow]
"""Makes the shadow of a deploy: whether no caller waits, what observes it, and the URI of its model."""

_RETRY_SECONDS = 15.0
_PUBLISH_SECONDS = 5.0
_JUDGED_EVERY = 6  # times of publishing
_FEEDBACK_RETRY = "15"
_ACCURACY_SECONDS = 2.0

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
        given: notes what goes out; None takes no feedback.
        make_shadow: makes the shadow of a deploy with one; None if there is never one.
    """

    def __init__(
        self,
        serving: Callable[[ReloadObserver], ModelServing],
        meter: Meter,
        settings: ReplicaSettings,
        traffic: Traffic | None,
        given: GivenAnswers | None = None,
        make_shadow: ShadowMaker | None = None,
    ) -> None:
        self._serving = serving(self._note_reload)
        self._metrics = ServingMetrics(meter)
        self._drift_metrics = DriftMetrics(meter)
        self._traffic = traffic
        self._feedback_metrics = FeedbackMetrics(meter)
        self._given = given
        # Threads of its own: a place that hangs must not take those that decode images.
        self._labelling = ThreadPoolExecutor(max_workers=2, thread_name_prefix="feedback")
        self._shadow_metrics = ShadowMetrics(meter)
        self._make_shadow = make_shadow
        self._shadow: Shadow | None = None
        self._faults: dict[str, str] = {}  # the last reason why each kind of publishing failed
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

    async def answer(self, images: Images, watch: Watch | None = None, *, is_traffic: bool = True) -> Answer:
        return await self._queue.answer(images, watch, is_traffic=is_traffic)

    async def drift(self) -> Drift:
        if self._traffic is None:
            raise Problem(404, "not_found", "this service keeps no window of its traffic")
        drift = await asyncio.to_thread(self._traffic.judge, self._model())
        return replace(drift, realized=await self._realized(drift.model_uri))

    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        if self._given is not None:
            self._given.note(request_id, model.version.uri, rows)

    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        if self._given is None:
            raise Problem(404, "not_found", "this service takes no feedback")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._labelling, self._given.label, given)
        except StoreUnavailable as error:
            logger.warning("feedback is refused: %s", error)
            detail = "the place of the feedback does not answer: send it again later"
            raise Problem(503, "feedback_unavailable", detail, {"retry-after": _FEEDBACK_RETRY}) from error

    async def _realized(self, model_uri: str) -> RealizedAccuracy | None:
        if self._given is None:
            return None
        asked = asyncio.get_running_loop().run_in_executor(self._labelling, self._given.accuracy, model_uri)
        try:
            return await asyncio.wait_for(asked, _ACCURACY_SECONDS)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("the realized accuracy is unknown: %s", error or "the place does not answer")
            return None

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

        Another one publishes the traffic and the comparison with the shadow, and a third one the answers.
        """
        threading.Thread(target=self._keep_up, name="keep up", daemon=True).start()
        threading.Thread(target=self._publish, name="traffic", daemon=True).start()
        if self._given is not None:
            threading.Thread(target=self._hand_over, name="answers", daemon=True).start()

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
                self._attempt(what, publish, times)

    def _attempt(self, what: str, publish: Callable[[int], None], times: int) -> None:
        try:
            publish(times)
            self._faults.pop(what, None)
        except Exception as error:
            reason = short_reason(error)
            if self._faults.get(what) != reason:
                self._faults[what] = reason
                unforeseen = None if isinstance(error, FmnistError) else error
                text = "the %s is not up to date, and is tried every %g s: %s"
                logger.warning(text, what, _PUBLISH_SECONDS, reason, exc_info=unforeseen)

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

    def _hand_over(self) -> None:
        for times in itertools.count(1):
            time.sleep(_PUBLISH_SECONDS)
            self._attempt("feedback", self._publish_answers, times)

    def _publish_answers(self, times: int) -> None:
        assert self._given is not None
        self._given.publish()
        model = self._serving.current
        if model is not None and not times % _JUDGED_EVERY:
            self._feedback_metrics.set(model.version.uri, self._given.accuracy(model.version.uri))

    def _note_reload(self, uri: str, error: str | None) -> None:
        self._metrics.reload(uri, error)
        self._queue.forget_speed()

    def _classify(self, images: Images, is_traffic: bool) -> Answer:  # noqa: FBT001 - a callback of the queue
        model = self._model()
        logits = model.prediction.logits(images)
        if is_traffic and self._traffic is not None:
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
