import json
from threading import Event
from typing import NoReturn

import pytest
from mlflow import MlflowClient

from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.ports.tracker import RunStatus
from fmnist.testing.contracts.tracker import TrackerContract
from fmnist.testing.data import toy_splits


class TestMlflowTracker(TrackerContract):
    @pytest.fixture
    def tracker(self, connection: MlflowConnection) -> MlflowTracker:
        return MlflowTracker(connection)


class TestMlflowTrackerOnAServer(TrackerContract):
    @pytest.fixture
    def tracker(self, server: MlflowConnection) -> MlflowTracker:
        return MlflowTracker(server)


def test_run_whose_dataset_cannot_be_recorded_does_not_stay_running(
    connection: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError("the disk is full")

    tracker, dataset = MlflowTracker(connection), MemoryDataRegistry().add("1.0.0", toy_splits())
    monkeypatch.setattr(MlflowClient, "log_inputs", fail)
    with pytest.raises(StoreUnavailable, match=r"fails on a new run 'unlucky': .*the disk is full"):
        tracker.start("unlucky", {"kind": "unlucky"}, dataset)
    assert [run.status for run in tracker.find({"kind": "unlucky"})] == [RunStatus.FAILED]


def test_data_of_many_files_fit_into_the_record_of_a_run(connection: MlflowConnection) -> None:
    dataset = MemoryDataRegistry().add("1.0.0", toy_splits(train=1000), files=1000)
    run_id = MlflowTracker(connection).start("many", {}, dataset)
    (recorded,) = connection.client().get_run(run_id).inputs.dataset_inputs
    assert recorded.dataset.digest == dataset.digest
    splits = json.loads(recorded.dataset.source)["tags"]["splits"]
    assert splits["train"] == {"files": 1000}
    assert splits["val"] == {"uri": dataset.files("val")[0].uri, "md5": dataset.files("val")[0].md5}


def test_system_metrics_are_recorded_on_request_and_continue_after_a_resume(
    connection: MlflowConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    tracker = MlflowTracker(connection, system_metrics=True)
    cpu = "system/cpu_utilization_percentage"

    def steps_once_there_are(count: int) -> list[int]:
        while len(recorded := tracker.get(run_id).history.get(cpu, ())) < count:
            Event().wait(0.02)  # the suite's time limit ends an endless wait
        return [step for step, _ in recorded]

    run_id = tracker.start("measured", {})
    steps_once_there_are(1)
    tracker.set_status(run_id, RunStatus.KILLED)
    before = len(tracker.get(run_id).history[cpu])
    tracker.set_status(run_id, RunStatus.RUNNING)
    steps = steps_once_there_are(before + 1)
    tracker.set_status(run_id, RunStatus.FINISHED)

    assert len(set(steps)) == len(steps)


def test_system_metrics_are_not_recorded_by_default(connection: MlflowConnection) -> None:
    tracker = MlflowTracker(connection)
    run_id = tracker.start("unmeasured", {})
    assert tracker._monitors == {}
    tracker.set_status(run_id, RunStatus.FINISHED)
