"""Writes a run's epochs to the tracker, each exactly once however often training is interrupted and repeated."""

import logging
from collections.abc import Mapping, Sequence

from fmnist.domain.model.errors import FmnistError
from fmnist.ports.tracker import Tracker

logger = logging.getLogger(__name__)


class EpochLog:
    """The per-epoch metrics of one run. What the tracker already holds is read back first, and not written again.

    A repeated epoch gives the same figures (on a GPU, almost), so the first record of it is as good as the
    second, and a late one as good as one in time.
    """

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self._tracker = tracker
        self._run_id = run_id
        self._logged: set[int] = set()
        self._is_sure = False

    def write(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log every epoch of `history` that is not in the tracker yet, with the epoch as its step.

        Raises:
            FmnistError: the tracker does not take it. What it did take is not written again by the next call.
        """
        if not self._is_sure:
            self._logged |= {step for step, _ in self._tracker.history(self._run_id, "val_acc")}
        for epoch, metrics in enumerate(history):
            if epoch not in self._logged:
                self._is_sure = False  # a call that fails may have been heard all the same: the next one looks first
                self._tracker.log(self._run_id, metrics=metrics, step=epoch)
                self._logged.add(epoch)
        self._is_sure = True

    def attempt(self, history: Sequence[Mapping[str, float]]) -> tuple[int, ...]:
        """Do as `write` does, but let training go on without the tracker.

        Return the epochs that could not be recorded; the next call, or the run's end, records them.
        """
        try:
            self.write(history)
        except FmnistError as error:
            missing = tuple(epoch for epoch in range(len(history)) if epoch not in self._logged)
            logger.debug("epochs %s of run %s are not recorded yet: %s", missing, self._run_id, error)
            return missing
        return ()
