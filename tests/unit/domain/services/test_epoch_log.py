"""However often training is repeated, the tracker holds each epoch once."""

from fmnist.adapters.memory.tracker import MemoryTracker
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
