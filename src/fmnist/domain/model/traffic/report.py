"""What a service says of its recent traffic, as plain values: it travels as JSON from the service to its reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import RealizedAccuracy
from fmnist.domain.model.traffic.sketch import EDGES, Statistic

LIMIT = (
    "It holds for pictures like those of the training. On corrupted or strange pictures the model is overconfident, "
    "and its accuracy is lower than this."
)
"""Where the expected accuracy fails."""


@dataclass(frozen=True, slots=True)
class StatisticReport:
    """A statistic of the images or answers. Bin i counts the images from edge i to edge i + 1.

    Attributes:
        distance: Jensen-Shannon distance of the two histograms; None without a reference or without images.
        chance: distance that images like those of the reference rarely exceed; None as `distance`.
        reference: counts of the model's `val` split; None without a reference.
    """

    distance: float | None
    chance: float | None
    drifted: bool
    edges: tuple[float, ...]
    window: tuple[int, ...]
    reference: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class ExpectedAccuracy:
    """The accuracy that the confidences promise, with its 95 % interval. `limit` says where this fails."""

    value: float
    low: float
    high: float
    limit: str


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The window of recent traffic of the model that serves, from all replicas.

    Attributes:
        verdict: `ok`, `drifted`, or `unknown`.
        reason: why the verdict is unknown.
        since, until: the first and the last minute with an image, in ISO 8601 (UTC).
        reference_images: images of the model's `val` split; None without a reference.
        expected_accuracy: None without images.
        statistics: by the name of the statistic.
        realized_accuracy: of the labelled images of the last answers, which may be older than the window. None without
            labels, or while the feedback does not answer.
    """

    model_uri: str
    verdict: str
    reason: str | None
    images: int
    since: str | None
    until: str | None
    reference_images: int | None
    expected_accuracy: ExpectedAccuracy | None
    statistics: Mapping[str, StatisticReport]
    realized_accuracy: RealizedAccuracy | None = None

    @classmethod
    def of(cls, drift: Drift) -> Self:
        """Report on a judgement."""
        window = drift.window
        return cls(
            model_uri=drift.model_uri,
            verdict=str(drift.verdict),
            reason=drift.reason,
            images=window.sketch.images,
            since=_time(window.since),
            until=_time(window.until),
            reference_images=drift.reference.images if drift.reference else None,
            expected_accuracy=(
                ExpectedAccuracy(*window.sketch.expected_accuracy(), LIMIT) if window.sketch.images else None
            ),
            statistics={str(statistic): _statistic(drift, statistic) for statistic in Statistic},
            realized_accuracy=drift.realized,
        )


def _statistic(drift: Drift, statistic: Statistic) -> StatisticReport:
    found = drift.distances.get(statistic)
    return StatisticReport(
        distance=found.value if found else None,
        chance=found.chance if found else None,
        drifted=found.drifted if found else False,
        edges=tuple(EDGES[statistic].tolist()),
        window=drift.window.sketch.counts[statistic],
        reference=drift.reference.counts[statistic] if drift.reference else None,
    )


def _time(minute: int | None) -> str | None:
    return None if minute is None else datetime.fromtimestamp(60 * minute, UTC).strftime("%Y-%m-%dT%H:%MZ")
