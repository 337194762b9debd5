"""The error rate of a confidence sequence, by simulation, beside that of an interval for one look."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.promotion.sequential import share_interval

LEVEL = 0.9
LOOKS = np.unique(np.geomspace(5, 3000, 60).astype(int))


def missed(interval: Callable[[int, int, float], tuple[float, float]], share: float, times: int) -> float:
    """Return how many of so many sequences leave the interval at any look."""
    random = np.random.default_rng(7)
    count = 0
    for _ in range(times):
        hits = (random.random(LOOKS[-1]) < share).cumsum()[LOOKS - 1]
        bounds = [interval(int(found), int(trials), LEVEL) for found, trials in zip(hits, LOOKS, strict=True)]
        count += any(not low <= share <= high for low, high in bounds)
    return count / times


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_sequence_misses_the_share_at_any_look_no_more_often_than_stated(share: float) -> None:
    assert missed(share_interval, share, 200) <= 1 - LEVEL
    # An interval for a single look is no substitute.
    assert missed(wilson_interval, share, 50) > 3 * (1 - LEVEL)


@given(hits=st.integers(0, 2000), misses=st.integers(0, 2000), level=st.floats(0.5, 0.9999))
def test_interval_holds_the_found_share_and_narrows_with_a_lower_level(hits: int, misses: int, level: float) -> None:
    low, high = share_interval(hits, hits + misses, level)
    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low <= hits / (hits + misses) <= high
    other = share_interval(misses, hits + misses, level)
    assert (1 - other[1], 1 - other[0]) == pytest.approx((low, high), abs=1e-9)
    narrow = share_interval(hits, hits + misses, level / 2)
    assert low <= narrow[0]
    assert narrow[1] <= high


def test_known_interval() -> None:
    # For no hit in n trials, the upper end u solves B(1/2, n + 1/2) / B(1/2, 1/2) / (1 - u)^n = 20.
    low, high = share_interval(0, 100, 0.95)
    log_mixture = np.log([(2 * k - 1) / (2 * k) for k in range(1, 101)]).sum()
    assert (low, high) == (0, pytest.approx(1 - np.exp((log_mixture - np.log(20)) / 100)))
    assert share_interval(0, 0, 0.95) == (0, 1)
