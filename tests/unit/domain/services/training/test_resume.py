"""An ended training run on fakes: its status, and that a resumed run equals an uninterrupted one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import InvalidSetting, RunNotFound, StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.run import Progress
from fmnist.domain.services.training.run import TrainingRun
from fmnist.ports.tracker import RunStatus
from fmnist.testing.data import toy_splits
from tests.unit.domain.services.training_support import MODEL, PROVENANCE, SPEC, House, draw, ignore, refuse


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TrainingFailed("no"), RunStatus.FAILED),
        (StoreUnavailable("no"), RunStatus.FAILED),
        (RuntimeError("a bug"), RunStatus.FAILED),
        (KeyboardInterrupt(), RunStatus.KILLED),
    ],
)
def test_a_run_that_fails_does_not_keep_the_status_running(
    house: House, error: BaseException, status: RunStatus
) -> None:
    assert house.train_until(1, error).status is status
    assert house.store.versions(MODEL) == []


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(house: House, tmp_path: Path, epoch: int) -> None:
    whole = House(tmp_path / "whole")
    whole.directory.mkdir()
    expected = whole.train()
    stopped = house.train_until(epoch, KeyboardInterrupt())
    result = house.service.resume(stopped.run_id, ignore)
    assert result.run_id == stopped.run_id
    assert result.history == expected.history
    assert result.best_epoch == expected.best_epoch
    np.testing.assert_array_equal(result.val.confusion, expected.val.confusion)
    run = house.tracker.get(result.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.history == whole.only_run().history, "each value once"
    assert run.params == whole.only_run().params


def test_epochs_that_a_lost_driver_did_not_record_are_recorded_when_the_run_is_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = house.tracker.log

    def refuse_metrics(run_id: str, **what: Any) -> None:
        if "metrics" in what:
            raise StoreUnavailable("the tracker does not answer")
        log(run_id, **what)

    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "log", refuse_metrics)
        stopped = house.train_until(2, KeyboardInterrupt())
    assert stopped.history == {}
    result = house.service.resume(stopped.run_id, ignore)
    history = house.only_run().history
    assert sorted(history["train_loss"]) == list(enumerate(metrics["train_loss"] for metrics in result.history))
    assert sorted(step for step, _ in history["val_acc"]) == [0, 1, 2, 3]


def test_a_run_whose_model_cannot_be_saved_lacks_only_the_model_and_gets_it_when_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(house.store, "save", refuse)
        with pytest.raises(StoreUnavailable):
            house.train()
    stopped = house.only_run()
    assert stopped.status is RunStatus.FAILED
    assert f"not recorded for run {stopped.run_id}: the model; its report; its final status\n" in caplog.text
    result = house.service.resume(stopped.run_id, ignore)
    assert house.only_run().history == stopped.history, "nothing is logged twice"
    assert house.store.versions(MODEL) == [result.model]


def test_a_run_whose_end_could_not_be_recorded_does_not_keep_the_status_running(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = house.tracker.set_status

    def refuse_once(run_id: str, status: RunStatus) -> None:
        if status is RunStatus.FINISHED:
            raise StoreUnavailable("the tracker does not answer")
        set_status(run_id, status)

    monkeypatch.setattr(house.tracker, "set_status", refuse_once)
    with pytest.raises(StoreUnavailable):
        house.train()
    assert house.only_run().status is RunStatus.FAILED


def test_a_run_interrupted_after_saving_registers_no_second_model(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = house.tracker.set_status

    def interrupt_at_the_end(run_id: str, status: RunStatus) -> None:
        if status is RunStatus.FINISHED:
            raise KeyboardInterrupt
        set_status(run_id, status)

    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "set_status", interrupt_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            house.train()
    stopped = house.only_run()
    assert stopped.status is RunStatus.KILLED
    (saved,) = house.store.versions(MODEL)
    result = house.service.resume(stopped.run_id, ignore)
    assert result.model == saved
    assert house.store.versions(MODEL) == [saved]
    assert house.only_run().status is RunStatus.FINISHED


def test_another_run_s_model_does_not_count_as_this_one_s(house: House) -> None:
    first, second = house.train(), house.train()
    assert [version.run_id for version in house.store.versions(MODEL)] == [second.run_id, first.run_id]


def test_an_interrupt_while_the_run_starts_does_not_leave_it_running(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, waiting = house.tracker.start, []

    def start_and_be_interrupted(name: str, tags: Mapping[str, str], dataset: DatasetVersion) -> str:
        run_id = start(name, tags, dataset)
        waiting.append(KeyboardInterrupt())
        return run_id

    @contextmanager
    def uninterrupted() -> Iterator[None]:
        yield
        if waiting:
            raise waiting.pop()

    monkeypatch.setattr(house.tracker, "start", start_and_be_interrupted)
    service = TrainingRun(house.registry, house.tracker, house.compute, house.store, MODEL, draw, uninterrupted)
    with pytest.raises(KeyboardInterrupt):
        service.start(SPEC, PROVENANCE, ignore, run_name="run")
    assert house.only_run().status is RunStatus.KILLED


@pytest.mark.parametrize(
    ("error", "worth_it"),
    [(KeyboardInterrupt(), True), (StoreUnavailable("no"), True), (TrainingFailed("no"), False)],
)
def test_resuming_is_advised_if_it_can_help(house: House, error: BaseException, *, worth_it: bool) -> None:
    run = house.train_until(1, error)
    assert house.resumable == [run.run_id] * worth_it


def test_resuming_is_not_advised_for_a_run_without_its_params(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "log_artifact", refuse)
        with pytest.raises(StoreUnavailable):
            house.train()
    assert house.only_run().status is RunStatus.FAILED
    assert house.resumable == []


def test_a_foreign_run_is_not_resumed(house: House) -> None:
    run_id = house.tracker.start("theirs", {"mlflow.user": "them"})
    with pytest.raises(InvalidSetting, match="fmnist did not start this run"):
        house.service.resume(run_id, ignore)


def test_a_finished_run_is_not_resumed(house: House) -> None:
    result = house.train()
    with pytest.raises(InvalidSetting, match="FINISHED"):
        house.service.resume(result.run_id, ignore)
    assert house.tracker.get(result.run_id).status is RunStatus.FINISHED


def test_a_run_is_not_resumed_on_other_data(house: House) -> None:
    stopped = house.train_until(1, KeyboardInterrupt())
    moved = MemoryDataRegistry()
    moved.add("1.0.0", toy_splits(seed=1))
    service = TrainingRun(moved, house.tracker, house.compute, house.store, MODEL, draw)
    with pytest.raises(InvalidSetting, match="has changed since run"):
        service.resume(stopped.run_id, ignore)
    assert house.tracker.get(stopped.run_id).status is RunStatus.KILLED


def test_an_unknown_run_is_not_resumed(house: House) -> None:
    with pytest.raises(RunNotFound):
        house.service.resume("nobody", ignore)


def test_run_is_not_resumed_while_it_runs_or_while_another_resumes_it(house: House) -> None:
    refusals = []

    def resume_too(progress: Progress) -> None:
        run = house.only_run()
        with pytest.raises(InvalidSetting, match="another process is at work") as refused:
            house.service.resume(run.run_id, ignore)
        refusals.append(refused)
        assert house.only_run().status is RunStatus.RUNNING
        if len(refusals) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.service.start(SPEC, PROVENANCE, resume_too, run_name="run")
    assert house.service.resume(house.only_run().run_id, resume_too).run_id == house.only_run().run_id
    assert len(refusals) > 1
    assert (house.only_run().status, house.at_work) == (RunStatus.FINISHED, set())
