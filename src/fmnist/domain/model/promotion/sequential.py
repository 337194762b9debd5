"""Intervals for a share that hold at all times at once. So one may look as often as one likes, and stop at any look."""

import math
from collections.abc import Callable

_PRIOR = 0.5
_STEPS = 40


def share_interval(hits: int, trials: int, level: float) -> tuple[float, float]:
    """Return the confidence sequence of a share after `trials`, of which `hits` were hits: low and high, in [0, 1].

    With a probability of at least `level`, the share is in the intervals of all numbers of trials. The trials must be
    independent, with one share. Without trials, it is [0, 1].

    The method is Robbins' mixture (1970, "Statistical methods related to the law of the iterated logarithm") of
    binomial likelihoods with Jeffreys' prior. The mixture over the likelihood of the true share is a martingale that
    starts at 1. By Ville's inequality it exceeds 1 / (1 - level) with a probability of at most 1 - level. Howard et al.
    2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences", gives the background.
    """
    if not trials:
        return 0.0, 1.0
    misses = trials - hits
    most = -math.log1p(-level) - (_log_beta(_PRIOR + hits, _PRIOR + misses) - _log_beta(_PRIOR, _PRIOR))

    def is_inside(share: float) -> bool:
        return -_times_log(hits, share) - _times_log(misses, 1 - share) < most

    found = hits / trials
    low = 0.0 if not hits else _edge(found, 0.0, is_inside)
    return low, 1.0 if not misses else _edge(found, 1.0, is_inside)


def _edge(inside: float, outside: float, is_inside: Callable[[float], bool]) -> float:
    """Return the end of the interval between a share inside and one outside, by bisection. It is outside."""
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
    return outside


def _times_log(count: int, share: float) -> float:
    if not count:
        return 0.0
    return count * math.log(share) if share > 0 else -math.inf


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
