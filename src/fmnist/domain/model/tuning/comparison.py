"""Whether a recipe is better than the starting recipe, or only luckier. Seeds of one recipe differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

import numpy as np

from fmnist.domain.model.tuning.trial import START, Trial, TrialState

_ERROR = 0.05
_STEPS = 100_001


class Verdict(Enum):
    """The comparison of the best finalist with the starting recipe."""

    BETTER = auto()
    WORSE = auto()
    NOISE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Arm:
    """The accuracies on `val` of one recipe over seeds that did not choose it."""

    number: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds, which are two or more."""
        return float(np.std(self.accuracies, ddof=1))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The starting recipe against the finalists, each with two seeds or more.

    The search chose each finalist for its luck, too. So the seed of the search does not count for a finalist. It counts
    for the starting recipe, which nobody chose.
    """

    start: Arm
    finalists: tuple[Arm, ...]

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Self:
        """Compare by the complete trainings of a study.

        A finalist of which a seed failed is left out. The start is compared by its other seeds, which favours it.
        """
        accuracies: dict[int, dict[int, float]] = {}
        failed = {trial.number for trial in trials if trial.seed and trial.state is TrialState.FAILED}
        for trial in trials:
            counts = trial.number == START or (trial.seed > 0 and trial.number not in failed)
            if counts and trial.state is TrialState.COMPLETE and trial.accuracy is not None:
                accuracies.setdefault(trial.number, {})[trial.seed] = trial.accuracy
        arms = {
            number: Arm(number, tuple(value for _, value in sorted(found.items())))
            for number, found in sorted(accuracies.items())
        }
        start = arms.pop(START, Arm(START, ()))
        enough = len(start.accuracies) > 1
        return cls(start, tuple(arm for arm in arms.values() if enough and len(arm.accuracies) > 1))

    @property
    def best(self) -> Arm | None:
        """The finalist with the highest mean; None without a finalist."""
        return max(self.finalists, key=lambda arm: (arm.mean, -arm.number), default=None)

    @property
    def difference(self) -> float:
        """Mean accuracy of the best finalist minus that of the starting recipe; 0 without a finalist."""
        return self.best.mean - self.start.mean if self.best else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of `difference`; None without a finalist.

        The best is chosen among the finalists, so each has its share of the error (Bonferroni; Dunn 1961, "Multiple
        comparisons among means"). Then the interval also holds for the best.
        """
        if self.best is None:
            return None
        return welch_interval(self.best, self.start, 1 - _ERROR / len(self.finalists))

    @property
    def verdict(self) -> Verdict:
        """Whether the best finalist beats the starting recipe beyond noise."""
        if self.interval is None:
            return Verdict.UNKNOWN
        low, high = self.interval
        return Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.NOISE

    def __str__(self) -> str:
        """Return the verdict as text for people."""
        if self.best is None or self.interval is None:
            return "It is not known whether a trial beats the starting recipe: no finalist has two seeds yet."
        low, high = (f"{100 * bound:+.2f}" for bound in self.interval)
        numbers = f"{100 * self.difference:+.2f} points on val (95 % interval {low} to {high})"
        best = f"trial {self.best.number}"
        return {
            Verdict.BETTER: f"{best.capitalize()} beats the starting recipe beyond noise: {numbers}.",
            Verdict.WORSE: f"No trial beats the starting recipe. The best finalist, {best}, is worse: {numbers}.",
            Verdict.NOISE: "No trial beats the starting recipe beyond noise. The difference of the best finalist, "
            f"{best}, may be chance: {numbers}.",
        }[self.verdict]


def welch_interval(arm: Arm, other: Arm, confidence: float) -> tuple[float, float]:
    """Return the interval of the difference of two means, of two or more values each, whose spreads may differ.

    Welch 1947, "The generalization of 'Student's' problem when several different population variances are involved",
    with the degrees of freedom of Satterthwaite 1946. If no value differs within both arms, it has no width.
    """
    difference = arm.mean - other.mean
    squares = [each.spread**2 / len(each.accuracies) for each in (arm, other)]
    if not sum(squares):
        return difference, difference
    # As shares: the square of a tiny number would be zero.
    shares = [square / sum(squares) for square in squares]
    freedom = 1 / sum(share**2 / (len(each.accuracies) - 1) for share, each in zip(shares, (arm, other), strict=True))
    half = t_quantile(confidence, freedom) * math.sqrt(sum(squares))
    return difference - half, difference + half


def t_quantile(confidence: float, freedom: float) -> float:
    """Return the t for which Student's distribution has `confidence` of its mass in [-t, t]. `freedom` is at least 1.

    With t = sqrt(freedom) * tan(angle), the density becomes cos(angle) ** (freedom - 1), which is easy to integrate.
    """
    angles = np.linspace(0, np.pi / 2, _STEPS)
    density = np.cos(angles) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return math.sqrt(freedom) * math.tan(float(np.interp(confidence * mass[-1], mass, angles)))
