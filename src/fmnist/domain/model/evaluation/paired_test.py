"""Compares two classifiers image by image, and tests whether their difference may be chance.

Results are deterministic. Figures stay counts or fractions, so that one on a threshold is compared exactly. Swapping
the roles of the models changes only the sign of every difference and interval.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.evaluation.metrics import Probabilities, expected_calibration_error

RESAMPLES = 10_000
_SEED = 20170825


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """Counts over the images that both models have classified.

    Attributes:
        only_champion, only_challenger: images that only this model classified correctly.
        support: images of each class.
        champion_hits, challenger_hits: correct answers of each model, for each class.
        champion_ece, challenger_ece: expected calibration errors.
    """

    only_champion: int
    only_challenger: int
    support: tuple[int, ...]
    champion_hits: tuple[int, ...]
    challenger_hits: tuple[int, ...]
    champion_ece: float
    challenger_ece: float

    @classmethod
    def of(cls, labels: npt.NDArray[Any], champion: Probabilities, challenger: Probabilities) -> Self:
        """Compare probabilities float32 (n, classes) for the same labels (n,), n >= 1.

        Raises:
            CorruptModel: a model gave a wrong number of answers, or answers that are not finite.
        """
        for who, probabilities in (("champion", champion), ("challenger", challenger)):
            if len(probabilities) != len(labels) or probabilities.shape != challenger.shape:
                raise CorruptModel(
                    f"the {who} gave probabilities of shape {probabilities.shape} for {len(labels)} images"
                )
            if not np.isfinite(probabilities).all():
                raise CorruptModel(f"the {who} gave probabilities that are not finite: the models cannot be compared")
        classes = champion.shape[1]
        old, new = champion.argmax(axis=1) == labels, challenger.argmax(axis=1) == labels
        return cls(
            only_champion=int((old & ~new).sum()),
            only_challenger=int((new & ~old).sum()),
            support=_count(labels, classes),
            champion_hits=_count(labels[old], classes),
            challenger_hits=_count(labels[new], classes),
            champion_ece=expected_calibration_error(labels, champion),
            challenger_ece=expected_calibration_error(labels, challenger),
        )

    @property
    def images(self) -> int:
        """How many images were compared."""
        return sum(self.support)

    @property
    def champion_accuracy(self) -> float:
        """Share of correct answers, in [0, 1]."""
        return sum(self.champion_hits) / self.images

    @property
    def challenger_accuracy(self) -> float:
        """Share of correct answers, in [0, 1]."""
        return sum(self.challenger_hits) / self.images

    @property
    def difference(self) -> Fraction:
        """Accuracy of the challenger minus that of the champion."""
        return Fraction(self.only_challenger - self.only_champion, self.images)

    @property
    def recall_changes(self) -> dict[int, Fraction]:
        """Recall of the challenger minus that of the champion, by class. A class without images is left out."""
        return {
            label: Fraction(new - old, count)
            for label, (count, old, new) in enumerate(
                zip(self.support, self.champion_hits, self.challenger_hits, strict=True)
            )
            if count
        }

    @property
    def p_value(self) -> float:
        """Two-sided p-value of McNemar's exact test: how likely this difference is if the models are equally good.

        McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages"; the
        exact conditional form is equation 2 of Fagerland, Lydersen and Laake 2013, "The McNemar test for binary
        matched-pairs data".
        """
        discordant = self.only_champion + self.only_challenger
        # Each binomial coefficient comes from the one before. For 10,000 images, separate ones would take seconds.
        coefficient = tail = 1
        for count in range(min(self.only_champion, self.only_challenger)):
            coefficient = coefficient * (discordant - count) // (count + 1)
            tail += coefficient
        return min(1.0, 2 * tail / (1 << discordant))

    def interval(self, confidence: float) -> tuple[Fraction, Fraction]:
        """Return the percentile bootstrap interval of `difference`, from 10,000 resamples with a fixed seed.

        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13. A resample of the images is one
        multinomial draw of how many images only one model gets right. It is drawn for the better and the worse model.
        If both are equally good, each resample is used with its mirror image. So swapping the models turns the sign.
        """
        better, worse = sorted((self.only_challenger, self.only_champion), reverse=True)
        same = self.images - better - worse
        shares = np.array([better, worse, same]) / self.images
        draws = np.random.default_rng(_SEED).multinomial(self.images, shares, size=RESAMPLES)
        differences = draws[:, 0] - draws[:, 1]
        if better == worse:
            differences = np.concatenate([differences, -differences])
        if self.only_champion > self.only_challenger:
            differences = -differences
        ordered = np.sort(differences)
        outside = int(Fraction(len(ordered)) * (1 - Fraction(repr(confidence))) / 2)
        return Fraction(int(ordered[outside]), self.images), Fraction(int(ordered[-1 - outside]), self.images)


def _count(labels: npt.NDArray[Any], classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())
