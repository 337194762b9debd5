"""A tuning over fakes, for its tests. The accuracy of a training follows from its recipe and its seed alone."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.study import MemoryStudy
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.domain.model.tuning.budget import Budget
from fmnist.domain.model.tuning.result import TuningResult, TuningTask
from fmnist.domain.model.tuning.space import Range, SearchSpace
from fmnist.domain.model.tuning.trial import Trial
from fmnist.domain.services.training.run import Provenance
from fmnist.domain.services.tuning.tune import TunedRecipe, Tuning
from fmnist.ports.compute import FitResult, OnProgress
from fmnist.ports.model_store import TrainedWeights
from fmnist.ports.tracker import RunRecord
from fmnist.testing.data import toy_splits

PROVENANCE = Provenance(argo_workflow_uid="uid", docker_image_tag="tag", git_commit="c0ffee")
START = Recipe(lr=0.1, batch_size=10, max_epochs=4)
SPACE = SearchSpace({"lr": Range(0.01, 1.0, log=True), "shift": Range(0, 2)})
TASK = TuningTask(label="toy", start=START, space=SPACE, budget=Budget(trials=6, seeds=3))


class UntestedRegistry(MemoryDataRegistry):
    """Fails when the test split is read."""

    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        if split == "test":
            raise AssertionError("the test split was read")
        return super().read(dataset, split)


def no_effect(recipe: Recipe) -> float:
    return 0.9


def best_at_low_rates(recipe: Recipe) -> float:
    return 0.9 - 0.05 * math.log10(recipe.lr / 0.01)


class FormulaCompute(MemoryCompute):
    """Accuracy rises over the epochs to that of a formula, and seeds add some noise. Each epoch takes 10 s.

    While `before_epoch` returns True, the training reports that it is still at the same step.
    """

    def __init__(self, registry: MemoryDataRegistry, directory: Path) -> None:
        super().__init__(registry, directory)
        self.formula: Callable[[Recipe], float] = best_at_low_rates
        self.before_epoch: Callable[[TrainingSpec, int], bool | None] = lambda _, __: None
        self.now = 0.0
        self.fitted: list[TrainingSpec] = []
        self.closed = False

    def clock(self) -> float:
        return self.now

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        self._registry.read(dataset, "train"), self._registry.read(dataset, "val")
        self.fitted.append(spec)
        history = []
        for epoch in range(epochs := spec.recipe.max_epochs):
            while self.before_epoch(spec, epoch):
                on_progress(Progress(epoch, epochs, 0, 4))
            on_progress(Progress(epoch, epochs, 0, 4))
            self.now += 10
            noise = 0.002 * math.sin(12345.6 * spec.seed + 789 * spec.recipe.lr)
            accuracy = (self.formula(spec.recipe) + noise) * (epoch + 1) / epochs
            history.append({"val_acc": accuracy, "val_loss": 1 - accuracy})
            on_progress(Progress(epoch, epochs, 4, 4, metrics=history[-1]))
        return FitResult(TrainedWeights(spec.recipe.architecture, "none"), history, 10.0 * epochs, "cpu")

    def close(self) -> None:
        self.closed = True


@dataclass
class TuningHouse:
    """The fakes, and the service over them. The study outlives the service, as a stored one does."""

    directory: Path
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    registry: MemoryDataRegistry = field(default_factory=UntestedRegistry)

    def __post_init__(self) -> None:
        self.registry.add("1.0.0", toy_splits())
        self.compute = FormulaCompute(self.registry, self.directory)
        self.studies: dict[str, MemoryStudy] = {}
        self.seen: list[Trial] = []
        self.discarded: list[str] = []
        self.at_work: set[str] = set()
        self.service = Tuning(
            registry=self.registry,
            tracker=self.tracker,
            compute=self.compute,
            open_study=self.open_study,
            render=lambda result: {"report.html": result.study.encode()},
            discard=self.discarded.append,
            lock=self.lock,
            clock=self.compute.clock,
        )

    def open_study(self, name: str, task: TuningTask) -> MemoryStudy:
        start = task.space.values_of(task.start)
        self.studies[name] = MemoryStudy(task.space, start, self.studies.get(name))
        return self.studies[name]

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        if name in self.at_work:
            raise InvalidSetting(f"another process is at work on {name}")
        self.at_work.add(name)
        try:
            yield
        finally:
            self.at_work.remove(name)

    def tune(self, task: TuningTask = TASK) -> TuningResult:
        return self.tuned(task).result

    def tuned(self, task: TuningTask = TASK) -> TunedRecipe:
        return self.service.tune(task, PROVENANCE, self.seen.append)

    def study_run(self) -> RunRecord:
        (run,) = (run for run in self.tracker.find({}) if run.parent is None)
        return run

    def trial_runs(self) -> list[RunRecord]:
        """The runs of trials, oldest first."""
        return [run for run in reversed(self.tracker.find({})) if run.parent is not None]
