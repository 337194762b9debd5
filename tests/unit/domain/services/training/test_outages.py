"""A training run on fakes whose tracker or store fails: training goes on, and resuming records the rest."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fmnist.domain.model.errors import StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.run import Progress
from fmnist.ports.tracker import RunStatus
from tests.unit.domain.services.training_support import MODEL, PROVENANCE, SPEC, House, refuse


def test_the_error_of_a_run_is_reported_although_the_tracker_is_down(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(house.tracker, "set_status", refuse)
    house.train_until(1, TrainingFailed("loss is not finite"))
    assert "could not be marked FAILED: it does not answer" in caplog.text


class Outage:
    """Makes a house's tracker and store fail while it is on."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_on = False
        for owner, names in (
            (house.tracker, ("get", "log", "log_artifact", "set_status")),
            (house.store, ("save", "versions")),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self._unsteady(getattr(owner, name)))

    def _unsteady(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            if self.is_on:
                raise StoreUnavailable("nobody answers")
            return method(*arguments, **options)

        return called


def test_an_outage_during_training_is_logged_and_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(house, monkeypatch)

    def in_the_second_epoch(progress: Progress) -> None:
        outage.is_on = progress.epoch == 1 and progress.metrics is None

    caplog.set_level("INFO")
    result = house.service.start(SPEC, PROVENANCE, in_the_second_epoch, run_name="run")
    assert "the tracker does not accept the metrics of epoch 2; training continues" in caplog.text
    assert "the tracker is back" in caplog.text
    run = house.tracker.get(result.run_id)
    assert (run.status, [step for step, _ in run.history["val_acc"]]) == (RunStatus.FINISHED, [0, 1, 2, 3])


def test_an_outage_until_the_end_lists_what_is_missing_and_resuming_records_it(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outage, reports = Outage(house, monkeypatch), list[Progress]()

    def from_the_second_epoch_on(progress: Progress) -> None:
        outage.is_on = progress.epoch > 0

    with pytest.raises(StoreUnavailable):
        house.service.start(SPEC, PROVENANCE, from_the_second_epoch_on, run_name="run")
    outage.is_on = False
    run_id = house.only_run().run_id
    missing = "the metrics of epochs 2, 3; the metrics of the chosen epoch; the model; its report; its final status"
    assert f"not recorded for run {run_id}: {missing}\n" in caplog.text
    assert house.resumable == [run_id]

    result = house.service.resume(run_id, reports.append)
    assert reports == [], "nothing is trained again"
    assert house.only_run().status is RunStatus.FINISHED
    assert [step for step, _ in house.only_run().history["val_acc"]] == [0, 1, 2, 3]
    assert house.store.versions(MODEL) == [result.model]


def test_a_tracker_that_hangs_does_not_delay_an_interrupted_process(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fmnist.domain.services.training.ending._MARK_SECONDS", 0.1)
    forever = threading.Event()
    monkeypatch.setattr(house.tracker, "set_status", lambda *_: forever.wait())
    house.train_until(1, KeyboardInterrupt())
    forever.set()
    assert "could not be marked KILLED: its status: no answer within 0.1 s" in caplog.text
