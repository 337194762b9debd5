"""The contract of every `Tracker`, for any backend."""

import uuid

import pytest

from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile
from fmnist.domain.model.errors import InvalidSetting, RunNotFound
from fmnist.ports.tracker import RunStatus, Tracker

DATASET = DatasetVersion(
    version="fashion-mnist-v1.0.0",
    commit="0123456789abcdef0123456789abcdef01234567",
    splits={
        split: (SplitFile(split=split, uri=f"s3://bucket/{split}.parquet", md5=f"{index:032x}"),)
        for index, split in enumerate(("train", "val", "test"))
    },
    metadata={},
    source="https://example.com/data-registry.git",
    paths={"train": "data/train.parquet"},
)


class TrackerContract:
    """Subclass it as `Test...` and supply `tracker`. Tests do not touch each other's runs."""

    @pytest.fixture
    def tracker(self) -> Tracker:
        """The tracker under test; it may already hold runs."""
        raise NotImplementedError

    @pytest.fixture
    def run_id(self, tracker: Tracker) -> str:
        """A run that was just started."""
        return tracker.start("quick-brown-fox", {"dvc_data_version": "fashion-mnist-v1.0.0"})

    def test_started_run_reads_back_as_running_and_empty(self, tracker: Tracker, run_id: str) -> None:
        run = tracker.get(run_id)
        assert (run.run_id, run.name, run.status) == (run_id, "quick-brown-fox", RunStatus.RUNNING)
        assert run.tags == {"dvc_data_version": "fashion-mnist-v1.0.0"}
        assert (run.params, run.history) == ({}, {})
        assert run.started > 1.5e9

    def test_runs_of_one_name_are_told_apart(self, tracker: Tracker) -> None:
        assert tracker.start("same", {}) != tracker.start("same", {})

    @pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
    def test_ended_run_can_be_taken_up_again(self, tracker: Tracker, run_id: str, status: RunStatus) -> None:
        tracker.set_status(run_id, status)
        assert tracker.get(run_id).status == status
        tracker.set_status(run_id, RunStatus.RUNNING)
        assert tracker.get(run_id).status == RunStatus.RUNNING
        tracker.log(run_id, metrics={"val_acc": 0.9})
        assert tracker.get(run_id).history == {"val_acc": ((0, 0.9),)}

    def test_everything_logged_reads_back(self, tracker: Tracker, run_id: str) -> None:
        tracker.log(run_id, params={"lr": "0.001"}, tags={"best_epoch": "1"}, metrics={"val_acc": 0.5, "val_loss": 2.0})
        tracker.log(run_id, metrics={"val_acc": 0.75}, step=1)
        run = tracker.get(run_id)
        assert run.params == {"lr": "0.001"}
        assert run.tags == {"dvc_data_version": "fashion-mnist-v1.0.0", "best_epoch": "1"}
        assert run.history == {"val_acc": ((0, 0.5), (1, 0.75)), "val_loss": ((0, 2.0),)}

    def test_history_keeps_the_order_of_logging(self, tracker: Tracker, run_id: str) -> None:
        for step, value in ((2, 0.25), (0, 0.5), (1, 0.125)):
            tracker.log(run_id, metrics={"val_acc": value}, step=step)
        assert tracker.get(run_id).history == {"val_acc": ((2, 0.25), (0, 0.5), (1, 0.125))}

    def test_tag_takes_its_last_value(self, tracker: Tracker, run_id: str) -> None:
        tracker.log(run_id, tags={"best_epoch": "1"})
        tracker.log(run_id, tags={"best_epoch": "4"})
        assert tracker.get(run_id).tags["best_epoch"] == "4"

    def test_parameter_keeps_its_first_value(self, tracker: Tracker, run_id: str) -> None:
        tracker.log(run_id, params={"lr": "0.001", "seed": "0"})
        tracker.log(run_id, params={"lr": "0.001"})
        with pytest.raises(InvalidSetting, match="lr"):
            tracker.log(run_id, params={"lr": "0.1"})
        assert tracker.get(run_id).params == {"lr": "0.001", "seed": "0"}

    def test_run_takes_files_and_tells_its_data_version_when_it_starts(self, tracker: Tracker) -> None:
        run_id = tracker.start("with-data", {}, DATASET)
        tracker.log_artifact(run_id, "figures/confusion.png", b"\x89PNG")
        assert tracker.get(run_id).status == RunStatus.RUNNING

    def test_run_tells_its_parent_and_an_unknown_parent_is_named(self, tracker: Tracker, run_id: str) -> None:
        child = tracker.start("child", {"kind": "child"}, DATASET, parent=run_id)
        assert tracker.get(child).parent == run_id
        assert tracker.get(child).tags == {"kind": "child"}
        assert tracker.get(run_id).parent is None
        with pytest.raises(RunNotFound, match="no-such-run"):
            tracker.start("orphan", {}, parent="no-such-run")

    def test_find_wants_every_tag_and_gives_the_newest_first(self, tracker: Tracker) -> None:
        workflow = uuid.uuid4().hex
        older = tracker.start("older", {"argo_workflow_uid": workflow, "stage": "ci"})
        tracker.start("other", {"argo_workflow_uid": workflow, "stage": "dev"})
        newer = tracker.start("newer", {"argo_workflow_uid": workflow, "stage": "ci"})
        tracker.log(newer, metrics={"val_acc": 0.5})
        found = tracker.find({"argo_workflow_uid": workflow, "stage": "ci"})
        assert [run.run_id for run in found] == [newer, older]
        assert found[0] == tracker.get(newer)
        assert tracker.find({"argo_workflow_uid": workflow, "stage": "prod"}) == []

    @pytest.mark.parametrize("value", ["O'Brien", 'say "x"', "both ' and \"", "100%", "back\\slash", "' OR 1=1 --"])
    def test_find_takes_values_literally(self, tracker: Tracker, value: str) -> None:
        mark = uuid.uuid4().hex
        run_id = tracker.start("quoted", {"mark": mark, "odd": value})
        tracker.start("plain", {"mark": mark, "odd": "plain"})
        assert [run.run_id for run in tracker.find({"mark": mark, "odd": value})] == [run_id]

    @pytest.mark.parametrize("missing", ["0" * 32, "no such run", "../other"])
    def test_unknown_run_is_named(self, tracker: Tracker, missing: str) -> None:
        with pytest.raises(RunNotFound, match=missing):
            tracker.get(missing)
        with pytest.raises(RunNotFound, match=missing):
            tracker.set_status(missing, RunStatus.FINISHED)
        with pytest.raises(RunNotFound, match=missing):
            tracker.log(missing, metrics={"val_acc": 0.5})
        with pytest.raises(RunNotFound, match=missing):
            tracker.log_artifact(missing, "a.json", b"{}")
