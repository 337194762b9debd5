"""The tracker has each epoch once, even if training repeats it."""

from collections.abc import Mapping

import pytest

from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.training.run import Progress
from fmnist.domain.services.training.epoch_log import EpochLog
from fmnist.ports.tracker import RunRecord

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
    """A tracker that fails on demand, or after a number of calls."""

    calls_left: float = float("inf")

    def get(self, run_id: str) -> RunRecord:
        self._answer()
        return super().get(run_id)

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


def ended(epoch: int) -> Progress:
    return Progress(epoch, len(HISTORY), 1, 1, metrics=HISTORY[epoch])


def test_reports_are_forwarded_and_the_last_one_of_each_epoch_is_recorded() -> None:
    tracker, passed_on = MemoryTracker(), list[Progress]()
    run_id = tracker.start("run", {})
    watched = EpochLog(tracker, run_id).watch(passed_on.append)
    reports = [Progress(0, 3, 0, 1), ended(0), Progress(1, 3, 0, 1), ended(1)]
    for report in [*reports, ended(1)]:  # epoch 1 is repeated after a worker was lost
        watched(report)
    assert passed_on == [*reports, ended(1)]
    assert tracker.get(run_id).history["val_acc"] == ((0, 0.5), (1, 0.7))


@pytest.mark.parametrize(("calls", "missing"), [(0, "s 1, 2"), (1, "s 1, 2"), (2, " 2"), (3, "")])
def test_a_tracker_that_was_down_gets_the_missed_epochs_later(
    calls: int, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tracker = UnsteadyTracker()
    run_id = tracker.start("run", {})
    log = EpochLog(tracker, run_id)
    watched = log.watch(lambda _: None)
    tracker.calls_left = calls
    watched(ended(0))
    watched(ended(1))
    assert str(log) == (f"the metrics of epoch{missing}" if missing else "")
    tracker.calls_left = float("inf")
    watched(ended(2))
    assert str(log) == ""
    assert tracker.get(run_id).history["val_acc"] == ((0, 0.5), (1, 0.7), (2, 0.6))
    told = [record.getMessage().partition("; ")[0] for record in caplog.records]
    first = "1" if calls < 2 else "2"
    away_and_back = [
        f"the tracker does not accept the metrics of epoch {first}",
        "the tracker is back, and has the metrics of all epochs so far",
    ]
    assert told == (away_and_back if missing else [])


def test_an_epoch_whose_call_failed_after_logging_is_not_logged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = MemoryTracker()
    run_id = tracker.start("run", {})
    watched, taken = EpochLog(tracker, run_id).watch(lambda _: None), tracker.log

    def taken_without_an_answer(run_id: str, *, metrics: Mapping[str, float], step: int) -> None:
        taken(run_id, metrics=metrics, step=step)
        raise StoreUnavailable("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(tracker, "log", taken_without_an_answer)
        watched(ended(0))
    watched(ended(1))
    assert tracker.get(run_id).history["val_acc"] == ((0, 0.5), (1, 0.7))


def test_the_final_write_retries_and_raises() -> None:
    tracker = UnsteadyTracker()
    run_id = tracker.start("run", {})
    tracker.calls_left = 0
    with pytest.raises(StoreUnavailable):
        EpochLog(tracker, run_id).write(HISTORY)
