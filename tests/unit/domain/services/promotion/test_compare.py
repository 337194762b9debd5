"""Whether a challenger replaces the champion, on fakes: both use the same data, and a refusal changes nothing."""

from dataclasses import replace
from math import inf, nan

import pytest

from fmnist.domain.model.errors import (
    CorruptData,
    DataVersionNotFound,
    InvalidSetting,
    MetricNotFound,
    ModelNotFound,
    Remedy,
    RunNotFound,
    SplitNotFound,
)
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy
from fmnist.domain.model.promotion.records import DecisionRecord
from fmnist.domain.services.promotion.challengers import check_source
from fmnist.testing.data import toy_splits
from tests.unit.domain.services.promotion_support import POLICY, PROD, SOURCE, House


def test_both_models_are_measured_on_the_same_images(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    record = promotions.compare(promotions.train(9))
    accuracy = record.decision.rules[0].figures
    assert (accuracy["champion"], accuracy["challenger"], accuracy["images"]) == (0.5, 0.9, 100)
    assert (record.data_version, record.split) == ("fashion-mnist-v1.0.0", "test")
    assert record.champion == f"models:/{PROD}/1"


@pytest.mark.parametrize("least", [0.2, 0.5])
def test_corrupted_images_count_if_the_policy_asks(promotions: House, least: float) -> None:
    # Three severities of five are black in this house, and then one class of ten is right.
    policy = replace(POLICY, min_corruption_accuracy=least, max_corruption_drop=0.0)
    first = promotions.comparison.compare(promotions.train(5), policy, Mode.EVALUATE)
    assert [rule.name for rule in first.rules] == ["champion", "corruption accuracy"]
    assert first.rules[1].figures["accuracy"] == pytest.approx((2 * 0.5 + 3 * 0.1) / 5)
    assert first.decision.promoted is (least < 0.26)
    promotions.promote(promotions.train(5))
    second = promotions.comparison.compare(promotions.train(9), policy, Mode.EVALUATE)
    found = {rule.name: rule for rule in second.rules}
    assert found["corruption accuracy"].passed is (least < 0.42)
    assert found["corruption drop"].passed
    third = promotions.comparison.compare(promotions.train(3), policy, Mode.EVALUATE)
    assert not {rule.name: rule for rule in third.rules}["corruption drop"].passed


def test_logged_metrics_do_not_count_if_models_are_measured(promotions: House) -> None:
    promotions.promote(promotions.train(9, val_acc=0.1))
    assert not promotions.compare(promotions.train(5, val_acc=0.99)).decision.promoted


def test_the_version_keeps_the_decision_and_all_earlier_ones(promotions: House) -> None:
    promotions.promote(promotions.train(9))
    worse = promotions.train(5)
    first, second = promotions.compare(worse), promotions.compare(worse, Mode.CONTRACT)
    labelled = promotions.store.resolve(worse.uri)
    assert DecisionRecord.of(labelled) == second
    assert DecisionRecord.all_of(labelled) == [first, second]
    assert first.policy["max_class_drop"] == 1.0


def test_contract_mode_compares_the_last_logged_values(promotions: House) -> None:
    promotions.promote(promotions.train(5, val_acc=0.9))
    challenger = promotions.train(5, val_acc=0.5)
    promotions.tracker.log(challenger.run_id, metrics={"val_acc": 0.945}, step=2)
    record = promotions.compare(challenger, Mode.CONTRACT)
    assert record.decision.promoted
    assert record.decision.rules[0].figures["challenger"] == 0.945
    assert (record.data_version, record.split) == (None, None)
    assert not promotions.compare(promotions.train(5, val_acc=0.9449), Mode.CONTRACT).decision.promoted


def test_contract_mode_accepts_another_metric_and_direction(promotions: House) -> None:
    promotions.promote(promotions.train(5, val_loss=0.5))
    policy = PromotionPolicy(metric="val_loss", higher_is_better=False, threshold=0.1)
    challenger = promotions.train(5, val_loss=0.45)
    assert promotions.comparison.compare(challenger, policy, Mode.CONTRACT).decision.promoted


@pytest.mark.parametrize("mode", list(Mode))
def test_the_first_model_is_promoted(promotions: House, mode: Mode) -> None:
    record = promotions.compare(promotions.train(2), mode)
    assert record.decision.promoted
    assert record.champion is None
    assert "no champion yet" in record.decision.message


def test_a_champion_without_run_or_metric_is_an_error(promotions: House) -> None:
    champion = promotions.promote(promotions.train(5))
    challenger = promotions.train(9, val_f1=0.9)
    policy = PromotionPolicy(metric="val_f1")
    with pytest.raises(MetricNotFound, match=rf"of models:/{PROD}/1 has no metric 'val_f1'; its metrics: val_acc"):
        promotions.comparison.compare(challenger, policy, Mode.CONTRACT)
    promotions.tracker._runs.pop(champion.run_id)
    with pytest.raises(RunNotFound):
        promotions.compare(challenger, Mode.CONTRACT)
    assert DecisionRecord.of(promotions.store.resolve(challenger.uri)) is None


def test_a_version_without_a_run_is_refused(promotions: House) -> None:
    foreign = replace(promotions.train(5), run_id="")
    with pytest.raises(MetricNotFound, match=f"{foreign.uri} has no run, so no metric 'val_acc'"):
        promotions.compare(foreign, Mode.CONTRACT)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_metric_that_is_not_a_number_is_refused(promotions: House, value: float) -> None:
    odd = promotions.train(5, val_acc=value)
    with pytest.raises(MetricNotFound, match=rf"val_acc of {odd.uri} must be a finite number, found {value}"):
        promotions.compare(odd, Mode.CONTRACT)
    promotions.promote(odd)
    with pytest.raises(MetricNotFound, match=rf"val_acc of models:/{PROD}/1 must be a finite number"):
        promotions.compare(promotions.train(9), Mode.CONTRACT)


def test_a_missing_metric_is_named_even_without_a_champion(promotions: House) -> None:
    with pytest.raises(MetricNotFound, match="no metric 'val_f1'"):
        promotions.comparison.compare(promotions.train(5), PromotionPolicy(metric="val_f1"), Mode.CONTRACT)


def test_a_data_version_without_the_split_is_refused_unless_val_is_chosen(promotions: House) -> None:
    challenger = promotions.train(5, data_version="0.9.0")
    with pytest.raises(SplitNotFound, match=r"v0\.9\.0 has no split 'test': it has train, val") as refused:
        promotions.compare(challenger)
    assert refused.value.remedies == (Remedy.MEASURE_ON_VAL,)
    assert DecisionRecord.of(promotions.store.resolve(challenger.uri)) is None
    record = promotions.comparison.compare(challenger, POLICY, Mode.EVALUATE, split="val")
    assert (record.split, record.data_version) == ("val", "fashion-mnist-v0.9.0")
    other = promotions.comparison.compare(challenger, POLICY, Mode.EVALUATE, data_version="1.0.0")
    assert other.data_version == "fashion-mnist-v1.0.0"


def test_the_train_split_is_refused_for_measuring(promotions: House) -> None:
    challenger = promotions.train(5)
    with pytest.raises(InvalidSetting, match="split must be test or val, found 'train'"):
        promotions.comparison.compare(challenger, POLICY, Mode.EVALUATE, split="train")
    assert DecisionRecord.of(promotions.store.resolve(challenger.uri)) is None


def test_a_data_version_that_is_gone_or_changed_is_refused(promotions: House) -> None:
    challenger = promotions.train(5)
    with pytest.raises(DataVersionNotFound):
        promotions.comparison.compare(challenger, POLICY, Mode.EVALUATE, data_version="7.0.0")
    promotions.registry._versions.clear()
    promotions.registry.add("1.0.0", toy_splits(seed=9))
    with pytest.raises(CorruptData, match="has changed since"):
        promotions.compare(challenger)


def test_the_challenger_is_the_named_the_workflow_s_or_the_newest_version(promotions: House) -> None:
    first, second = promotions.train(3, workflow="a"), promotions.train(4, workflow="b")
    assert promotions.challengers.find() == second
    assert promotions.challengers.find(first.uri) == first
    assert promotions.challengers.find(workflow_uid="a") == first
    # A run of the workflow without a model is skipped.
    promotions.tracker.start("failed", {"argo_workflow_uid": "a"})
    assert promotions.challengers.find(workflow_uid="a") == first


def test_a_missing_challenger_is_named(promotions: House) -> None:
    with pytest.raises(ModelNotFound, match=f"no version of {SOURCE} is registered"):
        promotions.challengers.find()
    promotions.promote(promotions.train(3))
    with pytest.raises(ModelNotFound, match="by a run tagged argo_workflow_uid = c"):
        promotions.challengers.find(workflow_uid="c")
    with pytest.raises(ModelNotFound, match="has no version 9"):
        promotions.challengers.find(f"models:/{SOURCE}/9")
    with pytest.raises(InvalidSetting, match=f"not a version of the source model {SOURCE}") as refused:
        promotions.challengers.find(f"models:/{PROD}/1")
    assert refused.value.remedies == (Remedy.NAME_SOURCE,)


@pytest.mark.parametrize("name", ["prod.a", "staging.a", "a"])
def test_promotion_works_on_a_model_as_training_registers_it(name: str) -> None:
    with pytest.raises(InvalidSetting):
        check_source(name)
