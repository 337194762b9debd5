"""A training run over fakes, for its tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.evaluation.report import ModelReport, RenderReport, SplitPredictions
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import Progress, TrainingResult, TrainingSpec
from fmnist.domain.services.training.run import Provenance, TrainingRun
from fmnist.ports.model_store import TrainedWeights
from fmnist.ports.tracker import RunRecord
from fmnist.testing.data import toy_splits

MODEL = "dev.fashion-mnist-classifier"
SPEC = TrainingSpec(recipe=Recipe(batch_size=10, max_epochs=3), seed=7)
PROVENANCE = Provenance(argo_workflow_uid="uid", docker_image_tag="tag", git_commit="c0ffee")


class CountingCompute(MemoryCompute):
    """Records which splits were predicted."""

    predicted: list[str]

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        self.predicted.append(split)
        return super().predict(weights, dataset, split)


def draw(uri: str, report: ModelReport) -> Mapping[str, bytes]:
    return {"report.html": f"{uri} has {report.measured.evaluation.accuracy} on {report.measured.split}".encode()}


@dataclass
class House:
    """The four fakes, and the service over them."""

    directory: Path
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    registry: MemoryDataRegistry = field(default_factory=MemoryDataRegistry)
    store: MemoryModelStore = field(default_factory=MemoryModelStore)
    render: RenderReport = draw

    def __post_init__(self) -> None:
        self.registry.add("1.0.0", toy_splits())
        self.compute = CountingCompute(self.registry, self.directory)
        self.compute.predicted = []
        self.at_work: set[str] = set()
        self.resumable: list[str] = []
        self.service = TrainingRun(
            self.registry,
            self.tracker,
            self.compute,
            self.store,
            MODEL,
            self.render,
            lock=self.lock,
            check_lock=self.check_lock,
            on_resumable=self.resumable.append,
        )
        self.lockable = True

    def check_lock(self) -> None:
        if not self.lockable:
            raise StoreUnavailable("the lock of a run cannot be written")

    @contextmanager
    def lock(self, run_id: str) -> Iterator[None]:
        if run_id in self.at_work:
            raise InvalidSetting(f"another process is at work on run {run_id}")
        self.at_work.add(run_id)
        try:
            yield
        finally:
            self.at_work.remove(run_id)

    def train(self, data_version: str | None = None) -> TrainingResult:
        return self.service.start(SPEC, PROVENANCE, ignore, run_name="run", data_version=data_version)

    def train_until(self, epoch: int, error: BaseException) -> RunRecord:
        """Train until `error` is raised at the start of `epoch`, and return the run."""

        def strike(progress: Progress) -> None:
            if progress.epoch == epoch:
                raise error

        with pytest.raises(type(error)) as caught:
            self.service.start(SPEC, PROVENANCE, strike, run_name="run")
        assert caught.value is error
        return self.only_run()

    def only_run(self) -> RunRecord:
        (run,) = self.tracker.find({})
        return run


def ignore(progress: Progress) -> None:
    pass


def refuse(*arguments: object, **options: object) -> None:
    """Stand for a method of a service that is not available."""
    raise StoreUnavailable("it does not answer")
