"""The challenger of one replica: it answers a share of the requests, and is counted beside the champion."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.traffic.canary_report import CanaryState
from fmnist.domain.model.traffic.trial import Arm, Trial, TrialCounts
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ModelServing
from fmnist.domain.services.serving.unpublished import Unpublished
from fmnist.ports.tallies import Tallies


@dataclass(frozen=True, slots=True)
class _Running:
    canary: Canary
    serving: ModelServing

    @property
    def model(self) -> ServedModel | None:
        """The challenger's model, once it is loaded. Nothing else may take its place."""
        model = self.serving.current
        return model if model is not None and model.version.uri == self.canary.model_uri else None


@dataclass(frozen=True, slots=True)
class _Call:
    is_challenger: bool
    seconds: float  # for one image
    label: int | None  # the class of its first image; None for a call that failed


@dataclass(frozen=True, slots=True)
class Standing:
    """The canary that a replica follows and its state; the reason if the challenger does not answer, else its model."""

    canary: Canary | None
    state: CanaryState
    reason: str | None = None
    model: ServedModel | None = None


class Challenger:
    """The challenger of one replica, or none. Safe to call from many threads.

    Args:
        serving: makes what loads a challenger. It must share no state with the champion's.
        tallies: the counts of all replicas.
        clock: seconds since 1970 (UTC).
    """

    def __init__(
        self, serving: Callable[[], ModelServing], tallies: Tallies[TrialCounts], clock: Callable[[], float] = time.time
    ) -> None:
        self._serving = serving
        self._tallies = tallies
        self._clock = clock
        self._running: _Running | None = None
        self._lock = threading.Lock()
        self._calls: dict[Trial, list[_Call]] = {}
        self._began: dict[Trial, int] = {}
        self._unpublished = Unpublished[Trial, TrialCounts](TrialCounts.joined)

    @property
    def canary(self) -> Canary | None:
        """The canary that this replica follows."""
        running = self._running
        return None if running is None else running.canary

    def expect(self, canary: Canary | None) -> Callable[[], None]:
        """Follow this canary from now on, and return what loads its model, which blocks.

        Without a canary, or with one of 0 %, the champion answers everything. A new share needs no new model.
        """
        before = self._running
        if canary is None or not canary.percent:
            self._running = None
        elif before is not None and before.canary.model_uri == canary.model_uri:
            self._running = _Running(canary, before.serving)
        else:
            running = self._running = _Running(canary, self._serving())
            return running.serving.expect(canary.model_uri)
        return lambda: None

    def poll(self) -> None:
        """Load the model again if that failed for a reason that may pass."""
        if (running := self._running) is not None:
            running.serving.poll(None)

    def choose(self, request_id: str) -> ServedModel | None:
        """Return the challenger's model if it is to answer this request, or None for the champion."""
        running = self._running
        return running.model if running is not None and running.canary.takes(request_id) else None

    def note(
        self, champion_uri: str, model: ServedModel, labels: npt.NDArray[np.int64] | None, seconds: float = 0.0
    ) -> None:
        """Note a call of champion or challenger: its classes int64 (n,) and its time. None: it failed."""
        running = self._running
        if running is None or running.model is None:  # this replica compares nothing yet
            return
        trial = Trial(champion_uri, running.canary.model_uri, running.canary.percent)
        is_challenger = model is running.model
        call = _Call(is_challenger, 0, None)
        if labels is not None:
            call = _Call(is_challenger, seconds / len(labels), int(labels[0]))
        with self._lock:
            self._calls.setdefault(trial, []).append(call)
            self._began.setdefault(trial, int(self._clock()))

    def publish(self) -> None:
        """Hand all counts to those of all replicas.

        Raises:
            StoreUnavailable: they do not answer. The next call tries again.
        """
        with self._lock:
            calls, self._calls = self._calls, {}
            began, self._began = self._began, {}
        for trial, each in calls.items():
            self._unpublished.add(trial, _counts(each, began[trial]))
        self._unpublished.publish(self._tallies.add)

    def total(self, trial: Trial) -> TrialCounts:
        """Publish, and return the counts of all replicas; raises as `publish` does."""
        self.publish()
        return self._tallies.total(trial)

    def standing(self) -> Standing:
        """Return what this replica does, all of the same moment."""
        running = self._running
        if running is None:
            return Standing(None, CanaryState.NONE)
        if (model := running.model) is not None:
            return Standing(running.canary, CanaryState.RUNNING, model=model)
        status = running.serving.status
        state = CanaryState.LOADING if status.refused is None else CanaryState.FAILED
        return Standing(running.canary, state, status.reload_error)


def _counts(calls: list[_Call], began: int) -> TrialCounts:
    champion, challenger = (
        _arm([call for call in calls if call.is_challenger is is_challenger]) for is_challenger in (False, True)
    )
    return TrialCounts(champion=champion, challenger=challenger, began=began)


def _arm(calls: list[_Call]) -> Arm:
    answered = [(call.seconds, call.label) for call in calls if call.label is not None]
    return Arm.of([seconds for seconds, _ in answered], [label for _, label in answered], len(calls) - len(answered))
