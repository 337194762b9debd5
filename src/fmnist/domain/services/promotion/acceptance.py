"""The test of a staged model, as the serving side would meet it. It loads, asks and measures, and moves no alias."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from statistics import median

import numpy as np

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES, SIDE, Images
from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.promotion.policy import TEST_LIMITS, PromotionPolicy, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, Basis
from fmnist.domain.model.promotion.stages import Stage, StagedName
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.promotion.state import PromotionState, now_utc
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import Classifier, ModelStore

logger = logging.getLogger(__name__)

_PICTURES = 1000
_BATCHES = (1, 2, 7)
_ROUNDS = 50
_WARM_UP = 5
_TOLERANCE = 1e-3
# Being wrong once in a thousand tests is as often as a person would put up with.
_LEVEL = 0.998


class AcceptanceTest:
    """Checks a staged version: loading, input contract, known pictures, latency; and records what it found on it.

    Args:
        clock: seconds that only ever grow, for latencies.
    """

    def __init__(
        self,
        store: ModelStore,
        registry: DataRegistry,
        source: StagedName,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        now: Callable[[], str] = now_utc,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._registry = registry
        self._source = source
        self._lock = lock
        self._now = now
        self._clock = clock

    def run(self, policy: PromotionPolicy | None = None, uri: str | None = None) -> AcceptanceRecord:
        """Test the staged version at `uri`, or the candidate, under the policy of its comparison unless one is given.

        Raises:
            ModelNotFound: no such version, or no candidate.
            InvalidSetting: the policy sets other limits for a test than that of the comparison.
            DataVersionNotFound: the data version that the model was trained on is gone.
            CorruptModel: the champion does not load, and the policy limits the latency by that of the champion.
        """
        with self._lock():
            state = PromotionState.read(self._store, self._source)
            staged = state.staged(uri, str(self._source.at(Stage.STAGING)))
            basis = state.basis(staged)
            if policy is not None and state.decision(staged) is None:
                basis = Basis(basis.champion, policy)
            elif policy is not None and (other := basis.policy.differences(policy, TEST_LIMITS)):
                raise InvalidSetting(
                    f"{staged.uri} was compared under another policy: {other}; test it without a policy of its own, or "
                    "compare it again under this one"
                )
            checks = self._checks(staged, state.champion, basis.policy)
            record = AcceptanceRecord(version=staged.uri, at=self._now(), checks=checks, basis=basis)
            self._store.label(staged, tags=record.tag())
        return record

    def _checks(self, staged: ModelVersion, champion: ModelVersion | None, policy: PromotionPolicy) -> tuple[Rule, ...]:
        logger.info("testing %s", staged.uri)
        try:
            classifier = self._store.download(staged).load()
        except CorruptModel as error:
            return (Rule("loading", passed=False, figures={}, reason=str(error)),)
        reason = "it loads without a pickle, and answers its golden batch as when it was saved"
        loaded = Rule("loading", passed=True, figures={}, reason=reason)
        dataset = self._registry.resolve(classifier.info.lineage.get("dvc_data_version"))
        split = "test" if "test" in dataset.splits else "val"
        pictures = self._registry.read(dataset, split).head(_PICTURES)
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
        """Take medians over calls that alternate, so that whatever else the machine does strikes both models alike."""
        contenders, unknown = [classifier], "there is no champion to compare with"
        if champion is not None:
            try:
                contenders.append(self._store.download(champion).load())
            except CorruptModel as error:  # of another tool, or damaged: it must not stand in its successor's way
                if policy.max_latency_ratio is not None:
                    raise
                unknown = f"the champion's is not known, for it does not load: {error}"
        inputs = [each.info.normalization.apply(image) for each in contenders]
        seconds: list[list[float]] = [[] for _ in contenders]
        for _ in range(_WARM_UP + _ROUNDS):
            for each, given, taken in zip(contenders, inputs, seconds, strict=True):
                started = self._clock()
                each.logits(given)
                taken.append(self._clock() - started)
        own, *others = (median(taken[_WARM_UP:]) for taken in seconds)
        return policy.latency(own, others[0] if others else None, unknown)


def _input_contract(classifier: Classifier, staged: ModelVersion, dataset: DatasetVersion, images: Images) -> Rule:
    """Any batch of float32 (n, 1, 28, 28), normalized as the data version says, gives float32 logits (n, 10)."""
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
                problems.append(f"{count} images alone are answered otherwise than in a batch of {max(_BATCHES)}")
    except CorruptModel as error:
        problems.append(str(error))
    reason = (
        f"takes batches of {', '.join(map(str, _BATCHES))} of float32 (n, 1, {SIDE}, {SIDE}), normalized as its data"
    )
    return Rule("input contract", not problems, {}, "; ".join(problems) or reason)


def _origin_problems(info: ModelInfo, staged: ModelVersion, dataset: DatasetVersion) -> list[str]:
    problems = []
    if info.normalization != dataset.normalization:
        problems.append(f"it normalizes by {info.normalization}, but {dataset.version} has {dataset.normalization}")
    if info.lineage.get("run_id", staged.run_id) != staged.run_id:
        problems.append(f"its artifact is of run {info.lineage['run_id']}, but it is registered for {staged.run_id}")
    return problems


def _known_pictures(classifier: Classifier, split: str, pictures: LabeledImages, floor: float) -> Rule:
    """Accuracy must be what the run recorded, as far as so many pictures can tell, at least `floor`, and no guess."""
    guesses = Prediction(classifier).probabilities(pictures.images).argmax(axis=1)
    right = int((guesses == pictures.labels).sum())
    low, high = wilson_interval(right, len(pictures), _LEVEL)
    recorded = classifier.info.metrics.get(f"{split}_acc")
    accuracy, chance = right / len(pictures), 1 / len(CLASS_NAMES)
    figures: Mapping[str, float] = {"accuracy": accuracy, "images": len(pictures), "least": floor}
    told = (
        f"{accuracy:.2%} of {len(pictures)} {split} images are right, {floor:.0%} is the least, {chance:.0%} is a guess"
    )
    good_enough = accuracy >= floor and low > chance
    if recorded is None:
        return Rule("known pictures", good_enough, figures, told)
    figures = {**figures, "recorded": recorded}
    # The interval of an accuracy of 1 ends a rounding error below it.
    passed = (accuracy >= recorded or high >= recorded) and good_enough
    return Rule("known pictures", passed, figures, f"{told}; the run recorded {recorded:.2%} of the whole split")
