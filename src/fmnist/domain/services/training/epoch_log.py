"""Records the epochs of a run, each exactly once, even if training is interrupted and repeated."""

import logging
from collections.abc import Mapping, Sequence

from fmnist.domain.model.errors import FmnistError
from fmnist.domain.model.training.run import Progress
from fmnist.ports.compute import OnProgress
from fmnist.ports.tracker import Tracker

logger = logging.getLogger(__name__)


class EpochLog:
    """Sends the metrics of a run's epochs to the tracker. Training continues while the tracker is unavailable.

    It first reads what the tracker has, and does not write that again. A repeated epoch gives the same metrics, or
    nearly the same on a GPU. So the first record of an epoch counts, and it may be late.
    """

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self._tracker = tracker
        self._run_id = run_id
        self._offered: dict[int, Mapping[str, float]] = {}
        self._logged: set[int] = set()
        self._is_sure = False

    def watch(self, on_progress: OnProgress) -> OnProgress:
        """Return an `on_progress` that records each finished epoch, and passes every report on.

        It logs when the tracker falls behind and when it catches up.
        """

        def watched(report: Progress) -> None:
            if report.metrics is not None:
                self._offer(report.epoch, report.metrics)
            on_progress(report)

        return watched

    def write(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log every epoch of `history` that is not in the tracker yet, with the epoch as its step.

        Raises:
            FmnistError: the tracker refused an epoch. The next call does not repeat those that it accepted.
        """
        # The last entry belongs to the chosen weights, and is not named as an epoch.
        self._offered |= dict(enumerate(history[:-1]))
        self._flush(dict(enumerate(history)))

    def __str__(self) -> str:
        """Return the epochs that the tracker lacks, counted from 1 as in the progress."""
        missing = sorted(self._offered.keys() - self._logged)
        if not missing:
            return ""
        numbers = ", ".join(str(epoch + 1) for epoch in missing)
        return f"the metrics of epoch{'s' if len(missing) > 1 else ''} {numbers}"

    def _offer(self, epoch: int, metrics: Mapping[str, float]) -> None:
        was_behind = bool(str(self))
        self._offered[epoch] = metrics
        try:
            self._flush(self._offered)
        except FmnistError as error:
            logger.debug("%s of run %s are not recorded yet: %s", str(self), self._run_id, error)
            if not was_behind:
                logger.warning(
                    "the tracker does not accept %s; training continues, and records them when the tracker is back",
                    str(self),
                )
        else:
            if was_behind:
                logger.info("the tracker is back, and has the metrics of all epochs so far")

    def _flush(self, epochs: Mapping[int, Mapping[str, float]]) -> None:
        if not self._is_sure:
            history = self._tracker.get(self._run_id).history
            self._logged |= {step for step, _ in history.get("val_acc", ())}
        for epoch, metrics in sorted(epochs.items()):
            if epoch not in self._logged:
                self._is_sure = False  # a failed call may have been recorded: the next one reads first
                self._tracker.log(self._run_id, metrics=metrics, step=epoch)
                self._logged.add(epoch)
        self._is_sure = True
