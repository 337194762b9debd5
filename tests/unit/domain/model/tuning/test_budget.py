"""The budget of a study: how long it searches, what it keeps for the comparison, and what is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.tuning.budget import Budget, Plan
from fmnist.domain.model.tuning.trial import Trial, TrialState


def trial(
    number: int, accuracy: float = 0.9, seconds: float = 60.0, seed: int = 0, state: TrialState = TrialState.COMPLETE
) -> Trial:
    values = {"lr": 0.1 * (number + 1)}
    return Trial(number=number, seed=seed, values=values, state=state, accuracies=(accuracy,), seconds=seconds)


def repeats(budget: Budget, trials: list[Trial], finalists: list[int], spent: float = 0.0) -> list[tuple[int, int]]:
    """The trainings of a comparison as (number, seed). Each takes as long as in the search."""
    found, seconds = list[tuple[int, int]](), {each.number: each.seconds for each in trials}
    while wanted := Plan(budget, trials, spent).next_repeat(finalists):
        found.append((wanted.number, wanted.seed))
        trials = [*trials, trial(wanted.number, seed=wanted.seed)]
        spent += seconds[wanted.number]
    return found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "a budget must be trials or a time, found neither"),
        ({"trials": 1}, "trials must be at least 2, found 1"),
        ({"seconds": -1.0}, "a time must be above 0"),
        ({"seconds": float("nan")}, "a time must be above 0"),
        ({"trials": 5, "seeds": 1}, "seeds must be at least 2, found 1"),
    ],
)
def test_impossible_budget_is_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        Budget(**values)  # type: ignore[arg-type]  # from a table


def test_search_ends_after_its_trials_and_repeats_are_none() -> None:
    budget, trials = Budget(trials=3), [trial(0), trial(1), trial(1, seed=1)]
    assert Plan(budget, trials, 1e9).may_search
    assert not Plan(budget, [*trials, trial(2)], 0.0).may_search


def test_start_that_was_interrupted_is_trained_whatever_was_spent() -> None:
    """Without it, no trial of the study may be complete."""
    trials = [trial(number, state=TrialState.PRUNED) for number in (1, 2)]
    assert Plan(Budget(trials=2, seconds=100), trials, 1e9).may_search


def test_search_leaves_time_for_the_start_and_the_best_on_three_seeds() -> None:
    # The comparison: two more seeds of the start, and three of trial 1, which takes twice as long: 480 s.
    budget, trials = Budget(seconds=1000), [trial(0), trial(1, 0.95, 120.0), trial(2, 0.5, 10.0)]
    mean = (60 + 120 + 10) / 3
    assert Plan(budget, trials, 1000 - 480 - mean).may_search
    assert not Plan(budget, trials, 1000 - 480 - mean + 1).may_search


def test_half_of_a_short_time_is_for_the_search() -> None:
    budget = Budget(seconds=300)
    assert Plan(budget, [], 0.0).may_search
    assert Plan(budget, [trial(0), trial(1)], 89.0).may_search
    assert not Plan(budget, [trial(0), trial(1)], 91.0).may_search


def test_without_a_limit_of_time_the_best_three_become_finalists() -> None:
    trials = [trial(0, 0.99), *(trial(number, 0.9 + number / 100) for number in range(1, 6))]
    trials += [trial(6, 0.98, state=TrialState.PRUNED), trial(7, 0.97, state=TrialState.RUNNING)]
    assert Plan(Budget(trials=8), trials, 0.0).finalists() == [5, 4, 3]


def test_fewer_finalists_are_compared_if_time_is_short() -> None:
    trials, budget = [trial(number, 0.9 + number / 100) for number in range(4)], Budget(seconds=1000)
    costs = {count: (2 + 3 * count) * 60 for count in (1, 2, 3)}
    assert [len(Plan(budget, trials, 1000 - costs[count]).finalists()) for count in (3, 2, 1)] == [3, 2, 1]
    assert Plan(budget, trials, 999.0).finalists() == [3], "a larger budget can continue"


def test_a_recipe_is_a_finalist_once_and_the_start_never() -> None:
    trials = [trial(0), trial(1), Trial(number=2, values=trial(1).values, state=TrialState.COMPLETE, accuracies=(0.9,))]
    trials += [Trial(number=3, values=trial(0).values, state=TrialState.COMPLETE, accuracies=(0.99,))]
    assert Plan(Budget(trials=4), trials, 0.0).finalists() == [1]
    assert Plan(Budget(trials=4), [trial(0)], 0.0).finalists() == []


def test_comparison_goes_seed_by_seed_and_the_search_counts_for_the_start() -> None:
    trials = [trial(0), trial(1, 0.92), trial(2, 0.93)]
    assert repeats(Budget(trials=3, seeds=3), trials, [2, 1]) == [
        *((1, 1), (2, 1), (0, 1)),
        *((1, 2), (2, 2), (0, 2)),
        *((1, 3), (2, 3)),
    ]
    assert repeats(Budget(trials=3, seeds=3), trials, []) == []


def test_an_interrupted_comparison_lacks_the_rest_only() -> None:
    trials = [trial(0), trial(1), trial(1, seed=1), trial(0, seed=1)]
    assert repeats(Budget(trials=2, seeds=2), trials, [1]) == [(1, 2)]


@given(st.floats(1, 2000), st.floats(0, 2000), st.integers(2, 8))
def test_comparison_never_exceeds_the_time(seconds: float, spent: float, seeds: int) -> None:
    trials = [trial(0, seconds=50.0), trial(1, seconds=70.0)]
    found = repeats(Budget(seconds=seconds, seeds=seeds), trials, [1], spent)
    assert sum({0: 50, 1: 70}[number] for number, _ in found) <= max(0.0, seconds - spent)
