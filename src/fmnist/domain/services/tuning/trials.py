"""Trains the trials of a study, each as a run of its own under the study's run. No trial saves a model."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import InvalidSetting, TrainingFailed
from fmnist.domain.model.training.run import Progress, TrainingSpec, best_epoch
from fmnist.domain.model.tuning.trial import START, Trial, TrialState
from fmnist.domain.services.training.epoch_log import EpochLog
from fmnist.domain.services.tuning.crew import Stopped
from fmnist.ports.compute import Compute, FitResult
from fmnist.ports.study import Study
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)

STATE_TAG = "trial_state"
_STATUS = {
    TrialState.COMPLETE: RunStatus.FINISHED,
    TrialState.PRUNED: RunStatus.KILLED,
    TrialState.FAILED: RunStatus.FAILED,
}


class _Pruned(Exception):
    """The trial is too bad to continue."""


@dataclass(slots=True, kw_only=True)
class TrialRunner:
    """Trains trials, from several threads. One thread at a time uses the study and the tracker.

    Attributes:
        study_run: id and name of the study's run.
        tags: tags of each trial's run.
        spec: makes the specification of a trial.
        on_change: called with a trial when it begins, after each epoch and when it ends.
        discard: removes what the compute keeps of a run.
        clock: seconds of a steady clock.
        stop: ends all trials when it is set.
        lock: guards study, tracker and `running`.
        running: the trials that are being trained, by their run's id.
    """

    compute: Compute
    study: Study
    tracker: Tracker
    dataset: DatasetVersion
    study_run: tuple[str, str]
    tags: Mapping[str, str]
    spec: Callable[[Trial], TrainingSpec]
    on_change: Callable[[Trial], object]
    discard: Callable[[str], object]
    clock: Callable[[], float]
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    running: dict[str, Trial] = field(default_factory=dict)

    def work(self, next_trial: Callable[[], Trial | None]) -> None:
        """Train one trial after the other, until there is no next one.

        Raises:
            Stopped: `stop` was set.
            FmnistError: a trial cannot be trained or recorded. It stays in `running`.
        """
        while True:
            with self.lock:
                if self.stop.is_set():
                    raise Stopped
                if (trial := next_trial()) is None:
                    return
                run_id, log = self._begin(trial)
            self._train(run_id, log, trial)

    def _begin(self, trial: Trial) -> tuple[str, EpochLog]:
        """Start the trial's run, or take up the one that an earlier process left."""
        parent, study = self.study_run
        mark = {"trial_of": study, "trial": str(trial.number), "trial_seed": str(trial.seed)}
        if earlier := self.tracker.find(mark):
            run_id = earlier[0].run_id
            self.tracker.set_status(run_id, RunStatus.RUNNING)
        else:
            name = f"trial-{trial.number}" + (f"-seed-{trial.seed}" if trial.seed else "")
            run_id = self.tracker.start(name, {**self.tags, **mark}, self.dataset, parent)
        self.running[run_id] = trial
        self.tracker.log(run_id, params=self.spec(trial).params())
        self.on_change(trial)
        return run_id, EpochLog(self.tracker, run_id)

    def _train(self, run_id: str, log: EpochLog, trial: Trial) -> None:
        began, state, fit = self.clock(), TrialState.COMPLETE, None

        def hear(report: Progress) -> None:
            if self.stop.is_set():
                raise Stopped
            if report.metrics is None:
                return
            with self.lock:
                record(report)
                reached = self.running[run_id].after(report.epoch, report.metrics["val_acc"])
                self.running[run_id] = reached
                self.on_change(reached)
                # A repeat is never compared by halves, and neither is the start, which the result is about.
                if trial.seed == 0 and self.study.report(reached):
                    is_last = report.epoch + 1 == report.epochs
                    if trial.number != START and not is_last:
                        raise _Pruned

        record = log.watch(lambda _: None)
        try:
            fit = self.compute.fit(self.spec(trial), self.dataset, run_id, hear)
        except _Pruned:
            state = TrialState.PRUNED
        except (TrainingFailed, InvalidSetting) as error:
            if (trial.number, trial.seed) == (START, 0):
                raise
            state = TrialState.FAILED
            logger.warning("trial %d failed on seed %d: %s", trial.number, trial.seed, error)
        with self.lock:
            self._end(run_id, log, state, fit, self.clock() - began)

    def _end(self, run_id: str, log: EpochLog, state: TrialState, fit: FitResult | None, seconds: float) -> None:
        trial = replace(self.running[run_id], state=state, seconds=seconds)
        if fit is not None:
            # Readers of a run see the last value of a metric, so it must be that of the best epoch, as in training.
            chosen = fit.history[best_epoch(fit.history)]
            log.write([*fit.history, {**chosen, "training_seconds": fit.seconds}])
            # An earlier attempt may have done most of the work.
            seconds = max(seconds, fit.seconds)
            trial = replace(trial, accuracies=tuple(each["val_acc"] for each in fit.history), seconds=seconds)
        self.tracker.log(run_id, tags={STATE_TAG: state})
        self.tracker.set_status(run_id, _STATUS[state])
        # Told last: a trial that was not told is trained again, from its last checkpoint.
        self.study.tell(trial)
        del self.running[run_id]
        self.discard(run_id)
        self.on_change(trial)
