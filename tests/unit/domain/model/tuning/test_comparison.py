"""The verdict on a study: intervals against known values, and how often it takes luck for progress."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.tuning.comparison import Arm, Comparison, Verdict, t_quantile, welch_interval
from fmnist.domain.model.tuning.trial import Trial, TrialState

accuracies = st.lists(st.floats(0, 1), min_size=2, max_size=6).map(tuple)


def trial(number: int, seed: int, accuracy: float, state: TrialState = TrialState.COMPLETE) -> Trial:
    return Trial(number=number, seed=seed, values={}, state=state, accuracies=(accuracy,))


def study(**arms: list[float]) -> list[Trial]:
    """Trials `t0`, `t1`, ... with the accuracies of their seeds, the search's first."""
    return [trial(int(name[1:]), seed, found) for name, arm in arms.items() for seed, found in enumerate(arm)]


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),
    # Printed tables of Student's distribution.
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 4, 2.776), (0.95, 10, 2.228), (0.99, 5, 4.032), (0.95, 1e6, 1.960)],
)
def test_quantiles_of_students_distribution_are_those_of_the_tables(
    confidence: float, freedom: float, expected: float
) -> None:
    assert t_quantile(confidence, freedom) == pytest.approx(expected, abs=6e-4)


def test_interval_is_that_of_a_worked_example() -> None:
    # By hand: means 3 and 6, squared errors 1/3 and 4/3, 2.94 degrees of freedom, t = 3.218.
    low, high = welch_interval(Arm(1, (2.0, 3.0, 4.0)), Arm(0, (4.0, 6.0, 8.0)), 0.95)
    assert (low, high) == pytest.approx((-3 - 4.154, -3 + 4.154), abs=0.01)


@given(accuracies, accuracies)
def test_swapped_recipes_turn_the_sign_of_the_interval(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    low, high = welch_interval(Arm(1, one), Arm(2, other), 0.95)
    assert low <= high
    assert welch_interval(Arm(2, other), Arm(1, one), 0.95) == pytest.approx((-high, -low), abs=1e-9)


def test_a_clear_difference_is_better_and_its_opposite_is_worse() -> None:
    found = Comparison.of(study(t0=[0.900, 0.902, 0.901], t3=[0.5, 0.930, 0.931, 0.932]))
    assert found.verdict is Verdict.BETTER
    assert str(found).startswith(
        "Trial 3 beats the starting recipe beyond noise: +3.00 points on val (95 % interval +2"
    )
    worse = Comparison.of(study(t0=[0.900, 0.902, 0.901], t3=[0.99, 0.830, 0.831, 0.832]))
    assert worse.verdict is Verdict.WORSE
    assert "No trial beats the starting recipe. The best finalist, trial 3, is worse: -7.00 points" in str(worse)


def test_a_difference_within_the_spread_of_seeds_is_noise() -> None:
    found = Comparison.of(study(t0=[0.900, 0.907, 0.903], t3=[0.95, 0.909, 0.902, 0.906]))
    assert found.verdict is Verdict.NOISE
    assert "may be chance: +0.23 points" in str(found)


def test_the_seed_of_the_search_counts_for_the_start_only() -> None:
    found = Comparison.of(study(t0=[0.90, 0.91], t3=[0.99, 0.91, 0.92]))
    assert found.start.accuracies == (0.90, 0.91)
    assert [arm.accuracies for arm in found.finalists] == [(0.91, 0.92)]


@pytest.mark.parametrize(
    "trials", [study(t0=[0.9]), study(t0=[0.9, 0.9], t1=[0.9, 0.9]), study(t0=[0.9], t1=[0.9] * 3)]
)
def test_with_less_than_two_seeds_nothing_is_known(trials: list[Trial]) -> None:
    found = Comparison.of(trials)
    assert (found.verdict, found.best, found.interval) == (Verdict.UNKNOWN, None, None)
    assert "It is not known" in str(found)


def test_a_finalist_that_failed_on_a_seed_is_left_out() -> None:
    trials = [*study(t0=[0.9, 0.9], t1=[0.9, 0.95, 0.95], t2=[0.9, 0.91, 0.92]), trial(1, 3, 0.1, TrialState.FAILED)]
    assert [arm.number for arm in Comparison.of(trials).finalists] == [2]


def test_start_that_failed_on_a_seed_is_compared_by_its_other_seeds() -> None:
    trials = [*study(t0=[0.9, 0.91], t1=[0.9, 0.95, 0.95]), trial(0, 2, 0.1, TrialState.FAILED)]
    found = Comparison.of(trials)
    assert (found.start.accuracies, [arm.number for arm in found.finalists]) == ((0.9, 0.91), [1])


def test_more_finalists_make_the_interval_wider() -> None:
    start, arms = [0.90, 0.91, 0.90], {"t1": [0.9, 0.93, 0.92, 0.93], "t2": [0.9, 0.91, 0.90, 0.92]}
    alone, among = (Comparison.of(study(t0=start, **dict(list(arms.items())[:count]))) for count in (1, 2))
    assert alone.interval is not None
    assert among.interval is not None
    assert among.interval[0] < alone.interval[0] < alone.interval[1] < among.interval[1]


def test_equal_recipes_rarely_seem_to_differ() -> None:
    """Three finalists like the start, 600 studies: the best must seem better in about 2.5 % of them, not in 20 %."""
    drawn = np.random.default_rng(1).normal(0.93, 0.002, (600, 4, 5))
    found = [
        Comparison(Arm(0, tuple(arms[0])), tuple(Arm(number, tuple(arms[number])) for number in (1, 2, 3))).verdict
        for arms in drawn.tolist()
    ]
    assert found.count(Verdict.BETTER) / len(found) < 0.04
