"""The service behind the HTTP application, the same in both hosts: it batches requests and keeps its model up to date.

A bad configuration or a store that is down must never stop it. The status holds the error, and the current model keeps
serving.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fmnist.adapters.fastapi.batches import Answer, BatchQueue, Purpose, Watch
from fmnist.adapters.fastapi.feedback_desk import FeedbackDesk
from fmnist.adapters.fastapi.metrics import (
    CanaryMetrics,
    DriftMetrics,
    Meter,
    ServingMetrics,
    ShadowMetrics,
)
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.repeated import repeat
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptModel, StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities, softmax
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.traffic.canary_report import ArmReport, CanaryReport
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Labelling, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.model.traffic.trial import Arm, Trial
from fmnist.domain.services.serving.challenger import Challenger
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver, ServingStatus
from fmnist.domain.services.serving.shadow import Shadow, ShadowObserver
from fmnist.domain.services.serving.traffic import Traffic

ShadowMaker = Callable[[Callable[[], bool], ShadowObserver, str], Shadow]
"""Makes the shadow of a deploy: whether no caller waits, what observes it, and the URI of its model."""

_RETRY_SECONDS = 15.0
_PUBLISH_SECONDS = 5.0
_JUDGED_EVERY = 6  # times of publishing


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
        challenger: answers the share of a canary; None if there is never one.
    """

    def __init__(
        self,
        serving: Callable[[ReloadObserver], ModelServing],
        meter: Meter,
        settings: ReplicaSettings,
        traffic: Traffic | None,
        given: GivenAnswers | None = None,
        make_shadow: ShadowMaker | None = None,
        challenger: Challenger | None = None,
    ) -> None:
        self._serving = serving(self._note_reload)
        self._metrics = ServingMetrics(meter)
        self._drift_metrics = DriftMetrics(meter)
        self._traffic = traffic
        self._feedback = FeedbackDesk(given, meter)
        self._shadow_metrics = ShadowMetrics(meter)
        self._make_shadow = make_shadow
        self._shadow: Shadow | None = None
        self._canary_metrics = CanaryMetrics(meter)
        self._challenger = challenger
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

    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> Answer:
        chosen = None
        if self._challenger is not None and request_id is not None:
            chosen = self._challenger.choose(request_id)
        return await self._queue.answer(images, watch, Purpose(chosen, is_traffic))

    async def drift(self) -> Drift:
        if self._traffic is None:
            raise Problem(404, "not_found", "this service keeps no window of its traffic")
        drift = await asyncio.to_thread(self._traffic.judge, self._model())
        return replace(drift, realized=await self._feedback.accuracy(drift.model_uri))

    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        self._feedback.note(request_id, model, rows)

    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        return await self._feedback.label(given)

    async def shadow(self) -> ShadowReport:
        shadow = self._shadow
        if shadow is None:
            return ShadowReport(model_uri=self._serving.status.served_uri)
        return await asyncio.to_thread(shadow.report, self._serving.current)

    async def canary(self) -> CanaryReport:
        challenger, champion = self._challenger, self._serving.current
        if challenger is None or champion is None:
            return CanaryReport()
        standing, uri = challenger.standing(), champion.version.uri
        canary, model = standing.canary, standing.model
        if canary is None:
            return CanaryReport()
        counts = await asyncio.to_thread(challenger.total, Trial(uri, canary.model_uri, canary.percent))
        report = CanaryReport(
            state=str(standing.state),
            reason=standing.reason,
            model_uri=uri,
            challenger_uri=canary.model_uri,
            percent=canary.percent,
            began=counts.began,
        )
        if model is None:
            return report
        shadow = await self.shadow()
        is_pair = (shadow.model_uri, shadow.shadow_uri) == (uri, canary.model_uri)
        return replace(
            report,
            champion=await self._arm(champion, counts.champion, counts.began),
            challenger=await self._arm(model, counts.challenger, counts.began),
            compared=shadow.images if is_pair else 0,
            agreed=sum(each.agreed for each in shadow.classes) if is_pair else 0,
        )

    async def _arm(self, model: ServedModel, arm: Arm, began: int | None) -> ArmReport:
        drift = None if self._traffic is None else await asyncio.to_thread(self._traffic.judge, model)
        realized = await self._feedback.accuracy(model.version.uri, 1000 * (began or 0))
        return ArmReport.of(model.version.uri, arm, drift, realized)

    def deploy(self, uri: str | None, shadow_uri: str | None = None) -> None:
        """Load and serve a model; None is the newest version. It blocks. The result is in the status.

        Then load the shadow, if there is one. It does not wait for that.
        """
        self.expect(uri, shadow_uri)()

    def expect(self, uri: str | None, shadow_uri: str | None, canary: Canary | None = None) -> Callable[[], None]:
        """Begin a deploy, which supersedes all earlier ones, and return what loads its models. It does not block."""
        shadow, before = None, self._shadow
        if shadow_uri is not None and self._make_shadow is not None:
            shadow = self._make_shadow(lambda: self._queue.is_idle, self._shadow_metrics.add, shadow_uri)
        self._shadow = shadow
        if before is not None:
            before.end()
        loads = [self._serving.expect(uri)]
        if self._challenger is not None:
            # In a thread of its own: the champion must not wait for it.
            follow = self._challenger.expect(canary)
            loads.append(threading.Thread(target=follow, name="challenger", daemon=True).start)
        if shadow is not None:
            loads.append(shadow.start)

        def load() -> None:
            for each in loads:
                each()

        return load

    def keep_up(self) -> None:
        """Start a thread that follows an alias, and repeats a load that failed for a temporary reason.

        Others publish the traffic, the comparisons with shadow and canary, and the answers.
        """
        repeat("keep up", self._poll_seconds or _RETRY_SECONDS, {"checking for a newer model": self._poll})
        published = {
            "publishing the shadow": self._publish_shadow,
            "publishing the canary": self._publish_canary,
            "publishing the window of traffic": self._publish_traffic,
        }
        repeat("traffic", _PUBLISH_SECONDS, published)
        if self._feedback.is_open:
            repeat("answers", _PUBLISH_SECONDS, {"publishing the answers": self._publish_answers})

    def _poll(self, _: int) -> None:
        self._serving.poll(self._poll_seconds)
        if self._challenger is not None:
            self._challenger.poll()

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

    def _publish_canary(self, _: int) -> None:
        if self._challenger is not None:
            self._canary_metrics.set(self._challenger.canary)
            self._challenger.publish()

    def _publish_answers(self, times: int) -> None:
        self._feedback.publish(None if times % _JUDGED_EVERY else self._serving.current)

    def _note_reload(self, uri: str, error: str | None) -> None:
        self._metrics.reload(uri, error)
        self._queue.forget_speed()

    def _classify(self, images: Images, purpose: Purpose) -> Answer:
        model = purpose.model or self._model()
        try:
            logits = _finite_logits(model, images)
        except Exception:
            if purpose.is_traffic:
                self._note_call(model, None)
            raise
        if purpose.is_traffic and self._traffic is not None:
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
        self._note_call(model, probabilities, seconds)
        if self._shadow is not None and model is self._serving.current:
            self._shadow.note(model, images, probabilities, seconds, is_busy=self._queue.has_waiting)

    def _note_call(self, model: ServedModel, probabilities: Probabilities | None, seconds: float = 0.0) -> None:
        challenger, champion = self._challenger, self._serving.current
        if challenger is None or challenger.canary is None or champion is None:
            return
        labels = None if probabilities is None else probabilities.argmax(axis=1)
        challenger.note(champion.version.uri, model, labels, seconds)


def _finite_logits(model: ServedModel, images: Images) -> npt.NDArray[np.float32]:
    logits = model.prediction.logits(images)
    if not np.isfinite(logits).all():
        raise CorruptModel(f"{model.version.uri} gives logits that are not finite")
    return logits
