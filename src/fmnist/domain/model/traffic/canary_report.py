"""What a service says of its canary, as plain values: it travels as JSON from the service to its reader."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import RealizedAccuracy
from fmnist.domain.model.traffic.sketch import Counts
from fmnist.domain.model.traffic.trial import Arm


class CanaryState(StrEnum):
    """What a replica does with its canary."""

    NONE = "none"
    LOADING = "loading"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """What one model did since the challenger has this share of the requests, in all replicas.

    Attributes:
        times, failed, classes: calls and images, as in `Arm`.
        drift: verdict on the model's recent traffic: `ok`, `drifted` or `unknown`. None without a window.
        expected_accuracy: accuracy that the confidences of this traffic promise; None without images.
        labelled, right: labelled images of its answers, and how many of them were answered right.
    """

    model_uri: str
    times: Counts
    failed: int
    classes: Counts
    drift: str | None
    expected_accuracy: float | None
    labelled: int
    right: int

    @classmethod
    def of(cls, model_uri: str, arm: Arm, drift: Drift | None, realized: RealizedAccuracy | None) -> Self:
        """Report on a model."""
        window = drift.window.sketch if drift else None
        return cls(
            model_uri=model_uri,
            times=arm.times,
            failed=arm.failed,
            classes=arm.classes,
            drift=str(drift.verdict) if drift else None,
            expected_accuracy=window.expected_accuracy()[0] if window and window.images else None,
            labelled=realized.labelled if realized else 0,
            right=realized.right if realized else 0,
        )

    @property
    def calls(self) -> int:
        """Number of all calls."""
        return sum(self.times) + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """The canary of a service.

    Attributes:
        state: `none`, `loading`, `running` or `failed`, of the replica that answers.
        reason: why the challenger does not answer in this replica.
        percent: its share of the requests.
        began: second of the first call with this share since 1970 (UTC); None before it.
        champion, challenger: what both did; None while the challenger does not answer in this replica.
        compared, agreed: images that a shadow with the challenger's model compared, and those with the same class.
    """

    state: str = str(CanaryState.NONE)
    reason: str | None = None
    model_uri: str | None = None
    challenger_uri: str | None = None
    percent: int = 0
    began: int | None = None
    champion: ArmReport | None = None
    challenger: ArmReport | None = None
    compared: int = 0
    agreed: int = 0
