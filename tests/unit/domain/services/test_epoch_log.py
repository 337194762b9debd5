"""However often training is repeated, the tracker holds each epoch once."""

from collections.abc import Mapping

import pytest

from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.services.epoch_log import EpochLog

HISTORY = [{"val_acc": 0.5, "val_loss": 1.5}, {"val_acc": 0.7, "val_loss": 1.1}, {"val_acc": 0.6, "val_loss": 1.2}]


def test_each_epoch_is_logged_once_with_its_number_as_step() -> None:
    tracker = MemoryTracker()
    run_id = tracker.start("run", {})
    log = EpochLog(tracker, run_id)
    for epochs in (1, 2, 2, 3):
        log.write(HISTORY[:epochs])
    assert tracker.get(run_id).history == {
        "val_acc": ((0, 0.5), (1, 0.7), (2, 0.6)),
        "val_loss": ((0, 1.5), (1, 1.1), (2, 1.2)),
    }


def test_a_retry_in_another_process_logs_only_what_is_missing() -> None:
    tracker = MemoryTracker()
    run_id = tracker.start("run", {})
    EpochLog(tracker, run_id).write(HISTORY[:2])
    EpochLog(tracker, run_id).write(HISTORY)
    assert tracker.get(run_id).history["val_loss"] == ((0, 1.5), (1, 1.1), (2, 1.2))


class UnsteadyTracker(MemoryTracker):
    """A tracker that can be taken away, or go away by itself after so many calls."""

    calls_left: float = float("inf")

    def history(self, run_id: str, metric: str) -> tuple[tuple[int, float], ...]:
        self._answer()
        return super().history(run_id, metric)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        self._answer()
        super().log(run_id, params=params, tags=tags, metrics=metrics, step=step)

    def _answer(self) -> None:
        if self.calls_left < 1:
            raise StoreUnavailable("the tracker does not answer")
        self.calls_left -= 1


@pytest.mark.parametrize(("calls", "missing"), [(0, (0, 1, 2)), (1, (0, 1, 2)), (2, (1, 2)), (3, (2,)), (4, ())])
def test_a_tracker_that_goes_away_is_told_of_what_it_missed_when_it_is_back(
    calls: int, missing: tuple[int, ...]
) -> None:
    tracker = UnsteadyTracker()
    run_id = tracker.start("run", {})
    log = EpochLog(tracker, run_id)
    tracker.calls_left = calls
    assert log.attempt(HISTORY) == missing
    assert log.attempt(HISTORY) == missing
    tracker.calls_left = float("inf")
    assert log.attempt(HISTORY) == ()
    assert tracker.get(run_id).history["val_acc"] == ((0, 0.5), (1, 0.7), (2, 0.6))


def test_an_epoch_that_was_taken_although_the_call_failed_is_not_logged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = MemoryTracker()
    run_id = tracker.start("run", {})
    log, taken = EpochLog(tracker, run_id), tracker.log

    def taken_without_an_answer(run_id: str, *, metrics: Mapping[str, float], step: int) -> None:
        taken(run_id, metrics=metrics, step=step)
        raise StoreUnavailable("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(tracker, "log", taken_without_an_answer)
        assert log.attempt(HISTORY[:1]) == (0,)
    assert log.attempt(HISTORY) == ()
    assert tracker.get(run_id).history["val_acc"] == ((0, 0.5), (1, 0.7), (2, 0.6))


def test_the_last_word_insists() -> None:
    tracker = UnsteadyTracker()
    run_id = tracker.start("run", {})
    tracker.calls_left = 0
    with pytest.raises(StoreUnavailable):
        EpochLog(tracker, run_id).write(HISTORY)
