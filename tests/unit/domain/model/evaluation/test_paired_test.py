"""The paired comparison of two classifiers, against slow references and known values."""

from fractions import Fraction
from math import comb, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.evaluation.metrics import Evaluation
from fmnist.domain.model.evaluation.paired_test import PairedComparison

SEEDS = st.integers(0, 2**32 - 1)


def answers(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, n).astype(np.uint8)
    champion, challenger = generator.dirichlet(np.ones(10) * 0.3, (2, n)).astype(np.float32)
    return labels, champion, challenger


def counted(only_champion: int, only_challenger: int) -> PairedComparison:
    return PairedComparison(
        only_champion=only_champion,
        only_challenger=only_challenger,
        support=(10_000,),
        champion_hits=(1000 + only_champion,),
        challenger_hits=(1000 + only_challenger,),
        champion_ece=0,
        challenger_ece=0,
    )


@given(SEEDS)
def test_counts_agree_with_the_evaluations_of_each(seed: int) -> None:
    labels, champion, challenger = answers(seed)
    compared = PairedComparison.of(labels, champion, challenger)
    old, new = Evaluation.of(labels, champion), Evaluation.of(labels, challenger)
    assert compared.images == 60
    assert compared.champion_accuracy == pytest.approx(old.accuracy)
    assert compared.challenger_accuracy == pytest.approx(new.accuracy)
    assert (compared.champion_ece, compared.challenger_ece) == (old.ece, new.ece)
    assert float(compared.difference) == pytest.approx(new.accuracy - old.accuracy)
    for label, change in compared.recall_changes.items():
        of_class = labels == label
        hits = [(p.argmax(axis=1) == labels)[of_class].mean() for p in (challenger, champion)]
        assert float(change) == pytest.approx(hits[0] - hits[1])


@given(SEEDS, st.sampled_from([0.8, 0.95, 0.99]))
def test_swapping_the_models_changes_every_sign(seed: int, confidence: float) -> None:
    labels, champion, challenger = answers(seed)
    one = PairedComparison.of(labels, champion, challenger)
    other = PairedComparison.of(labels, challenger, champion)
    assert other.difference == -one.difference
    assert other.p_value == one.p_value
    assert other.recall_changes == {label: -change for label, change in one.recall_changes.items()}
    low, high = one.interval(confidence)
    assert other.interval(confidence) == (-high, -low)
    assert low <= one.difference <= high


@given(st.integers(0, 500))
def test_interval_of_equally_good_models_is_symmetric(each: int) -> None:
    low, high = counted(each, each).interval(0.95)
    assert low == -high


def test_interval_agrees_with_resampled_images() -> None:
    labels, champion, challenger = answers(3, 400)
    compared = PairedComparison.of(labels, champion, challenger)
    differences = (challenger.argmax(axis=1) == labels).astype(int) - (champion.argmax(axis=1) == labels)
    generator = np.random.default_rng(1)
    resampled = generator.choice(differences, (10_000, 400)).mean(axis=1)
    expected = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose([float(end) for end in compared.interval(0.95)], expected, atol=0.006)


def test_identical_models_have_no_difference() -> None:
    labels, champion, _ = answers(1)
    same = PairedComparison.of(labels, champion, champion)
    assert (same.difference, same.p_value, same.interval(0.95)) == (0, 1.0, (0, 0))
    assert set(same.recall_changes.values()) == {Fraction(0)}


@pytest.mark.parametrize(
    ("only_champion", "only_challenger", "p_value"),
    [(0, 5, 2 / 32), (5, 0, 2 / 32), (1, 9, 22 / 1024), (3, 3, 1.0), (0, 0, 1.0), (0, 1, 1.0)],
)
def test_mcnemar_s_exact_test_is_the_binomial_one(only_champion: int, only_challenger: int, p_value: float) -> None:
    assert counted(only_champion, only_challenger).p_value == p_value


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_s_test_agrees_with_its_definition(only_champion: int, only_challenger: int) -> None:
    discordant = only_champion + only_challenger
    tail = sum(comb(discordant, count) for count in range(min(only_champion, only_challenger) + 1))
    assert counted(only_champion, only_challenger).p_value == float(min(1, Fraction(2 * tail, 2**discordant)))


def test_mcnemar_s_test_works_on_ten_thousand_images() -> None:
    # The normal approximation with its correction for continuity: z = (200 - 1) / sqrt(8200) = 2.1976.
    assert counted(4000, 4200).p_value == pytest.approx(0.02798, abs=2e-4)


def test_predictions_that_are_not_numbers_are_refused() -> None:
    labels, champion, challenger = answers(1)
    challenger[3, 2] = nan
    with pytest.raises(CorruptModel, match="the challenger gave probabilities that are not finite"):
        PairedComparison.of(labels, champion, challenger)
    with pytest.raises(CorruptModel, match="the champion gave"):
        PairedComparison.of(labels, champion[:-1], champion)
