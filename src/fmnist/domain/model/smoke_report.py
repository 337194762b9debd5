"""What a smoke test of a service is told to do, and what it found."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from fmnist.domain.model.errors import StoreUnavailable, UnexpectedReply
from fmnist.domain.model.policy import Rule

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokePlan:
    """What is asked of a service.

    Attributes:
        images: test images that accuracy is measured on, from the split's start.
        min_accuracy: the share of them that has to be right.
        max_images: the service's own limit for one request.
        model_uri: the version that has to serve; None is any.
        has_key: whether the service is reached with an API key, on which it then has to insist.
        timed_requests: with one image each, that latency is measured by; a fifth as many are of a large batch.
        wait: seconds to wait for the service to be ready, with that version and no other.
    """

    images: int = 200
    min_accuracy: float = 0.6
    max_images: int = 1000
    model_uri: str | None = None
    has_key: bool = False
    timed_requests: int = 50
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long requests of `images` images took one after the other: median, 99th percentile and longest, in seconds.

    Percentiles are of the nearest rank, so that each is a time that was measured.
    """

    images: int
    requests: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, images: int, seconds: Sequence[float]) -> Self:
        """Sum up at least one measurement."""
        ranked = sorted(seconds)
        p50, p99 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99))
        return cls(images=images, requests=len(ranked), p50=p50, p99=p99, longest=ranked[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """What a smoke test found.

    Attributes:
        models: the model URIs that answered, in the order of their first answer.
        data_version: the one whose images were sent; None when it did not come to that.
    """

    checks: tuple[Rule, ...]
    latencies: tuple[Latency, ...] = ()
    models: tuple[str, ...] = ()
    data_version: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


class Checks:
    """Runs checks of a service one by one; one that fails is noted, and does not keep the next from running."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def run(self, name: str, check: Callable[[], _Value], told: Callable[[_Value], str] = str) -> _Value | None:
        """Note what `check` comes to, with `told` putting its value in words; return the value, or None if it fails.

        A check fails by raising `UnexpectedReply`, or `StoreUnavailable` when the service gives no answer.
        """
        try:
            value = check()
        except (UnexpectedReply, StoreUnavailable) as error:
            self._rules.append(Rule(name, passed=False, figures={}, reason=str(error)))
            return None
        self._rules.append(Rule(name, passed=True, figures={}, reason=told(value)))
        return value

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The checks so far, in their order."""
        return tuple(self._rules)
