"""Fakes for promotions: models of any quality on small data, and a store that fails on demand."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from fmnist.adapters.memory.classifier import save_means
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.data.images import PIXELS, Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Evaluation
from fmnist.domain.model.evaluation.robustness import Corruption
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.promotion.policy import Mode, PromotionPolicy, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, DecisionRecord
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.promotion.acceptance import AcceptanceTest
from fmnist.domain.services.promotion.challengers import Challengers
from fmnist.domain.services.promotion.compare import ModelComparison
from fmnist.domain.services.promotion.overview import PromotionOverview
from fmnist.domain.services.promotion.promote import ModelPromotion
from fmnist.domain.services.promotion.rollback import ModelRollback
from fmnist.domain.services.promotion.run import PromotionRun
from fmnist.domain.services.promotion.state import PromotionState, iso_utc
from fmnist.domain.services.promotion.trace import LineageTrace
from fmnist.ports.model_store import ModelPackage, TrainedWeights
from fmnist.testing.data import toy_splits

SOURCE = StagedName.parse("dev.fashion-mnist-classifier")
STAGING, PROD = "staging.fashion-mnist-classifier", "prod.fashion-mnist-classifier"
SPLITS = toy_splits(train=50, val=10, test=100)
EARLIER_SPLITS = toy_splits(train=50, val=50, test=0)
POLICY = PromotionPolicy(max_class_drop=1.0, max_calibration_loss=1.0, max_latency_ratio=1e6, min_accuracy=0.0)


def darker(images: Images, corruption: Corruption, severity: int) -> Images:
    """Corrupt images: from severity 3 on, they are black."""
    return images * (severity < 3)


class FaultyStore(MemoryModelStore):
    """Fails at call number `fail_at`, before the change, or `afterwards`: after the change, with a lost answer."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.fail_at: int | None = None
        self.afterwards = False
        self._depth = 0

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._depth += 1
        try:
            if self._depth > 1:  # a nested call inside of the fake
                yield
                return
            self.calls += 1
            strikes = self.calls == self.fail_at
            if strikes and not self.afterwards:
                raise StoreUnavailable("the store fails")
            yield
            if strikes:
                raise StoreUnavailable("the store fails afterwards")
        finally:
            self._depth -= 1

    def download(self, version: ModelVersion) -> ModelPackage:
        with self._call():
            return super().download(version)

    def resolve(self, uri: str) -> ModelVersion:
        with self._call():
            return super().resolve(uri)

    def versions(self, name: str) -> list[ModelVersion]:
        with self._call():
            return super().versions(name)

    def copy(self, source: ModelVersion, name: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        with self._call():
            return super().copy(source, name, tags)

    def label(self, version: ModelVersion, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> None:
        # Each of them is a separate write, as in a registry.
        for name, value in (tags or {}).items():
            with self._call():
                super().label(version, tags={name: value})
        if alias is not None:
            with self._call():
                super().label(version, alias=alias)


@dataclass
class House:
    """The fakes, the services over them, and a clock that advances at each reading."""

    directory: Path
    store: FaultyStore = field(default_factory=FaultyStore)
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    registry: MemoryDataRegistry = field(default_factory=MemoryDataRegistry)
    ticks: float = 1.8e9
    seconds_between: float = 1

    def __post_init__(self) -> None:
        self.splits = SPLITS
        self.registry.add("1.0.0", self.splits)
        self.registry.add("0.9.0", EARLIER_SPLITS)
        self.challengers = Challengers(self.store, self.tracker, SOURCE)
        self.comparison = ModelComparison(self.store, self.tracker, self.registry, SOURCE, darker, now=self.now)
        self.acceptance = AcceptanceTest(self.store, self.registry, SOURCE, now=self.now)
        self.promotion = ModelPromotion(self.store, SOURCE, now=self.now)
        self.rollback = ModelRollback(self.store, SOURCE, now=self.now)
        self.overview = PromotionOverview(self.store, SOURCE)
        self.trace = LineageTrace(self.store, self.tracker)
        self.run = PromotionRun(self.comparison, self.acceptance, self.promotion, self.store, SOURCE)

    def now(self) -> str:
        self.ticks += self.seconds_between
        return iso_utc(self.ticks)

    @property
    def state(self) -> PromotionState:
        return PromotionState.read(self.store, SOURCE)

    def train(
        self, known_classes: int, data_version: str = "1.0.0", workflow: str = "uid", **metrics: float
    ) -> ModelVersion:
        """Register a model that predicts only the first `known_classes` classes correctly."""
        dataset = self.registry.resolve(data_version)
        train = self.registry.read(dataset, "train")
        inputs = dataset.normalization.apply(train.images).reshape(len(train), PIXELS)
        means = np.stack([inputs[train.labels == label].mean(axis=0) for label in range(10)])
        means[known_classes:] = 1e3  # never the nearest mean
        lineage = {
            "dvc_data_version": dataset.version,
            "data_digest": dataset.digest,
            "dvc_data_sha": dataset.commit,
            "argo_workflow_uid": workflow,
            "git_commit": "c0ffee",
            "docker_image_tag": "image-1",
        }
        run_id = self.tracker.start(f"knows-{known_classes}", lineage)
        path = self.directory / f"{run_id}.npz"
        save_means(path, means)
        info = ModelInfo(
            architecture="cnn",
            normalization=dataset.normalization,
            class_names=dataset.class_names,
            lineage={"run_id": run_id, **lineage},
            metrics={},
        )
        metrics = {"val_acc": known_classes / 10, **metrics}
        self.tracker.log(run_id, metrics=metrics, step=1)
        golden: Images = train.images[:1]
        return self.store.save(run_id, str(SOURCE), TrainedWeights("cnn", str(path)), info, golden)

    def accuracy(self, uri: str) -> float:
        test = self.splits["test"]
        probabilities = Prediction(self.store.download(self.store.resolve(uri)).load()).probabilities(test.images)
        return Evaluation.of(test.labels, probabilities).accuracy

    def compare(self, challenger: ModelVersion, mode: Mode = Mode.EVALUATE) -> DecisionRecord:
        return self.comparison.compare(challenger, POLICY, mode)

    def prepare(self, challenger: ModelVersion) -> ModelVersion:
        """Compare, stage and test, up to the release."""
        assert self.compare(challenger).decision.promoted
        staged = self.promotion.stage(challenger).version
        assert self.acceptance.run(POLICY, staged.uri).passed
        return staged

    def wave_through(self, challenger: ModelVersion) -> ModelVersion:
        """Stage a version as if it was compared and tested, for fast tests that do not depend on quality."""
        champion = self.state.champion
        fine = (Rule("a rule", passed=True, figures={}, reason="for a test"),)
        decision = DecisionRecord(
            version=challenger.uri,
            at=self.now(),
            champion=champion.uri if champion else None,
            mode=Mode.EVALUATE,
            rules=fine,
            data_version="fashion-mnist-v1.0.0",
            split="test",
            policy=asdict(POLICY),
        )
        self.store.label(challenger, tags=decision.tag())
        staged = self.promotion.stage(challenger).version
        test = AcceptanceRecord(version=staged.uri, at=self.now(), checks=fine, basis=decision.basis)
        self.store.label(staged, tags=test.tag())
        return staged

    def promote(self, challenger: ModelVersion) -> ModelVersion:
        return self.promotion.release(self.prepare(challenger).uri, by="tester").version

    def aliases_now(self) -> dict[str, int]:
        """Return the aliases of production without a counted call of the store."""
        return dict(self.store._aliases.get(PROD, {}))

    def aliases(self) -> dict[str, int]:
        return {alias: each.version for each in self.state.prod for alias in each.aliases}


def challenger(house: House) -> ModelVersion:
    """Register one more version of a model that is trained once."""
    versions = MemoryModelStore.versions(house.store, str(SOURCE))
    return house.store.copy(versions[-1], str(SOURCE)) if versions else house.train(5)


def promoted(house: House, models: int) -> None:
    """Promote this number of models, one after the other."""
    for _ in range(models):
        house.promotion.release(house.wave_through(challenger(house)).uri, by="x")


def as_before(tags: dict[str, str]) -> dict[str, str]:
    """Remove the fields that earlier versions of fmnist did not write from a record."""
    new = ("ended", "basis")
    return {
        name: json.dumps({key: value for key, value in json.loads(text).items() if key not in new})
        for name, text in tags.items()
    }
