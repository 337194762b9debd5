"""The first step of a promotion: decide whether a model replaces the champion."""

import dataclasses
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import MetricNotFound, Remedy
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.evaluation.paired_test import PairedComparison
from fmnist.domain.model.evaluation.robustness import Corrupt, Hits
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Decision, Mode, PromotionPolicy
from fmnist.domain.model.promotion.records import DecisionRecord
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.evaluation.evaluate import measured_dataset
from fmnist.domain.services.evaluation.robustness import corruption_hits
from fmnist.domain.services.prediction import answer
from fmnist.domain.services.promotion.state import Lock, PromotionState, now_utc
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import Classifier, ModelStore
from fmnist.ports.tracker import Tracker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Compares a version of the source model with the champion, and records the decision on that version."""

    store: ModelStore
    tracker: Tracker
    registry: DataRegistry
    source: StagedName
    corrupt: Corrupt
    lock: Lock = nullcontext
    now: Callable[[], str] = now_utc

    def compare(
        self,
        challenger: ModelVersion,
        policy: PromotionPolicy,
        mode: Mode,
        *,
        split: str = "test",
        data_version: str | None = None,
    ) -> DecisionRecord:
        """Decide by a metric of each run, or by both models' answers for a split. Record it on the challenger.

        The split is one of `data_version` (None: the version that the challenger was trained on).

        Raises:
            MetricNotFound: a run lacks the metric, or it is not finite.
            SplitNotFound: the data version has no such split.
            InvalidSetting: models learn from this split.
            BadInput: a run, model or data version does not exist.
            CorruptData, CorruptModel: stored data or a stored model is damaged.
        """
        with self.lock():
            champion = PromotionState.read(self.store, self.source).champion
            dataset = None
            if mode is Mode.CONTRACT:
                decision = self._by_metric(challenger, champion, policy)
            else:
                dataset = measured_dataset(self.registry, challenger, split, data_version)
                decision = self._by_evaluation(challenger, champion, policy, dataset, split)
            record = DecisionRecord(
                version=challenger.uri,
                at=self.now(),
                champion=champion.uri if champion else None,
                mode=mode,
                rules=decision.rules,
                data_version=dataset.version if dataset else None,
                split=split if dataset else None,
                policy=dataclasses.asdict(policy),
            )
            self.store.label(challenger, tags=record.tag())
        return record

    def _by_metric(self, challenger: ModelVersion, champion: ModelVersion | None, policy: PromotionPolicy) -> Decision:
        new = self._metric(challenger, policy.metric)
        if champion is None:
            return policy.first(Mode.CONTRACT, {policy.metric: new})
        return policy.by_metric(new, self._metric(champion, policy.metric))

    def _metric(self, version: ModelVersion, metric: str) -> float:
        if not version.run_id:
            raise MetricNotFound(f"{version.uri} has no run, so no metric {metric!r}", Remedy.COMPARE_BY_EVALUATION)
        history = self.tracker.get(version.run_id).history
        if not history.get(metric):
            there = ", ".join(sorted(history)) or "none"
            raise MetricNotFound(
                f"run {version.run_id} of {version.uri} has no metric {metric!r}; its metrics: {there}"
            )
        # The platform reads the last value, and a training run's last value is that of the registered model.
        value = history[metric][-1][1]
        if not np.isfinite(value):
            raise MetricNotFound(f"{metric} of {version.uri} must be a finite number, found {value}")
        return value

    def _by_evaluation(
        self,
        challenger: ModelVersion,
        champion: ModelVersion | None,
        policy: PromotionPolicy,
        dataset: DatasetVersion,
        split: str,
    ) -> Decision:
        data = self.registry.read(dataset, split)
        judges_drop = champion is not None and policy.max_corruption_drop is not None
        classifier, new = self._answers(challenger, dataset, data, split)
        robust = old_robust = None
        if judges_drop or policy.min_corruption_accuracy is not None:
            robust = self._corrupted(challenger, classifier, data)
        if champion is None:
            alone = PairedComparison.of(data.labels, new, new)
            figures = {"accuracy": alone.challenger_accuracy, "ece": alone.challenger_ece}
            decision = policy.first(Mode.EVALUATE, figures)
        else:
            classifier, old = self._answers(champion, dataset, data, split)
            decision = policy.by_comparison(PairedComparison.of(data.labels, old, new))
            old_robust = self._corrupted(champion, classifier, data) if judges_drop else None
        if robust is None:
            return decision
        return dataclasses.replace(decision, rules=decision.rules + policy.corruptions(robust, old_robust))

    def _answers(
        self, model: ModelVersion, dataset: DatasetVersion, data: LabeledImages, split: str
    ) -> tuple[Classifier, Probabilities]:
        logger.info("evaluating %s on %s of %s", model.uri, split, dataset.version)
        classifier = self.store.download(model).load()
        return classifier, answer(classifier, data).probabilities

    def _corrupted(self, model: ModelVersion, classifier: Classifier, data: LabeledImages) -> Hits:
        logger.info("evaluating %s on corrupted images", model.uri)
        return corruption_hits(classifier, data, self.corrupt)
