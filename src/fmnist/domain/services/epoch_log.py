"""Writes a run's epochs to the tracker, each exactly once however often training is interrupted and repeated."""

from collections.abc import Mapping, Sequence

from fmnist.ports.tracker import Tracker


class EpochLog:
    """The per-epoch metrics of one run. What the tracker already holds is read back first, and not written again.

    A repeated epoch gives the same figures (training is deterministic), so the first record of it is as good as the
    second.
    """

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self._tracker = tracker
        self._run_id = run_id
        recorded = tracker.get(run_id).history.get("val_acc", ())
        self._logged = {step for step, _ in recorded}

    def write(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log every epoch of `history` that is not in the tracker yet, with the epoch as its step."""
        for epoch, metrics in enumerate(history):
            if epoch not in self._logged:
                self._tracker.log(self._run_id, metrics=metrics, step=epoch)
                self._logged.add(epoch)
