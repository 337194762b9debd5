"""The rules of a canary: a frozen value takes what a service says of both models, and returns what to do, and why.

Every interval is a confidence sequence, so it may be looked at as often as one likes. A challenger that is within the
limits is aborted by chance with a probability of at most 1 - confidence, over all steps and looks together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.promotion.sequential import share_interval
from fmnist.domain.model.traffic.canary_report import ArmReport
from fmnist.domain.model.traffic.drift import Verdict
from fmnist.domain.model.traffic.trial import TIME_BINS
from fmnist.domain.model.validation import check, check_types, known_fields

_SLOWER_BINS = 2
SLOWER = 2**_SLOWER_BINS
"""A challenger is slow if it takes so many times as long as the champion."""
_SLOW_SHARE = 0.05
_SEQUENTIAL_GUARDS = 5


class Finding(StrEnum):
    """What a guard says. `open` means that the challenger is not shown to be good enough yet."""

    FINE = "fine"
    OPEN = "open"
    TRIPPED = "tripped"


class Action(StrEnum):
    """What becomes of a canary."""

    START = "start"
    WAIT = "wait"
    ADVANCE = "advance"
    FINISH = "finish"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Guard:
    """One rule as it was applied, with its reason."""

    name: str
    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """The rules. The names of its fields are the keys of a policy's TOML file.

    Attributes:
        steps: shares of the challenger in percent, one after the other. After the last one it gets all requests.
        confidence: probability that a challenger within the limits is not aborted.
        max_error_rise: largest allowed rise of the share of failed calls, in [0, 1]. A step ends only when the rise is
            shown to be smaller. Without failures, that takes about 520 calls of the challenger for 0.02.
        max_class_shift: largest allowed difference in the share of a class among all answers, in [0, 1].
        max_accuracy_drop: largest allowed fall of the accuracy on labelled images, in [0, 1].
        min_agreement: required share of images with the same class from both, if a shadow compares them, in [0, 1].
        max_hours: time after which `--wait` aborts a step that has not ended.
    """

    steps: tuple[int, ...] = (5, 25, 50)
    confidence: float = 0.95
    max_error_rise: float = 0.02
    max_class_shift: float = 0.05
    max_accuracy_drop: float = 0.02
    min_agreement: float = 0.8
    max_hours: float = 24.0

    def __post_init__(self) -> None:
        check_types(self)
        are_whole = bool(self.steps) and all(type(step) is int for step in self.steps)
        rises = are_whole and list(self.steps) == sorted({*self.steps}) and self.steps[0] > 0 and self.steps[-1] < 100
        check(rises, "steps", "rising whole numbers between 0 and 100", list(self.steps))
        check(0.5 < self.confidence < 1, "confidence", "between 0.5 and 1", self.confidence)
        for name in ("max_error_rise", "max_class_shift", "max_accuracy_drop", "min_agreement"):
            check(0 <= getattr(self, name) <= 1, name, "in [0, 1]", getattr(self, name))
        check(self.max_error_rise > 0, "max_error_rise", "above 0", self.max_error_rise)
        check(self.max_hours > 0, "max_hours", "above 0", self.max_hours)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Read a policy. Absent fields have their defaults.

        Raises:
            InvalidSetting: a name is unknown, or a value is not allowed.
        """
        fields = known_fields(cls, "a canary policy", values)
        if "steps" in fields:
            check(isinstance(fields["steps"], list | tuple), "steps", "a list", repr(fields["steps"])[:40])
            fields["steps"] = tuple(fields["steps"])
        return cls(**fields)

    def after(self, percent: int) -> int:
        """Return the share that follows `percent`: the next step, or 100."""
        return next((step for step in self.steps if step > percent), 100)

    def judge(
        self, champion: ArmReport, challenger: ArmReport, compared: int = 0, agreed: int = 0
    ) -> tuple[Guard, ...]:
        """Apply every rule to what both models did. A shadow `compared` so many images, and both `agreed` on some."""
        return (
            self._errors(champion, challenger),
            self._times(champion, challenger),
            self._classes(champion, challenger),
            self._accuracy(champion, challenger),
            self._agreement(compared, agreed),
            _drift(champion, challenger),
        )

    def _level(self, comparisons: int) -> float:
        """Return the level of each of two intervals, if a guard makes so many comparisons of two models."""
        return 1 - (1 - self.confidence) / (len(self.steps) * _SEQUENTIAL_GUARDS * 2 * comparisons)

    def _errors(self, champion: ArmReport, challenger: ArmReport) -> Guard:
        low, high = _rise((champion.failed, champion.calls), (challenger.failed, challenger.calls), self._level(1))
        before, after = _of(champion.failed, champion.calls), _of(challenger.failed, challenger.calls)
        bounds = f"the rise is between {low:+.2%} and {high:+.2%}, {self.max_error_rise:.2%} allowed"
        return Guard(
            "errors",
            _finding(low, high, self.max_error_rise),
            f"{after} calls failed, of the champion's {before}; {bounds}",
        )

    def _times(self, champion: ArmReport, challenger: ArmReport) -> Guard:
        """Compare the shares of calls above each time: `SLOWER` times as long for the challenger."""
        level = self._level(TIME_BINS - _SLOWER_BINS)
        lows = [
            _rise(_above(champion, place), _above(challenger, place + _SLOWER_BINS), level)[0]
            for place in range(TIME_BINS - _SLOWER_BINS)
        ]
        is_slow = max(lows) > _SLOW_SHARE
        times = f"median {_median(challenger)} for one image, champion {_median(champion)}"
        reason = f"{times}; {'shown' if is_slow else 'not shown'} to be {SLOWER} times slower"
        return Guard("time", Finding.TRIPPED if is_slow else Finding.FINE, reason)

    def _classes(self, champion: ArmReport, challenger: ArmReport) -> Guard:
        level, calls, others = self._level(len(CLASS_NAMES)), sum(challenger.classes), sum(champion.classes)
        shifts = []
        for name, found, before in zip(CLASS_NAMES, challenger.classes, champion.classes, strict=True):
            low, high = _rise((before, others), (found, calls), level)
            shares = (
                f"{_share(found, calls)} of its calls begin with {name}, and {_share(before, others)} of the champion's"
            )
            shifts.append((max(low, -high), shares))
        least, worst = max(shifts)
        reason = f"{worst}; a shift of {self.max_class_shift:.0%} is allowed"
        return Guard("classes", Finding.TRIPPED if least > self.max_class_shift else Finding.FINE, reason)

    def _accuracy(self, champion: ArmReport, challenger: ArmReport) -> Guard:
        if not challenger.labelled or not champion.labelled:
            return Guard("accuracy", Finding.FINE, "no labels for both models")
        before, after = ((arm.labelled - arm.right, arm.labelled) for arm in (champion, challenger))
        low, high = _rise(before, after, self._level(1))
        right = f"{_of(challenger.right, challenger.labelled)} labelled images are right"
        reason = (
            f"{right}, of the champion's {_of(champion.right, champion.labelled)}; the fall is between {low:+.2%} and "
            f"{high:+.2%}, {self.max_accuracy_drop:.2%} allowed"
        )
        return Guard("accuracy", Finding.TRIPPED if low > self.max_accuracy_drop else Finding.FINE, reason)

    def _agreement(self, compared: int, agreed: int) -> Guard:
        if not compared:
            return Guard("agreement", Finding.FINE, "no shadow compares both models")
        high = share_interval(agreed, compared, self._level(1))[1]
        reason = f"the same class for {_of(agreed, compared)} images, {self.min_agreement:.0%} required"
        return Guard("agreement", Finding.TRIPPED if high < self.min_agreement else Finding.FINE, reason)


def _drift(champion: ArmReport, challenger: ArmReport) -> Guard:
    """Hold a challenger whose own traffic has drifted. A verdict holds for one look, so it never aborts."""
    alone = challenger.drift == Verdict.DRIFTED != champion.drift
    reason = (
        f"the challenger's traffic: {challenger.drift or 'no window'}, the champion's: {champion.drift or 'no window'}"
    )
    return Guard("drift", Finding.OPEN if alone else Finding.FINE, reason)


def _rise(champion: tuple[int, int], challenger: tuple[int, int], level: float) -> tuple[float, float]:
    """Return the least and the largest rise of a share from champion to challenger, each as (hits, trials)."""
    before, after = share_interval(*champion, level), share_interval(*challenger, level)
    return after[0] - before[1], after[1] - before[0]


def _finding(low: float, high: float, allowed: float) -> Finding:
    if low > allowed:
        return Finding.TRIPPED
    return Finding.FINE if high <= allowed else Finding.OPEN


def _above(arm: ArmReport, place: int) -> tuple[int, int]:
    return sum(arm.times[place:]), sum(arm.times)


def _median(arm: ArmReport) -> str:
    """Return the bin with the median time."""
    half, seen = sum(arm.times) / 2, 0
    for place, calls in enumerate(arm.times):
        seen += calls
        if calls and seen >= half:
            return f"{2**place / 1000:g}-{2 ** (place + 1) / 1000:g} ms"
    return "unknown"


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
