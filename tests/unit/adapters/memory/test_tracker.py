import pytest

from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.testing.contracts.tracker import DATASET, TrackerContract


class TestMemoryTracker(TrackerContract):
    @pytest.fixture
    def tracker(self) -> MemoryTracker:
        return MemoryTracker()


def test_artifacts_and_datasets_can_be_read_back() -> None:
    tracker = MemoryTracker()
    run_id = tracker.start("run", {}, DATASET)
    tracker.log_artifact(run_id, "a/b.json", b"{}")
    assert tracker.artifacts(run_id) == {"a/b.json": b"{}"}
    assert tracker.dataset(run_id) == DATASET


def test_record_that_was_read_does_not_change_with_the_run() -> None:
    tracker = MemoryTracker()
    run_id = tracker.start("run", {})
    tracker.log(run_id, metrics={"val_acc": 0.5})
    before = tracker.get(run_id)
    tracker.log(run_id, params={"lr": "1"}, tags={"a": "b"}, metrics={"val_acc": 0.6}, step=1)
    assert (before.params, before.tags, before.history) == ({}, {}, {"val_acc": ((0, 0.5),)})
