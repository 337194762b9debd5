"""Interrupts and errors at any moment of a study, and the process that continues it."""

import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.domain.model.tuning.trial import TrialState
from fmnist.domain.services.tuning.crew import Stopped, work_side_by_side
from fmnist.ports.tracker import RunStatus
from tests.unit.domain.services.tuning_support import TASK, TuningHouse


class Strike:
    """Interrupts the main thread at the n-th epoch of a study, as Ctrl-C does. The training then waits to be ended."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, spec: TrainingSpec, epoch: int) -> bool:
        if self.left:
            self.left -= 1
            if self.left:
                return False
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.01)  # between two looks
        return True


def test_an_interrupt_marks_all_runs_and_the_next_process_finishes_the_study(tmp_path: Path) -> None:
    expected = TuningHouse(tmp_path / "whole").tune()
    house = TuningHouse(tmp_path / "interrupted")
    house.compute.before_epoch = Strike(at=3)
    with pytest.raises(KeyboardInterrupt):
        house.tune()
    assert {run.status for run in house.tracker.find({})} == {RunStatus.KILLED}
    assert house.compute.closed
    (left,) = house.studies[expected.study].trials()
    assert left.state is TrialState.RUNNING

    house.compute.before_epoch = lambda _, __: None
    result = house.tune()
    assert result.trials == expected.trials
    assert result.comparison == expected.comparison
    runs = house.trial_runs()
    assert len(runs) == len(result.trials), "the interrupted trial has one run"
    for run in runs:
        steps = [step for step, _ in run.history["val_acc"]]
        assert steps == sorted(set(steps)), "each epoch is recorded once"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40))
def test_a_study_that_is_interrupted_anywhere_ends_as_an_undisturbed_one(tmp_path: Path, at: int) -> None:
    house = TuningHouse(tmp_path)
    house.compute.before_epoch = Strike(at)
    try:
        house.tune()
    except KeyboardInterrupt:
        house.compute.before_epoch = lambda _, __: None
    assert house.tune().trials == TuningHouse(tmp_path).tune().trials


def test_an_outage_fails_the_study_and_a_second_command_continues_it(house: TuningHouse) -> None:
    def lose(spec: TrainingSpec, epoch: int) -> None:
        if spec.recipe.lr != TASK.start.lr:
            raise StoreUnavailable("the cluster was lost")

    house.compute.before_epoch = lose
    with pytest.raises(StoreUnavailable, match="the cluster was lost"):
        house.tune()
    assert [run.status for run in house.trial_runs()] == [RunStatus.FINISHED, RunStatus.FAILED]
    assert house.study_run().status is RunStatus.FAILED
    house.compute.before_epoch = lambda _, __: None
    assert len(house.tune().search) == 6


def test_a_process_that_was_killed_leaves_nothing_that_stops_the_next(house: TuningHouse) -> None:
    """After SIGKILL the study has a running trial, and the tracker has running runs."""
    name = TASK.study(house.registry.resolve())
    house.open_study(name, TASK).ask()
    parent = house.tracker.start(name, {"study": name})
    house.tracker.start("trial-0", {"trial_of": name, "trial": "0", "trial_seed": "0"}, parent=parent)
    house.tune()
    assert house.study_run().run_id == parent
    assert RunStatus.RUNNING not in {run.status for run in house.tracker.find({})}
    assert [run.name for run in house.trial_runs()].count("trial-0") == 1


def test_runs_of_trials_are_marked_at_the_same_time(tmp_path: Path) -> None:
    """Each mark waits for the other, so one at a time would not end."""
    together = threading.Barrier(2, timeout=10)

    class Slow(MemoryTracker):
        def set_status(self, run_id: str, status: RunStatus) -> None:
            (run,) = (run for run in self.find({}) if run.run_id == run_id)
            if status is RunStatus.KILLED and run.parent is not None:
                together.wait()
            super().set_status(run_id, status)

    house, began = TuningHouse(tmp_path, tracker=Slow()), threading.Barrier(2, timeout=10)
    strike = Strike(at=1)

    def interrupt(spec: TrainingSpec, epoch: int) -> None:
        if began.wait() == 0:
            strike(spec, epoch)
        else:
            threading.Event().wait(0.5)

    house.compute.before_epoch = interrupt
    house.service = replace(house.service, at_once=lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        house.tune()
    assert {run.status for run in house.tracker.find({})} == {RunStatus.KILLED}


def test_a_tracker_that_is_away_during_an_epoch_gets_it_later(tmp_path: Path) -> None:
    class Flaky(MemoryTracker):
        down = False

        def log(
            self,
            run_id: str,
            *,
            params: Mapping[str, str] | None = None,
            tags: Mapping[str, str] | None = None,
            metrics: Mapping[str, float] | None = None,
            step: int = 0,
        ) -> None:
            if self.down:
                raise StoreUnavailable("it does not answer")
            super().log(run_id, params=params, tags=tags, metrics=metrics, step=step)

    house = TuningHouse(tmp_path, tracker=(tracker := Flaky()))

    def fail_in_the_second_epoch(spec: TrainingSpec, epoch: int) -> None:
        tracker.down = epoch == 1

    house.compute.before_epoch = fail_in_the_second_epoch
    house.tune()
    assert [step for step, _ in house.trial_runs()[0].history["val_acc"]] == [0, 1, 2, 3, 4]


def test_error_of_one_thread_stops_the_others_and_is_raised() -> None:
    stop, works = threading.Event(), iter(("fail", "wait"))

    def work() -> None:
        if next(works) == "fail":
            raise StoreUnavailable("the first error")
        stop.wait(60)
        raise Stopped

    with pytest.raises(StoreUnavailable, match="the first error"):
        work_side_by_side(work, 2, stop)


def test_work_that_ends_well_does_not_stop_what_comes_after_it() -> None:
    stop, done = threading.Event(), list[int]()
    work_side_by_side(lambda: done.append(1), 3, stop)
    assert done == [1, 1, 1]
    assert not stop.is_set()
