"""When a model is promoted: exact examples of the contract's rule, and properties of the rules on measurements."""

from dataclasses import replace
from fractions import Fraction
from math import nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.paired_test import PairedComparison
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy

METRICS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
THRESHOLDS = st.floats(-1, 1).map(lambda value: round(value, 4))


def counted(only_champion: int, only_challenger: int, both: int = 900, neither: int = 50) -> PairedComparison:
    """A comparison of equally calibrated models that differ only in one class."""
    images = only_champion + only_challenger + both + neither
    return PairedComparison(
        only_champion=only_champion,
        only_challenger=only_challenger,
        support=(images, *[0] * 9),
        champion_hits=(both + only_champion, *[0] * 9),
        challenger_hits=(both + only_challenger, *[0] * 9),
        champion_ece=0.05,
        challenger_ece=0.05,
    )


COMPARISONS = st.builds(counted, st.integers(0, 200), st.integers(0, 200), st.integers(1, 1000), st.integers(0, 200))
POLICIES = st.builds(
    PromotionPolicy,
    min_gain=st.floats(-1, 1),
    confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]),
    max_class_drop=st.floats(0, 1),
    max_calibration_loss=st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("challenger", "champion", "promoted"),
    [
        (0.945, 0.9, True),  # exactly 5 %, which floating point rounds below
        (0.9449999, 0.9, False),
        (0.882, 0.84, True),
        (0.9, 0.9, False),
        (0.8, 0.9, False),
        (-0.9, -1.0, True),
    ],
)
def test_contract_s_rule_at_its_limits(challenger: float, champion: float, promoted: bool) -> None:
    assert PromotionPolicy().by_metric(challenger, champion).promoted is promoted


@pytest.mark.parametrize(
    ("challenger", "higher_is_better", "improvement"),
    [
        (0.001, True, 1.0),
        (0.0, True, 1.0),
        (-0.5, True, -1.0),
        (0.5, False, -1.0),
        (0.0, False, 1.0),
        (-0.5, False, 1.0),
    ],
)
def test_an_old_value_of_0_counts_as_1_unless_the_new_one_is_worse(
    challenger: float, higher_is_better: bool, improvement: float
) -> None:
    policy = PromotionPolicy(threshold=1.0, higher_is_better=higher_is_better)
    decision = policy.by_metric(challenger, 0.0)
    assert decision.rules[0].figures["improvement"] == improvement
    assert decision.promoted is (improvement == 1.0)


@given(METRICS | st.just(0.0), METRICS | st.just(0.0), THRESHOLDS)
def test_lower_is_better_is_the_mirror_image(challenger: float, champion: float, threshold: float) -> None:
    higher = PromotionPolicy(threshold=threshold).by_metric(challenger, champion)
    lower = PromotionPolicy(threshold=threshold, higher_is_better=False).by_metric(-challenger, -champion)
    assert higher.promoted == lower.promoted
    assert higher.rules[0].figures["improvement"] == lower.rules[0].figures["improvement"]


@given(METRICS, METRICS, st.floats(0.0001, 1))
def test_a_worse_metric_is_never_promoted(challenger: float, champion: float, threshold: float) -> None:
    # By the contract, an old value of 0 is an improvement even if the new value is 0, too.
    assume(challenger < champion or challenger == champion != 0)
    assert not PromotionPolicy(threshold=threshold).by_metric(challenger, champion).promoted


@given(METRICS, st.integers(1, 10_000), st.integers(-9_999, 9_999))
def test_an_improvement_of_exactly_the_threshold_passes_and_less_does_not(unit: float, parts: int, change: int) -> None:
    champion = Fraction(parts, 1000)
    threshold = Fraction(change, 10_000)
    challenger = champion + threshold * champion
    policy = PromotionPolicy(threshold=float(threshold))
    assert policy.by_metric(float(challenger), float(champion)).promoted
    assert not policy.by_metric(float(challenger - Fraction(1, 10**8)), float(champion)).promoted


@given(COMPARISONS, POLICIES)
def test_no_policy_promotes_a_significantly_worse_model(comparison: PairedComparison, policy: PromotionPolicy) -> None:
    assume(comparison.difference < 0 and comparison.p_value <= 1 - policy.confidence)
    assert not policy.by_comparison(comparison).promoted


@given(COMPARISONS)
def test_of_two_models_at_most_one_replaces_the_other(comparison: PairedComparison) -> None:
    swapped = counted(
        comparison.only_challenger,
        comparison.only_champion,
        comparison.champion_hits[0] - comparison.only_champion,
        0,
    )
    swapped = replace(swapped, support=comparison.support)
    policy = PromotionPolicy(max_class_drop=1.0)
    decisions = [policy.by_comparison(comparison).promoted, policy.by_comparison(swapped).promoted]
    assert decisions != [True, True]


def test_a_significantly_better_model_is_promoted_with_a_reason() -> None:
    decision = PromotionPolicy().by_comparison(counted(20, 80))
    assert decision.promoted
    assert decision.mode is Mode.EVALUATE
    assert [rule.name for rule in decision.rules] == ["accuracy", "McNemar", "classes", "calibration"]
    assert decision.message.startswith("promote: accuracy: 87.62% -> 93.33%, a change of +5.71 points")


def test_a_significantly_worse_model_fails_two_rules() -> None:
    decision = PromotionPolicy(max_class_drop=1).by_comparison(counted(80, 20))
    assert [rule.passed for rule in decision.rules] == [False, False, True, True]


@pytest.mark.parametrize(("better", "told"), [(25, "(p = 0.55, level 0.05)"), (5000, "(p < 1e-6, level 0.05)")])
def test_a_probability_is_shown_in_readable_form(better: int, told: str) -> None:
    assert told in PromotionPolicy().by_comparison(counted(20, better)).rules[1].reason


def test_a_gain_that_is_not_significant_is_refused() -> None:
    decision = PromotionPolicy().by_comparison(counted(20, 25))
    assert not decision.promoted
    assert "no significant difference" in decision.message


def test_an_equal_model_passes_only_if_the_policy_tolerates_a_loss() -> None:
    equal = counted(20, 20)
    assert not PromotionPolicy().by_comparison(equal).promoted
    assert PromotionPolicy(min_gain=-0.05).by_comparison(equal).promoted


def test_the_lower_end_of_the_interval_may_equal_the_required_gain() -> None:
    comparison = counted(20, 80)
    low = float(comparison.interval(0.95)[0])
    assert PromotionPolicy(min_gain=low).by_comparison(comparison).promoted
    assert not PromotionPolicy(min_gain=low + 1e-9).by_comparison(comparison).promoted


@pytest.mark.parametrize(("fallen", "promoted"), [(5, True), (6, False)])
def test_accuracy_of_one_class_may_fall_up_to_the_limit(fallen: int, promoted: bool) -> None:
    comparison = PairedComparison(
        only_champion=fallen,
        only_challenger=60,
        support=(100, 900),
        champion_hits=(90, 800),
        challenger_hits=(90 - fallen, 860),
        champion_ece=0.0,
        challenger_ece=0.0,
    )
    decision = PromotionPolicy(max_class_drop=0.05).by_comparison(comparison)
    assert decision.promoted is promoted
    assert decision.rules[2].figures["T-shirt/top"] == -fallen / 100


def test_corruption_rules_are_off_by_default_and_need_a_champion_or_a_limit() -> None:
    hits = np.array([22, 44])  # of 55
    assert PromotionPolicy().corruptions(hits, hits) == ()
    assert PromotionPolicy(max_corruption_drop=0.1).corruptions(hits, None) == ()
    (rule,) = PromotionPolicy(min_corruption_accuracy=0.6).corruptions(hits, None)
    assert (rule.passed, rule.reason) == (True, "mean corruption accuracy 60.00%, 60.00% required")
    (rule,) = PromotionPolicy(min_corruption_accuracy=0.601).corruptions(hits, None)
    assert not rule.passed


@pytest.mark.parametrize(("allowed", "passed"), [(0.1, False), (0.2, True)])
def test_corruption_accuracy_may_fall_at_the_lower_end_of_its_interval(allowed: float, passed: bool) -> None:
    champion = np.tile([22, 44], 50)
    challenger = champion - np.tile([0, 11], 50)  # 0.1 less in the mean, with an error of 0.01
    (rule,) = PromotionPolicy(max_corruption_drop=allowed).corruptions(challenger, champion)
    assert (rule.name, rule.passed) == ("corruption drop", passed)
    assert rule.figures["low"] == pytest.approx(-0.1 - 1.96 * 0.01, abs=1e-5)
    assert f"must be at least {-100 * allowed:.2f}" in rule.reason


@pytest.mark.parametrize(("ece", "promoted"), [(0.07, True), (0.0701, False)])
def test_calibration_error_may_rise_up_to_the_limit(ece: float, promoted: bool) -> None:
    comparison = replace(counted(20, 80), challenger_ece=ece)
    assert PromotionPolicy(max_calibration_loss=0.02).by_comparison(comparison).promoted is promoted


def test_without_a_champion_the_challenger_is_promoted() -> None:
    decision = PromotionPolicy().first(Mode.CONTRACT, {"val_acc": 0.1})
    assert decision.promoted
    assert "no champion yet; the challenger has val_acc 0.1000" in decision.message


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"treshold": 0.1}, "no field treshold: its fields are"),
        ({"threshold": "0.1"}, "threshold must be of type float, found a str"),
        ({"threshold": nan}, "threshold must be a finite number"),
        ({"threshold": 10**20}, "threshold must be of type float, found a number of more than 64 bits"),
        ({"threshold": True}, "threshold must be"),
        ({"metric": ""}, "metric must be"),
        ({"higher_is_better": 1}, "higher_is_better must be of type bool"),
        ({"confidence": 95}, "confidence must be between"),
        ({"min_gain": 2}, r"min_gain must be in \[-1, 1\]"),
        ({"max_class_drop": -0.1}, "max_class_drop must be"),
        ({"max_corruption_drop": 1.1}, "max_corruption_drop must be in"),
        ({"min_corruption_accuracy": "high"}, "min_corruption_accuracy must be of type float"),
        ({"max_latency_ratio": 0}, "max_latency_ratio must be above 0"),
    ],
)
def test_a_policy_with_an_unusable_value_is_refused_by_name(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidSetting, match=complaint):
        PromotionPolicy.from_mapping(values)


def test_a_policy_is_read_from_a_mapping() -> None:
    assert PromotionPolicy(threshold=np.float64(0.1)) == PromotionPolicy(threshold=0.1)
    assert PromotionPolicy.from_mapping({"threshold": 0, "min_gain": -0.01}) == PromotionPolicy(
        threshold=0, min_gain=-0.01
    )
