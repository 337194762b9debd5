"""The result of a study: its name, and the recipe file."""

import tomllib
from dataclasses import replace

import pytest

from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.tuning.budget import Budget
from fmnist.domain.model.tuning.result import TuningResult, TuningTask
from fmnist.domain.model.tuning.space import Range, SearchSpace
from fmnist.domain.model.tuning.trial import Trial, TrialState
from fmnist.testing.data import toy_splits

SPACE = SearchSpace({"lr": Range(0.01, 1.0, log=True), "shift": Range(0, 3)})
TASK = TuningTask(label="fast", start=PRESETS["fast"], space=SPACE, budget=Budget(trials=5))
DATA = MemoryDataRegistry().add("1.0.0", toy_splits())


def result(*accuracies: list[float]) -> TuningResult:
    """A study whose trial of number n has these accuracies for the seeds 0, 1, ..."""
    trials = [
        Trial(
            number=number,
            seed=seed,
            values={"lr": 0.2, "shift": 0} if number == 0 else {"lr": 0.123456, "shift": number},
            state=TrialState.COMPLETE,
            accuracies=(accuracy,),
        )
        for number, seeds in enumerate(accuracies)
        for seed, accuracy in enumerate(seeds)
    ]
    return TuningResult(
        task=TASK, study="fast-v1.0.0-x", data_version=DATA.version, run_id="r", trials=trials, importance={}, seconds=9
    )


def test_name_of_a_study_depends_on_recipe_space_and_data_but_not_on_the_budget() -> None:
    name = TASK.study(DATA)
    assert name.startswith("fast-v1.0.0-")
    assert replace(TASK, budget=Budget(trials=50)).study(DATA) == name
    others = {
        replace(TASK, start=TASK.start.override(max_epochs=9)).study(DATA),
        replace(TASK, space=SearchSpace({"lr": Range(0.01, 1.0)})).study(DATA),
        TASK.study(replace(DATA, splits={**DATA.splits, "train": DATA.splits["val"]})),
    }
    assert len(others | {name}) == 4


@pytest.mark.parametrize(
    ("study", "chosen"),
    [
        (result([0.90, 0.90, 0.91], [0.95, 0.93, 0.93], [0.95, 0.92, 0.92]), 1),
        (result([0.90, 0.92, 0.92], [0.95, 0.90, 0.91]), 0),
        (result([0.90], [0.91], [0.92]), 2),
        (result([0.93], [0.91], [0.92]), 0),
        (result([0.93]), 0),
    ],
)
def test_recipe_is_that_of_the_highest_mean_or_of_the_best_of_the_search(study: TuningResult, chosen: int) -> None:
    assert study.chosen.number == chosen


def test_recipe_file_reads_back_and_tells_the_verdict() -> None:
    study = result([0.90, 0.90, 0.91], [0.95, 0.93, 0.93])
    text = study.recipe_toml()
    assert Recipe.from_mapping(tomllib.loads(text)) == PRESETS["fast"].override(lr=0.123, shift=1)
    assert text.startswith("# Trial 1 of the study fast-v1.0.0-x.\n# Trial 1 beats the starting recipe beyond noise: ")
    assert "the starting recipe.\n" in result([0.9]).recipe_toml().splitlines(keepends=True)[0]


def test_changes_are_what_differs_from_the_start() -> None:
    study = result([0.9], [0.9])
    assert TASK.described(study.trials[0]) == "none"
    assert TASK.described(study.trials[1]) == "lr 0.123, shift 1"
