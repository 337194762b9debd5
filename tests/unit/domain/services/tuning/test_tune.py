"""A search on fakes: what it trains and records, and what its result says. No fake can read the test split."""

import threading
import tomllib
from dataclasses import replace

import pytest

from fmnist.domain.model.errors import InvalidSetting, ReportFailed, TrainingFailed
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.domain.model.tuning.budget import Budget
from fmnist.domain.model.tuning.comparison import Verdict
from fmnist.domain.model.tuning.result import TuningResult
from fmnist.domain.model.tuning.trial import TrialState
from fmnist.domain.services.training.run import TrainingRun
from fmnist.ports.tracker import RunStatus
from tests.unit.domain.services.tuning_support import PROVENANCE, START, TASK, TuningHouse, no_effect


def best_at_high_rates(recipe: Recipe) -> float:
    return 0.95 if recipe.lr > 0.5 else 0.9


def test_a_better_recipe_is_found_and_the_test_split_is_not_read(house: TuningHouse) -> None:
    house.compute.formula = best_at_high_rates
    tuned = house.tuned(replace(TASK, budget=Budget(trials=12, seeds=3)))
    assert tuned.result.comparison.verdict is Verdict.BETTER
    assert tuned.result.recipe.lr > 0.5
    written = Recipe.from_mapping(tomllib.loads(tuned.files["recipe.toml"].decode()))
    assert written == tuned.result.recipe
    with pytest.raises(AssertionError, match="the test split was read"):
        house.registry.read(house.registry.resolve(), "test")


def test_luck_alone_is_not_taken_for_progress(house: TuningHouse) -> None:
    house.compute.formula = no_effect
    found = house.tune(replace(TASK, budget=Budget(trials=12, seeds=5)))
    assert found.comparison.verdict is Verdict.NOISE


def test_start_is_the_first_trial_and_finalists_and_start_have_equally_many_seeds(house: TuningHouse) -> None:
    house.compute.formula = best_at_high_rates
    found = house.tune(replace(TASK, budget=Budget(trials=12, seeds=3)))
    assert house.compute.fitted[0] == TrainingSpec(recipe=START)
    arms = (found.comparison.start, *found.comparison.finalists)
    assert {len(arm.accuracies) for arm in arms} == {3}
    fitted = [(spec.recipe, spec.seed) for spec in house.compute.fitted]
    assert len(set(fitted)) == len(fitted), "nothing is trained twice"
    assert {seed for recipe, seed in fitted if recipe == START} == {0, 1, 2}


def test_trials_are_runs_under_the_run_of_the_study(house: TuningHouse) -> None:
    found = house.tune()
    study, dataset = house.study_run(), house.registry.resolve()
    assert (study.run_id, study.name, study.status) == (found.run_id, found.study, RunStatus.FINISHED)
    assert study.tags["argo_workflow_uid"] == "uid"
    assert set(house.tracker.artifacts(study.run_id)) == {"report/recipe.toml", "report/report.html"}
    runs = house.trial_runs()
    assert len(runs) == len(found.trials)
    for trial, run in zip(found.trials, runs, strict=True):
        assert run.parent == study.run_id
        assert house.tracker.dataset(run.run_id) == dataset
        assert TrainingSpec.from_params(run.params) == TrainingSpec(recipe=TASK.recipe_of(trial), seed=trial.seed)
        assert run.tags["trial_state"] == trial.state
        accuracies = [value for step, value in run.history["val_acc"] if step < len(trial.accuracies)]
        assert accuracies == list(trial.accuracies)
    status = {run.tags["trial_state"]: run.status for run in runs}
    assert status["complete"] is RunStatus.FINISHED
    assert status["pruned"] is RunStatus.KILLED
    last = next(run for run in runs if run.tags["trial_state"] == "complete").history["val_acc"][-1]
    assert last == (START.max_epochs, found.search[0].accuracy)
    assert house.discarded == [run.run_id for run in runs], "no checkpoint of a trial stays"


def test_trials_are_no_trainings(house: TuningHouse) -> None:
    """A training has a lineage with its workflow. Neither `--resume` nor a promotion takes a trial for one."""
    house.tune()
    (workflows,) = house.tracker.find({"argo_workflow_uid": "uid"})
    assert workflows.run_id == house.study_run().run_id
    service = TrainingRun(house.registry, house.tracker, house.compute, None, "dev.toy", lambda *_: {})  # type: ignore[arg-type]
    unfinished = house.trial_runs()[-1]
    house.tracker.set_status(unfinished.run_id, RunStatus.KILLED)
    with pytest.raises(InvalidSetting, match="fmnist did not start this run"):
        service.resume(unfinished.run_id, lambda _: None)
    house.tracker.set_status(workflows.run_id, RunStatus.KILLED)
    with pytest.raises(InvalidSetting, match="architecture must be a parameter of the run"):
        service.resume(workflows.run_id, lambda _: None)


def test_a_finished_study_is_not_trained_again_and_a_larger_budget_continues_it(house: TuningHouse) -> None:
    first = house.tune()
    count = len(house.compute.fitted)
    again = house.tune()
    assert again.trials == first.trials
    assert len(house.compute.fitted) == count
    assert house.seen[-len(first.trials) :] == list(first.trials), "the trials so far are shown"
    more = house.tune(replace(TASK, budget=Budget(trials=8, seeds=3)))
    assert len(more.search) == 8
    assert [trial for trial in more.search if trial.number < 6] == first.search
    assert len([run for run in house.tracker.find({}) if run.parent is None]) == 1


def test_time_limits_the_study_over_all_of_its_processes(house: TuningHouse) -> None:
    task = replace(TASK, budget=Budget(seconds=400, seeds=3))
    house.compute.formula = best_at_high_rates
    first = house.tune(task)
    assert first.seconds <= 400
    assert len(first.search) > 1
    count, before = len(house.compute.fitted), house.compute.now
    assert house.tune(task).seconds == first.seconds
    assert (len(house.compute.fitted), house.compute.now) == (count, before)
    longer = house.tune(replace(task, budget=Budget(seconds=1200, seeds=3)))
    assert first.seconds < longer.seconds <= 1200


def test_trial_that_cannot_be_trained_fails_alone(house: TuningHouse, caplog: pytest.LogCaptureFixture) -> None:
    def diverge(spec: TrainingSpec, epoch: int) -> None:
        if spec.recipe.lr > 0.3:
            raise TrainingFailed("the loss is not finite")

    house.compute.before_epoch = diverge
    found = house.tune()
    failed = [trial for trial in found.search if trial.state is TrialState.FAILED]
    assert failed
    assert {run.status for run in house.trial_runs() if run.tags["trial_state"] == "failed"} == {RunStatus.FAILED}
    assert f"trial {failed[0].number} failed on seed 0: the loss is not finite" in caplog.text
    assert house.study_run().status is RunStatus.FINISHED


def test_start_that_fails_on_another_seed_does_not_end_the_study(house: TuningHouse) -> None:
    def diverge(spec: TrainingSpec, epoch: int) -> None:
        if (spec.recipe, spec.seed) == (START, 1):
            raise TrainingFailed("the loss is not finite")

    house.compute.before_epoch, house.compute.formula = diverge, best_at_high_rates
    found = house.tune(replace(TASK, budget=Budget(trials=12, seeds=3)))
    assert [trial.seed for trial in found.trials if trial.state is TrialState.FAILED] == [1]
    assert len(found.comparison.start.accuracies) == 2
    assert house.study_run().status is RunStatus.FINISHED


def test_start_that_cannot_be_trained_ends_the_study(house: TuningHouse) -> None:
    def diverge(spec: TrainingSpec, epoch: int) -> None:
        raise TrainingFailed("the loss is not finite")

    house.compute.before_epoch = diverge
    with pytest.raises(TrainingFailed, match="not finite"):
        house.tune()
    assert {run.status for run in house.tracker.find({})} == {RunStatus.FAILED}


def test_a_study_without_a_report_has_its_recipe(house: TuningHouse, caplog: pytest.LogCaptureFixture) -> None:
    def fail(result: TuningResult) -> dict[str, bytes]:
        raise ReportFailed("no ink")

    tuned = replace(house.service, render=fail).tune(TASK, PROVENANCE, lambda _: None)
    assert set(tuned.files) == {"recipe.toml"}
    assert "has no report: no ink" in caplog.text


def test_a_study_at_work_is_refused_and_opens_no_run(house: TuningHouse) -> None:
    with house.lock(TASK.study(house.registry.resolve())), pytest.raises(InvalidSetting, match="another process"):
        house.tune()
    assert house.tracker.find({}) == []


def test_several_trials_run_at_the_same_time(house: TuningHouse) -> None:
    """Each first epoch waits for two more trainings, so one at a time would not end."""
    together = threading.Barrier(3, timeout=60)

    def meet(spec: TrainingSpec, epoch: int) -> None:
        if epoch == 0 and spec.seed == 0:
            together.wait()

    house.compute.before_epoch = meet
    house.service = replace(house.service, at_once=lambda: 3)
    found = house.tune()
    assert len(found.search) == 6
    assert {run.status for run in house.trial_runs()} <= {RunStatus.FINISHED, RunStatus.KILLED}
