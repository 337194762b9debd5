"""Counts of a trial add up, however the calls are divided."""

from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.traffic.trial import TIME_BINS, Arm, TrialCounts

CALLS = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9)), max_size=30)


def arm(calls: list[tuple[float, int]], failed: int = 0) -> Arm:
    return Arm.of([seconds for seconds, _ in calls], [label for _, label in calls], failed)


@given(calls=CALLS, cut=st.integers(0, 30), failed=st.integers(0, 5))
def test_any_division_gives_the_same_counts(calls: list[tuple[float, int]], cut: int, failed: int) -> None:
    pieces = [
        TrialCounts(champion=arm(calls[:cut], failed), began=5),
        TrialCounts(champion=arm(calls[cut:]), challenger=arm(calls), began=3),
        TrialCounts(),
    ]
    whole = TrialCounts(champion=arm(calls, failed), challenger=arm(calls), began=3)
    assert TrialCounts.joined(pieces) == whole
    assert TrialCounts.joined([TrialCounts.joined(pieces[1:]), pieces[0]]) == whole
    assert TrialCounts.joined([]) == TrialCounts()


def test_times_fall_into_bins_of_doubling_length() -> None:
    found = arm([(seconds, 3) for seconds in (0.0, 1e-6, 2e-6, 3.9e-6, 0.001, 1000.0)]).times
    assert {place: count for place, count in enumerate(found) if count} == {0: 2, 1: 2, 9: 1, TIME_BINS - 1: 1}
