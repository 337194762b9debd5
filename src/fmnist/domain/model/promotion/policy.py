"""The rules of promotion: a frozen value takes measured figures, and returns a decision with its reasons.

It measures nothing, reads nothing and keeps no state. Thresholds are compared as the decimal numbers that a person
wrote. So a figure exactly at its threshold passes.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.paired_test import PairedComparison
from fmnist.domain.model.evaluation.robustness import CELLS, Hits, corruption_accuracy, mean_interval
from fmnist.domain.model.validation import check, check_types, known_fields

TEST_LIMITS = frozenset({"max_latency_ms", "max_latency_ratio", "min_accuracy"})
"""Fields of a policy that the test of a staged model uses; a comparison uses the others."""


class Mode(StrEnum):
    """Basis of a decision: a metric that each run logged, or both models measured on the same images."""

    CONTRACT = "contract"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as it was applied: its figures by name, and the reason why it passed or failed."""

    name: str
    passed: bool
    figures: Mapping[str, float]
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision of a policy about a challenger. The challenger is promoted if every rule passed."""

    mode: Mode
    rules: tuple[Rule, ...]

    @property
    def promoted(self) -> bool:
        """Whether the challenger replaces the champion."""
        return all(rule.passed for rule in self.rules)

    @property
    def message(self) -> str:
        """The decision with its reasons in one line."""
        return f"{'promote' if self.promoted else 'refuse'}: {self.reasons}"

    @property
    def reasons(self) -> str:
        """The rules that decided: those that failed, or all rules if none failed."""
        decisive = self.rules if self.promoted else [rule for rule in self.rules if not rule.passed]
        return " | ".join(f"{rule.name}: {rule.reason}" for rule in decisive)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionPolicy:
    """The rules of promotion. The names of its fields are the keys of a policy's TOML file.

    Attributes:
        metric, higher_is_better, threshold: the contract's rule; the threshold is a relative improvement.
        min_gain: required gain in accuracy, in [-1, 1], at the lower end of the confidence interval. With a negative
            value a challenger need not be shown to be better, but must not be shown to be worse.
        confidence: confidence level of that interval. The level of McNemar's test is 1 minus it.
        max_class_drop: largest allowed loss of recall of any class, in [0, 1].
        max_calibration_loss: largest allowed rise of the expected calibration error, in [0, 1].
        min_corruption_accuracy: required mean corruption accuracy, also without a champion, in [0, 1]; None: no rule.
        max_corruption_drop: largest allowed fall of the mean corruption accuracy, in [0, 1], at the lower end of the
            confidence interval; None: no rule.
        max_latency_ms: largest allowed median latency of a staged model for one image, in ms. With the default, a
            replica with 32 queued requests answers the last one after 16 s. That is half of the request timeout, 30 s.
            At the autoscaling target of 2 ongoing requests, a caller waits for 1 s. The network of `best` takes
            50 to 80 ms on two busy CPU cores, and that of `resnet18` 1 to 10 ms. So noise of a machine does not decide.
        max_latency_ratio: largest allowed ratio of that latency to the champion's; None sets no limit. The ratio of two
            small networks is near 2, and noise changes it by a fifth.
        min_accuracy: required accuracy of a staged model on known images, also without a champion, in [0, 1]. The
            default is that of the smoke test.
    """

    metric: str = "val_acc"
    higher_is_better: bool = True
    threshold: float = 0.05
    min_gain: float = 0.0
    confidence: float = 0.95
    max_class_drop: float = 0.05
    max_calibration_loss: float = 0.02
    min_corruption_accuracy: float | None = None
    max_corruption_drop: float | None = None
    max_latency_ms: float = 500.0
    max_latency_ratio: float | None = None
    min_accuracy: float = 0.6

    def __post_init__(self) -> None:
        check_types(self)
        check(isinstance(self.metric, str) and self.metric, "metric", "a metric's name", repr(self.metric))
        check(math.isfinite(self.threshold), "threshold", "a finite number", self.threshold)
        check(-1 <= self.min_gain <= 1, "min_gain", "in [-1, 1]", self.min_gain)
        check(0.5 < self.confidence < 1, "confidence", "between 0.5 and 1", self.confidence)
        for name in ("max_class_drop", "max_calibration_loss", "min_accuracy"):
            check(0 <= getattr(self, name) <= 1, name, "in [0, 1]", getattr(self, name))
        for name in ("min_corruption_accuracy", "max_corruption_drop"):
            share = getattr(self, name)
            check(share is None or 0 <= share <= 1, name, "in [0, 1]", share)
        check(0 < self.max_latency_ms < math.inf, "max_latency_ms", "above 0", self.max_latency_ms)
        ratio = self.max_latency_ratio
        check(ratio is None or 0 < ratio < math.inf, "max_latency_ratio", "above 0", ratio)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make a policy from the values of a TOML file. An absent value keeps its default.

        Raises:
            InvalidSetting: a name is not an attribute, or a value is not allowed.
        """
        return cls(**known_fields(cls, "a policy", values))

    def differences(self, other: Self, names: Collection[str] | None = None) -> str:
        """Return the fields (of `names`, if given) whose values differ from those of `other`, as one text."""
        mine, its = dataclasses.asdict(self), dataclasses.asdict(other)
        return ", ".join(
            f"{name} {mine[name]}, not {its[name]}"
            for name in mine
            if mine[name] != its[name] and (names is None or name in names)
        )

    def first(self, mode: Mode, figures: Mapping[str, float]) -> Decision:
        """Promote the challenger because there is no champion. `figures` are its known metrics."""
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        reason = f"there is no champion yet; the challenger has {told}"
        return Decision(mode, (Rule("champion", passed=True, figures=figures, reason=reason),))

    def by_metric(self, challenger: float, champion: float) -> Decision:
        """Apply the contract's rule to a metric of both runs.

        The relative improvement is (new - old) / |old|. Its sign is turned where lower is better. For an old value
        of 0, the improvement counts as 1.0, or as -1.0 if the new value is worse. Both values must be finite.
        """
        change = _decimal(challenger) - _decimal(champion)
        if not self.higher_is_better:
            change = -change
        old = abs(_decimal(champion))
        improvement = change / old if old else Fraction(-1 if change < 0 else 1)
        passed = improvement >= _decimal(self.threshold)
        figures = {
            "challenger": challenger,
            "champion": champion,
            "improvement": float(improvement),
            "threshold": self.threshold,
        }
        reason = (
            f"{self.metric} {champion:.4f} -> {challenger:.4f}, an improvement of {float(improvement):+.2%}; "
            f"at least {self.threshold:+.2%} is required"
        )
        return Decision(Mode.CONTRACT, (Rule("relative improvement", passed, figures, reason),))

    def by_comparison(self, comparison: PairedComparison) -> Decision:
        """Apply the rules to both models' answers for the same images."""
        rules = (self._gain(comparison), self._noise(comparison), self._classes(comparison), self._ece(comparison))
        return Decision(Mode.EVALUATE, rules)

    def corruptions(self, challenger: Hits, champion: Hits | None) -> tuple[Rule, ...]:
        """Apply the rules to answers for corrupted images.

        Args:
            challenger: for each image, number of corruptions with a right answer, int64 (n,).
            champion: the same of the champion, for the same images; None if there is none.
        """
        found, rules = corruption_accuracy(challenger), list[Rule]()
        if (least := self.min_corruption_accuracy) is not None:
            figures = {"accuracy": found, "required": least}
            reason = f"mean corruption accuracy {found:.2%}, {least:.2%} required"
            rules.append(Rule("corruption accuracy", _decimal(found) >= _decimal(least), figures, reason))
        if (allowed := self.max_corruption_drop) is not None and champion is not None:
            low, high = mean_interval((challenger - champion) / CELLS, self.confidence)
            before = corruption_accuracy(champion)
            figures = {"champion": before, "challenger": found, "low": low, "high": high, "allowed": allowed}
            reason = (
                f"mean corruption accuracy {before:.2%} -> {found:.2%} ({self.confidence:.0%} interval of the change "
                f"{_points(low)} to {_points(high)} points); the lower end must be at least {_points(-allowed)}"
            )
            rules.append(Rule("corruption drop", _decimal(low) >= -_decimal(allowed), figures, reason))
        return tuple(rules)

    def latency(self, seconds: float, champion: float | None, unknown: str) -> Rule:
        """Judge the latency of a staged model for one image. Without the champion's latency, `unknown` says why."""
        figures = {"seconds": seconds, "allowed_ms": self.max_latency_ms}
        reason = f"{seconds * 1e3:.2f} ms for one image, {self.max_latency_ms:g} ms allowed; "
        passed = seconds * 1e3 <= self.max_latency_ms
        if champion is None:
            return Rule("latency", passed, figures, reason + unknown)
        ratio = seconds / champion if champion else 1.0
        figures |= {"champion_seconds": champion, "ratio": ratio}
        reason += f"{ratio:.2f} times the champion's"
        if self.max_latency_ratio is not None:
            figures["allowed"] = self.max_latency_ratio
            reason += f", {self.max_latency_ratio:g} times allowed"
            passed = passed and ratio <= self.max_latency_ratio
        return Rule("latency", passed, figures, reason)

    def _gain(self, comparison: PairedComparison) -> Rule:
        low, high = comparison.interval(self.confidence)
        figures = {
            "champion": comparison.champion_accuracy,
            "challenger": comparison.challenger_accuracy,
            "difference": float(comparison.difference),
            "low": float(low),
            "high": float(high),
            "required": self.min_gain,
            "images": comparison.images,
        }
        reason = (
            f"{comparison.champion_accuracy:.2%} -> {comparison.challenger_accuracy:.2%}, a change of "
            f"{_points(comparison.difference)} points ({self.confidence:.0%} interval {_points(low)} to "
            f"{_points(high)}); the lower end must be at least {_points(self.min_gain)}"
        )
        return Rule("accuracy", low >= _decimal(self.min_gain), figures, reason)

    def _noise(self, comparison: PairedComparison) -> Rule:
        """With `min_gain` >= 0 the difference must be a significant gain, else it must not be a significant loss."""
        level = 1 - _decimal(self.confidence)
        significant = Fraction(comparison.p_value) <= level
        worse = comparison.difference < 0
        passed = significant and not worse if self.min_gain >= 0 else not (significant and worse)
        figures = {
            "only_challenger_right": comparison.only_challenger,
            "only_champion_right": comparison.only_champion,
            "p_value": comparison.p_value,
            "level": float(level),
        }
        # A smaller p-value says nothing more, and would be printed as 0.
        p_value = f"p = {comparison.p_value:.2g}" if comparison.p_value >= 1e-6 else "p < 1e-6"
        reason = (
            f"only the challenger is right on {comparison.only_challenger} images, only the champion on "
            f"{comparison.only_champion}: {'a' if significant else 'no'} significant difference ({p_value}, "
            f"level {float(level):.2g})"
        )
        return Rule("McNemar", passed, figures, reason)

    def _classes(self, comparison: PairedComparison) -> Rule:
        changes = comparison.recall_changes
        worst = min(changes, key=lambda label: (changes[label], label))
        figures = {CLASS_NAMES[label]: float(change) for label, change in changes.items()}
        reason = (
            f"the worst change of recall is {_points(changes[worst])} points, for {CLASS_NAMES[worst]}; a loss of "
            f"{100 * self.max_class_drop:.2f} points is allowed"
        )
        passed = changes[worst] >= -_decimal(self.max_class_drop)
        return Rule("classes", passed, {**figures, "allowed": self.max_class_drop}, reason)

    def _ece(self, comparison: PairedComparison) -> Rule:
        rise = _decimal(comparison.challenger_ece) - _decimal(comparison.champion_ece)
        figures = {
            "champion": comparison.champion_ece,
            "challenger": comparison.challenger_ece,
            "allowed": self.max_calibration_loss,
        }
        reason = (
            f"calibration error {comparison.champion_ece:.4f} -> {comparison.challenger_ece:.4f}; a rise of "
            f"{self.max_calibration_loss:.4f} is allowed"
        )
        return Rule("calibration", rise <= _decimal(self.max_calibration_loss), figures, reason)


def _decimal(value: float) -> Fraction:
    """Return the number as it is written, without binary rounding: 0.945 is exactly 5 % more than 0.9."""
    return Fraction(repr(float(value)))


def _points(share: Fraction | float) -> str:
    return f"{100 * float(share):+.2f}"
