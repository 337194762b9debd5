"""A second model that answers the same images after the callers have their answers, in the time that is left.

It must never delay a caller, a reload or the end of the service. So it drops images, and is switched off if it fails.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from fmnist.domain.model.data.images import CLASS_NAMES, Images
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.domain.model.traffic.shadow_report import ShadowReport, ShadowState
from fmnist.domain.services.serving.load import ServedModel, short_reason
from fmnist.domain.services.serving.reload import ModelServing
from fmnist.domain.services.serving.unpublished import Unpublished
from fmnist.ports.tallies import Tallies

_PIECE = 64  # images between two looks whether callers wait
_PAUSE_SECONDS = 0.002
# Images of several requests are answered together: one by one, they would cost the callers most of the processor.
_GATHER_SECONDS = 0.05
_RETRY_SECONDS = 15.0

ShadowObserver = Callable[[Pair, Agreement], None]
"""Called with each piece of a comparison, also with dropped images. Must not raise."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowLimits:
    """Limits of a shadow.

    Attributes:
        queue: most images that wait for the shadow, beside one batch.
        seconds: longest time for a piece of at most 64 images.
        judged: number of images after which a shadow is too slow if its queue refused more of them than it answered.
    """

    queue: int = 4000
    seconds: float = 10.0
    judged: int = 10_000


@dataclass(frozen=True, slots=True)
class _Batch:
    model: ServedModel
    images: Images
    probabilities: Probabilities
    seconds: float

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """Join batches of one model."""
        return cls(
            batches[0].model,
            np.concatenate([batch.images for batch in batches]),
            np.concatenate([batch.probabilities for batch in batches]),
            sum(batch.seconds for batch in batches),
        )


class Shadow:
    """One deployment of a shadow in one replica. Safe to call from many threads.

    Its thread works only while the model has nothing to do. It has the usual priority of the system: at nice 19, it
    kept Python's lock from callers for longer, and their p99 rose by half on a busy machine.

    Args:
        serving: loads the shadow as a model that serves. It must share no state with the service's own.
        is_idle: whether no caller waits for the model. Must not block.
        uri: the desired model. An alias is looked up once.
    """

    def __init__(
        self,
        serving: ModelServing,
        agreements: Tallies[Agreement],
        is_idle: Callable[[], bool],
        observe: ShadowObserver,
        uri: str,
        limits: ShadowLimits = ShadowLimits(),
    ) -> None:
        self._serving = serving
        self._agreements = agreements
        self._is_idle = is_idle
        self._observe = observe
        self._limits = limits
        self._uri = uri
        # Guards what follows. A caller's thread takes it, so it is never held for long.
        self._changed = threading.Condition()
        self._state = ShadowState.LOADING
        self._reason: str | None = None
        self._batches: deque[_Batch] = deque()
        self._waiting = self._answered = self._refused = 0
        self._dropped: dict[str, int] = {}
        self._ended = threading.Event()
        self._began: float | None = None  # the piece that the shadow answers now
        self._model_uri = ""  # the version that it is compared with
        self._unpublished = Unpublished[Pair, Agreement](Agreement.joined)

    @property
    def uri(self) -> str:
        """The version, once it is loaded. Before, the desired model."""
        return self._uri

    @property
    def is_running(self) -> bool:
        """Whether it compares."""
        return self._state is ShadowState.RUNNING

    def start(self) -> None:
        """Load and compare in a thread of its own. Do nothing after `end`."""
        if not self._ended.is_set():
            threading.Thread(target=self._work, name="shadow", daemon=True).start()

    def end(self, reason: str | None = None) -> None:
        """Switch it off for good, also while it hangs."""
        with self._changed:
            if self._ended.is_set():
                return
            self._ended.set()
            self._state, self._reason = ShadowState.OFF, reason
            self._batches.clear()
            self._changed.notify_all()
        if reason is not None:
            logger.error("shadow %s is switched off: %s", self._uri, reason)

    def note(
        self, model: ServedModel, images: Images, probabilities: Probabilities, seconds: float, *, is_busy: bool
    ) -> None:
        """Note images uint8 (n, 28, 28), and the probabilities float32 (n, classes) that `model` gave in `seconds`.

        It never waits for the shadow. The images are dropped if callers wait (`is_busy`) or the queue is full.
        """
        if self._state is not ShadowState.RUNNING:
            return
        size, uri = len(images), model.version.uri
        with self._changed:
            if self._ended.is_set():
                return
            is_full = bool(self._waiting) and self._waiting + size > self._limits.queue
            if is_busy or is_full:
                self._dropped[uri] = self._dropped.get(uri, 0) + size
                # A shadow that waits for its turn is not slow.
                self._refused += 0 if is_busy or self._began is None else size
                return
            self._waiting += size
            self._batches.append(_Batch(model, images, probabilities, seconds))
            self._changed.notify()

    def publish(self) -> None:
        """Hand the counts to all replicas, and switch a shadow off that hangs or is too slow.

        Raises:
            StoreUnavailable: the agreements do not answer. The next call tries again.
        """
        self._judge()
        with self._changed:
            dropped, self._dropped = self._dropped, {}
        for uri, images in dropped.items():
            self._count(uri, Agreement(dropped=images))
        self._unpublished.publish(self._agreements.add)

    def report(self, model: ServedModel | None) -> ShadowReport:
        """Publish, and return the comparison with the model that serves; raises as `publish` does."""
        self.publish()
        uri = None if model is None else model.version.uri
        return ShadowReport.of(
            Agreement() if uri is None else self._agreements.total(Pair(uri, self._uri)),
            state=self._state,
            reason=self._reason,
            model_uri=uri,
            shadow_uri=self._uri,
            class_names=CLASS_NAMES if model is None else model.prediction.info.class_names,
        )

    def _work(self) -> None:
        try:
            model = self._load()
            while model is not None and (batch := self._next()) is not None:
                self._compare(model, batch)
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            self._fail(short_reason(error))

    def _load(self) -> ServedModel | None:
        self._serving.deploy(self._uri)
        while True:
            status = self._serving.status
            # A model that served earlier may serve with an error. It is not the desired one.
            model = status.served if status.reload_error is None else None
            with self._changed:
                if self._ended.is_set():
                    return None
                self._reason = status.reload_error
                self._state = ShadowState.OFF if model is None else ShadowState.RUNNING
                if model is not None:
                    self._uri = model.version.uri
                    return model
            # A store that is down may come back. A version that is corrupt is not loaded again.
            self._ended.wait(_RETRY_SECONDS)
            self._serving.poll(None)

    def _next(self) -> _Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._ended.is_set())
            are_few = self._waiting < _PIECE
        if are_few:
            self._ended.wait(_GATHER_SECONDS)
        taken: list[_Batch] = []
        size = 0
        with self._changed:
            while self._batches and (not taken or self._is_next(taken[0], size)):
                taken.append(self._batches.popleft())
                size += len(taken[-1].images)
        return _Batch.joined(taken) if taken else None

    def _is_next(self, first: _Batch, size: int) -> bool:
        batch = self._batches[0]
        return batch.model.version.uri == first.model.version.uri and size + len(batch.images) <= _PIECE

    def _compare(self, model: ServedModel, batch: _Batch) -> None:
        size, uri = len(batch.images), batch.model.version.uri
        self._model_uri = uri
        if model.prediction.info.class_names != batch.model.prediction.info.class_names:
            raise CorruptModel(f"its class names differ from those of {uri}")
        for start in range(0, size, _PIECE):
            while not self._is_idle() and not self._ended.is_set():
                time.sleep(_PAUSE_SECONDS)
            if self._ended.is_set():
                return
            images, rows = batch.images[start : start + _PIECE], batch.probabilities[start : start + _PIECE]
            began = self._began = time.perf_counter()
            shadow = model.prediction.probabilities(images)
            seconds, self._began = time.perf_counter() - began, None
            if not np.isfinite(shadow).all():
                raise CorruptModel("it gives probabilities that are not finite")
            share = len(images) / size
            found = Agreement.of(rows, shadow, seconds=share * batch.seconds, shadow_seconds=seconds)
            with self._changed:
                if self._ended.is_set():  # the answer came too late
                    return
                self._waiting -= len(images)
                self._answered += len(images)
            self._count(uri, found)

    def _judge(self) -> None:
        began, limits = self._began, self._limits
        with self._changed:
            answered, refused = self._answered, self._refused
            if answered + refused >= limits.judged:
                self._answered = self._refused = 0
        if began is not None and time.perf_counter() - began > limits.seconds:
            self._fail(f"it takes longer than {limits.seconds:g} s for {_PIECE} images")
        elif refused > answered and answered + refused >= limits.judged:
            self._fail(f"too slow: its queue refused more than it answered, of {limits.judged} images or more")

    def _fail(self, reason: str) -> None:
        self.end(reason)
        if self._model_uri:
            self._count(self._model_uri, Agreement(faults=(reason,)))

    def _count(self, uri: str, found: Agreement) -> None:
        pair = Pair(uri, self._uri)
        self._unpublished.add(pair, found)
        self._observe(pair, found)
