"""Two classifiers on the same images, compared image by image: what differs between them, and what may be chance.

Deterministic, and exact where a threshold may be touched: figures are counts or fractions until they are shown. With
the roles swapped, every difference and interval has its sign turned and nothing else.
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
    """Counts over `images` pictures that both models have classified.

    Attributes:
        only_champion, only_challenger: pictures that this one alone got right.
        support: pictures of each class.
        champion_hits, challenger_hits: those of them that each got right.
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
            CorruptModel: one of them gave another number of answers, or some that are not finite.
        """
        for who, probabilities in (("champion", champion), ("challenger", challenger)):
            if len(probabilities) != len(labels) or probabilities.shape != challenger.shape:
                raise CorruptModel(f"the {who} gave {probabilities.shape} probabilities for {len(labels)} images")
            if not np.isfinite(probabilities).all():
                raise CorruptModel(f"the {who} gives probabilities that are not numbers: there is nothing to compare")
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
        """How many pictures were compared."""
        return sum(self.support)

    @property
    def champion_accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return sum(self.champion_hits) / self.images

    @property
    def challenger_accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return sum(self.challenger_hits) / self.images

    @property
    def difference(self) -> Fraction:
        """Accuracy of the challenger less that of the champion."""
        return Fraction(self.only_challenger - self.only_champion, self.images)

    @property
    def recall_changes(self) -> dict[int, Fraction]:
        """Recall of the challenger less that of the champion, by class; a class without pictures has none."""
        return {
            label: Fraction(new - old, count)
            for label, (count, old, new) in enumerate(
                zip(self.support, self.champion_hits, self.challenger_hits, strict=True)
            )
            if count
        }

    @property
    def p_value(self) -> float:
        """McNemar's exact test, two-sided: how likely so uneven a split is when both models are equally good.

        McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages"; the
        exact conditional form is equation 2 of Fagerland, Lydersen and Laake 2013, "The McNemar test for binary
        matched-pairs data".
        """
        discordant = self.only_champion + self.only_challenger
        # Binomial coefficients one from another: each on its own would take seconds for ten thousand images.
        coefficient = tail = 1
        for count in range(min(self.only_champion, self.only_challenger)):
            coefficient = coefficient * (discordant - count) // (count + 1)
            tail += coefficient
        return min(1.0, 2 * tail / (1 << discordant))

    def interval(self, confidence: float) -> tuple[Fraction, Fraction]:
        """Percentile bootstrap interval of `difference` over 10,000 resamples of the pictures, from a fixed seed.

        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13. A resample of pictures is one draw
        of how many of them only one model gets right, which is a multinomial one. The draw knows the models only as
        the better and the worse, and takes each resample with its mirror image when neither is: so swapping them turns
        the sign.
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
