"""Tests a staged model by loading and calling it as the serving side does. It moves no alias."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median

import numpy as np

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES, SIDE, Images
from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.promotion.policy import TEST_LIMITS, PromotionPolicy, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, Basis
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.promotion.state import Lock, PromotionState, now_utc
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import Classifier, ModelStore

logger = logging.getLogger(__name__)

_PICTURES = 1000
_BATCHES = (1, 2, 7)
_ROUNDS = 50
_WARM_UP = 5
_TOLERANCE = 1e-3
# The test refuses a good model by chance in one of a thousand cases, which is rare enough.
_LEVEL = 0.998


@dataclass(frozen=True, slots=True)
class AcceptanceTest:
    """Checks the loading, input contract, accuracy and latency of a staged version, and records the result on it.

    Latencies are measured with `clock`, a monotonic time in seconds.
    """

    store: ModelStore
    registry: DataRegistry
    source: StagedName
    lock: Lock = nullcontext
    now: Callable[[], str] = now_utc
    clock: Callable[[], float] = time.perf_counter

    def run(self, policy: PromotionPolicy | None = None, uri: str | None = None) -> AcceptanceRecord:
        """Test the staged version at `uri` (None: the candidate) with `policy` (None: the policy of its comparison).

        Raises:
            ModelNotFound: there is no such version, or no candidate.
            InvalidSetting: the policy's limits for a test differ from those of the comparison.
            DataVersionNotFound: the data version of the model's training no longer exists.
            CorruptModel: the champion does not load, and the policy limits the latency relative to it.
        """
        with self.lock():
            state = PromotionState.read(self.store, self.source)
            staged = state.staged(uri)
            basis = state.basis(staged)
            if policy is not None and state.decision(staged) is None:
                basis = Basis(basis.champion, policy)
            elif policy is not None and (other := basis.policy.differences(policy, TEST_LIMITS)):
                raise InvalidSetting(
                    f"{staged.uri} was compared under another policy: {other}; test it without a policy, or compare it "
                    "again under this one"
                )
            checks = self._checks(staged, state.champion, basis.policy)
            record = AcceptanceRecord(version=staged.uri, at=self.now(), checks=checks, basis=basis)
            self.store.label(staged, tags=record.tag())
        return record

    def _checks(self, staged: ModelVersion, champion: ModelVersion | None, policy: PromotionPolicy) -> tuple[Rule, ...]:
        logger.info("testing %s", staged.uri)
        try:
            classifier = self.store.download(staged).load()
        except CorruptModel as error:
            return (Rule("loading", passed=False, figures={}, reason=str(error)),)
        reason = "it loads without pickle, and its answers for the golden batch are those recorded when it was saved"
        loaded = Rule("loading", passed=True, figures={}, reason=reason)
        dataset = self.registry.resolve(classifier.info.data_version)
        split = "test" if "test" in dataset.splits else "val"
        pictures = self.registry.read(dataset, split).head(_PICTURES)
        contract = _input_contract(classifier, staged, dataset, pictures.images)
        if not contract.passed:
            return loaded, contract
        return (
            loaded,
            contract,
            _known_pictures(classifier, split, pictures, policy.min_accuracy),
            self._latency(classifier, champion, policy, pictures.images[:1]),
        )

    def _latency(
        self, classifier: Classifier, champion: ModelVersion | None, policy: PromotionPolicy, image: Images
    ) -> Rule:
        """Compare medians of alternating calls, so that other load on the machine affects both models equally."""
        contenders, unknown = [classifier], "there is no champion to compare with"
        if champion is not None:
            try:
                contenders.append(self.store.download(champion).load())
            except CorruptModel as error:  # another tool made it, or it is damaged: it must not block its successor
                if policy.max_latency_ratio is not None:
                    raise
                unknown = f"the champion's latency is unknown, because it does not load: {error}"
        inputs = [each.info.normalization.apply(image) for each in contenders]
        seconds: list[list[float]] = [[] for _ in contenders]
        for _ in range(_WARM_UP + _ROUNDS):
            for each, given, taken in zip(contenders, inputs, seconds, strict=True):
                started = self.clock()
                each.logits(given)
                taken.append(self.clock() - started)
        own, *others = (median(taken[_WARM_UP:]) for taken in seconds)
        return policy.latency(own, others[0] if others else None, unknown)


def _input_contract(classifier: Classifier, staged: ModelVersion, dataset: DatasetVersion, images: Images) -> Rule:
    """Check that normalized batches, float32 (n, 1, 28, 28) for several n, give float32 logits (n, 10)."""
    info = classifier.info
    problems = _origin_problems(info, staged, dataset)
    batch = images[np.arange(max(_BATCHES)) % len(images)]
    inputs = info.normalization.apply(batch)
    try:
        whole = classifier.logits(inputs)
        for count in _BATCHES:
            found = classifier.logits(inputs[:count])
            expected = (count, len(CLASS_NAMES))
            if found.shape != expected or found.dtype != np.float32:
                problems.append(f"{count} images give {found.dtype} {found.shape}, expected float32 {expected}")
            elif not np.allclose(found, whole[:count], rtol=_TOLERANCE, atol=_TOLERANCE):
                problems.append(f"the answers for {count} images differ from those in a batch of {max(_BATCHES)}")
    except CorruptModel as error:
        problems.append(str(error))
    reason = (
        f"accepts batches of {', '.join(map(str, _BATCHES))} images, float32 (n, 1, {SIDE}, {SIDE}), with the "
        "normalization of its data version"
    )
    return Rule("input contract", not problems, {}, "; ".join(problems) or reason)


def _origin_problems(info: ModelInfo, staged: ModelVersion, dataset: DatasetVersion) -> list[str]:
    problems = []
    if not dataset.normalization.agrees_with(info.normalization):
        problems.append(f"it has {info.normalization}, but {dataset.version} has {dataset.normalization}")
    if info.lineage.get("run_id", staged.run_id) != staged.run_id:
        problems.append(f"its artifact is of run {info.lineage['run_id']}, but it is registered for {staged.run_id}")
    return problems


def _known_pictures(classifier: Classifier, split: str, pictures: LabeledImages, floor: float) -> Rule:
    """Check that the accuracy agrees with the run's, is at least `floor`, and is better than a guess."""
    guesses = Prediction(classifier).probabilities(pictures.images).argmax(axis=1)
    right = int((guesses == pictures.labels).sum())
    low, high = wilson_interval(right, len(pictures), _LEVEL)
    recorded = classifier.info.metrics.get(f"{split}_acc")
    accuracy, chance = right / len(pictures), 1 / len(CLASS_NAMES)
    figures: Mapping[str, float] = {"accuracy": accuracy, "images": len(pictures), "least": floor}
    told = f"accuracy {accuracy:.2%} on {len(pictures)} {split} images, {floor:.0%} required, {chance:.0%} by guessing"
    good_enough = accuracy >= floor and low > chance
    if recorded is None:
        return Rule("known pictures", good_enough, figures, told)
    figures = {**figures, "recorded": recorded}
    # For an accuracy of 1, the interval ends a rounding error below 1.
    passed = (accuracy >= recorded or high >= recorded) and good_enough
    return Rule("known pictures", passed, figures, f"{told}; the run recorded {recorded:.2%} on the whole split")
