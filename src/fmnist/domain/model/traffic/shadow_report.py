"""What a service says of its shadow, as plain values: it travels as JSON from the service to its reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.traffic.agreement import Agreement
from fmnist.domain.model.traffic.sketch import MILLION


class ShadowState(StrEnum):
    """What a replica does with its shadow."""

    NONE = "none"
    LOADING = "loading"
    RUNNING = "running"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class AgreementShare:
    """The share of images that got the same class from both models, with its 95 % interval (Wilson)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """The images of one class of the serving model, and how many of them got the same class from the shadow."""

    class_name: str
    images: int
    agreed: int


@dataclass(frozen=True, slots=True)
class ModelMeans:
    """The mean confidence of a model, and its mean milliseconds for one image."""

    confidence: float
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """The comparison of the model that serves with its shadow. The counts are of all replicas.

    Attributes:
        state: `none`, `loading`, `running` or `off`, of the replica that answers.
        reason: why the shadow is off in this replica, or what is awaited.
        faults: reasons of all replicas that switched the shadow off, since the pair was first compared.
        model_uri: the version that serves; None without one.
        shadow_uri: the version of the shadow; before it is loaded, the desired model.
        images: number of compared images.
        dropped: number of images that were not compared.
        agreement: None without images, as the means.
        confidence_difference: mean absolute difference of the two confidences.
    """

    state: str = str(ShadowState.NONE)
    reason: str | None = None
    faults: tuple[str, ...] = ()
    model_uri: str | None = None
    shadow_uri: str | None = None
    images: int = 0
    dropped: int = 0
    agreement: AgreementShare | None = None
    classes: tuple[ClassAgreement, ...] = ()
    model: ModelMeans | None = None
    shadow: ModelMeans | None = None
    confidence_difference: float | None = None

    @classmethod
    def of(
        cls,
        found: Agreement,
        *,
        state: ShadowState,
        reason: str | None,
        model_uri: str | None,
        shadow_uri: str,
        class_names: Sequence[str] = CLASS_NAMES,
    ) -> Self:
        """Report on the comparison. `class_names` are those of the serving model."""
        images, agreed = sum(found.images), sum(found.agreed)
        rows = zip(class_names, found.images, found.agreed, strict=True)
        return cls(
            state=str(state),
            reason=reason,
            faults=found.faults,
            model_uri=model_uri,
            shadow_uri=shadow_uri,
            images=images,
            dropped=found.dropped,
            agreement=AgreementShare(agreed / images, *wilson_interval(agreed, images)) if images else None,
            classes=tuple(ClassAgreement(*row) for row in rows),
            model=_means(found.confidence, found.microseconds, images),
            shadow=_means(found.shadow_confidence, found.shadow_microseconds, images),
            confidence_difference=found.difference / MILLION / images if images else None,
        )


def _means(confidence: int, microseconds: int, images: int) -> ModelMeans | None:
    return ModelMeans(confidence / MILLION / images, microseconds / 1000 / images) if images else None
