"""The test of a staged model finds faults that would break serving. Each check fails for its own reason."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, Basis
from fmnist.domain.services.promotion.acceptance import AcceptanceTest
from fmnist.ports.model_store import Classifier
from tests.unit.domain.services.promotion_support import POLICY, SOURCE, House

Logits = npt.NDArray[np.float32]


def one_size(logits: Logits) -> Logits:
    """Accept only batches of 64, like a model that was exported with an example of this size."""
    if len(logits) != 64:
        raise CorruptModel(f"it fails on {len(logits)} images")
    return logits


class Odd(Classifier):
    """A classifier whose predictions or whose info is changed."""

    def __init__(
        self,
        true: Classifier,
        answer: Callable[[Logits], Logits] = lambda logits: logits,
        describe: Callable[[ModelInfo], ModelInfo] = lambda info: info,
    ) -> None:
        self._true = true
        self._answer = answer
        self._describe = describe

    @property
    def info(self) -> ModelInfo:
        return self._describe(self._true.info)

    def logits(self, inputs: npt.NDArray[np.float32]) -> Logits:
        return self._answer(self._true.logits(inputs))


@pytest.fixture
def staged(promotions: House) -> ModelVersion:
    model = promotions.train(8)
    promotions.compare(model)
    return promotions.promotion.stage(model).version


def run_on(house: House, staged: ModelVersion, **odd: Callable[..., object]) -> AcceptanceRecord:
    package = house.store.download(staged)
    true = package.load()
    odd_one = replace(package, factory=lambda: Odd(true, **odd))  # type: ignore[arg-type]
    house.store.download = lambda _: odd_one  # type: ignore[method-assign]
    return house.acceptance.run(POLICY, staged.uri)


def test_a_good_model_passes_and_keeps_the_record(promotions: House, staged: ModelVersion) -> None:
    record = promotions.acceptance.run(POLICY)
    assert record.passed
    assert [check.name for check in record.checks] == ["loading", "input contract", "known pictures", "latency"]
    assert AcceptanceRecord.of(promotions.store.resolve(staged.uri)) == record
    assert record.checks[2].figures["accuracy"] == 0.8


def test_a_model_that_does_not_load_fails(promotions: House, staged: ModelVersion) -> None:
    promotions.store.spoil(staged)
    record = promotions.acceptance.run(POLICY)
    assert (record.passed, record.message) == (False, f"failed: {staged.uri}: the model is damaged")


@pytest.mark.parametrize(
    ("odd", "complaint"),
    [
        ({"answer": lambda logits: logits[:, :9]}, r"1 images give float32 \(1, 9\), expected float32 \(1, 10\)"),
        ({"answer": lambda logits: logits.astype(np.float64)}, "give float64"),
        ({"answer": one_size}, "it fails on 7 images"),
        ({"answer": lambda logits: logits + len(logits) * 10}, "differ from those in a batch of 7"),
        ({"describe": lambda info: replace(info, normalization=Normalization(0.5, 0.5))}, "it has Normalization"),
        ({"describe": lambda info: replace(info, lineage={**info.lineage, "run_id": "other"})}, "is of run other"),
    ],
)
def test_a_model_that_breaks_the_contract_fails(
    promotions: House, staged: ModelVersion, odd: dict[str, Callable[..., object]], complaint: str
) -> None:
    record = run_on(promotions, staged, **odd)
    assert not record.passed
    (failed,) = [check for check in record.checks if not check.passed]
    assert failed.name == "input contract"
    assert re.search(complaint, failed.reason)


def test_a_model_that_lost_its_accuracy_fails_on_known_images(promotions: House, staged: ModelVersion) -> None:
    sound = run_on(promotions, staged, describe=lambda info: replace(info, metrics={"test_acc": 0.85}))
    assert sound.passed
    lost = run_on(promotions, staged, describe=lambda info: replace(info, metrics={"test_acc": 0.95}))
    assert not lost.passed
    assert "accuracy 80.00% on 100 test images, 0% required, 10% by guessing; the run recorded 95.00%" in lost.message


def test_a_model_that_is_always_right_passes(promotions: House) -> None:
    model = promotions.train(10, data_version="1.0.0")
    promotions.compare(model)
    staged = promotions.promotion.stage(model).version
    assert run_on(promotions, staged, describe=lambda info: replace(info, metrics={"test_acc": 1.0})).passed


def test_a_model_that_guesses_fails(promotions: House, staged: ModelVersion) -> None:
    guessing = run_on(promotions, staged, answer=np.zeros_like)
    assert not guessing.passed
    assert "accuracy 10.00% on 100 test images, 0% required, 10% by guessing" in guessing.message


@pytest.mark.parametrize(("least", "passed"), [(0.8, True), (0.81, False)])
def test_a_first_champion_must_be_good_enough_too(promotions: House, least: float, passed: bool) -> None:
    model = promotions.train(8)
    promotions.comparison.compare(model, replace(POLICY, min_accuracy=least), Mode.EVALUATE)
    promotions.promotion.stage(model)
    assert promotions.acceptance.run().passed is passed


def latency(house: House, staged_seconds: float, champion_seconds: float, policy: PromotionPolicy) -> Rule:
    """Test a staged model with a clock that gives both models these latencies."""
    house.promote(house.train(3))
    model = house.train(9)
    house.comparison.compare(model, policy, Mode.CONTRACT)
    house.promotion.stage(model)
    now = [0.0]
    calls = [0]

    def clock() -> float:
        # Staged and champion model alternate. Every second reading of the clock ends a call.
        if calls[0] % 2:
            now[0] += staged_seconds if calls[0] % 4 == 1 else champion_seconds
        calls[0] += 1
        return now[0]

    return AcceptanceTest(house.store, house.registry, SOURCE, clock=clock).run().checks[3]


@pytest.mark.parametrize(("seconds", "passed"), [(0.5, True), (0.501, False)])
def test_latency_is_compared_with_the_policy_s_limit(promotions: House, seconds: float, passed: bool) -> None:
    check = latency(promotions, seconds, 0.001, replace(POLICY, max_latency_ratio=None))
    assert check.passed is passed
    assert (
        check.reason
        == f"{seconds * 1e3:.2f} ms for one image, 500 ms allowed; {seconds * 1e3:.2f} times the champion's"
    )


@pytest.mark.parametrize(("staged", "champion"), [(0.12e-3, 0.06e-3), (0.16e-3, 0.05e-3), (10e-3, 1e-3)])
def test_a_larger_network_is_not_refused_by_its_latency_ratio(
    promotions: House, staged: float, champion: float
) -> None:
    assert latency(promotions, staged, champion, PromotionPolicy(min_accuracy=0)).passed


@pytest.mark.parametrize(("times", "passed"), [(2.0, True), (2.1, False)])
def test_a_policy_may_limit_the_ratio_to_the_champion_s_latency(promotions: House, times: float, passed: bool) -> None:
    check = latency(promotions, times * 1e-3, 1e-3, replace(POLICY, max_latency_ratio=2.0))
    assert check.figures["ratio"] == pytest.approx(times)
    assert check.passed is passed
    assert check.reason.endswith(f"{times:.2f} times the champion's, 2 times allowed")


def test_a_champion_that_does_not_load_does_not_block_its_successor(promotions: House) -> None:
    champion, model = promotions.promote(promotions.train(3)), promotions.train(9)
    promotions.store.spoil(champion)
    promotions.comparison.compare(model, replace(POLICY, max_latency_ratio=None), Mode.CONTRACT)
    promotions.promotion.stage(model)
    record = promotions.acceptance.run()
    assert record.passed
    assert "the champion's latency is unknown, because it does not load" in record.checks[3].reason
    promotions.compare(model, Mode.CONTRACT)
    with pytest.raises(CorruptModel, match="is damaged"):
        promotions.acceptance.run()


@pytest.mark.parametrize(
    ("name", "value"), [("max_latency_ms", 1.5), ("max_latency_ratio", None), ("min_accuracy", 0.1)]
)
def test_other_limits_than_those_of_the_comparison_are_refused_before_loading(
    promotions: House, staged: ModelVersion, name: str, value: float | None
) -> None:
    promotions.store.spoil(staged)
    with pytest.raises(
        InvalidSetting, match=rf"{staged.uri} was compared under another policy: {name} .*, not {value}"
    ):
        promotions.acceptance.run(replace(POLICY, **{name: value}))
    assert AcceptanceRecord.of(promotions.store.resolve(staged.uri)) is None


def test_policy_fields_that_a_test_does_not_use_may_differ_from_the_comparison(
    promotions: House, staged: ModelVersion
) -> None:
    record = promotions.acceptance.run(replace(POLICY, threshold=0.9, confidence=0.8))
    assert record.basis == Basis(None, POLICY)
    promotions.comparison.compare(promotions.state.source[0], replace(POLICY, threshold=0.7), Mode.EVALUATE)
    assert promotions.promotion.release(staged.uri, by="x").version.aliases == ("champion",)
