"""An audit on fakes: which images each model sees, what is kept and recorded, and what stays unchanged."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.label_review import MemoryLabelReview
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.audit.result import DataAudit
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.services.audit.audit import DataAuditing
from fmnist.domain.services.audit.out_of_fold import FOLDS, OutOfFold
from fmnist.domain.services.training.run import TrainingRun
from fmnist.ports.compute import Compute
from fmnist.ports.tracker import RunStatus
from fmnist.testing.data import toy_splits

FLIPPED = [7, 50, 71]  # rows in all splits: two of train, one of test


@dataclass
class AuditHouse:
    """The fakes, and the service over them. `kept` outlives the service, as files do."""

    directory: Path
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    registry: MemoryDataRegistry = field(default_factory=MemoryDataRegistry)
    kept: dict[str, Probabilities] = field(default_factory=dict)
    folds: list[Mapping[str, LabeledImages]] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    fails_in_fold: int | None = None

    def service(self) -> DataAuditing:
        models = OutOfFold(
            recipe=Recipe(max_epochs=2),
            open_fold=self.open_fold,
            recall=self.kept.get,
            keep=self.kept.__setitem__,
            discard=self.discarded.append,
        )
        return DataAuditing(
            registry=self.registry,
            tracker=self.tracker,
            review=MemoryLabelReview(),
            models=lambda _: models,
            render=lambda audit: {"report.html": audit.dataset.version.encode()},
            code={"git_commit": "c0ffee"},
        )

    def open_fold(self, splits: Mapping[str, LabeledImages]) -> tuple[Compute, DatasetVersion]:
        if len(self.folds) == self.fails_in_fold:
            raise KeyboardInterrupt
        self.folds.append(splits)
        memory = MemoryDataRegistry()
        return MemoryCompute(memory, self.directory), memory.add("0.0.0", splits)

    def audit(self, version: str = "latest") -> DataAudit:
        return self.service().audit(version, lambda step, _: self.steps.append(step))[0]


@pytest.fixture
def house(tmp_path: Path) -> AuditHouse:
    house = AuditHouse(tmp_path)
    splits = toy_splits(60, 10, 20)
    labels = np.concatenate([each.labels for each in splits.values()])
    images = np.concatenate([each.images for each in splits.values()])
    labels[FLIPPED] = (labels[FLIPPED] + 3) % 10
    images[75] = images[30]
    cuts = {"train": slice(0, 60), "val": slice(60, 70), "test": slice(70, 90)}
    house.registry.add("1.0.0", {name: LabeledImages(images[cut], labels[cut]) for name, cut in cuts.items()})
    return house


def pixels(data: LabeledImages) -> set[bytes]:
    return {image.tobytes() for image in data.images}


def test_no_image_is_predicted_by_a_model_that_saw_it_or_its_duplicate(house: AuditHouse) -> None:
    audit = house.audit()
    assert len(house.folds) == FOLDS
    for fold in house.folds:
        # Neither to learn from, nor to choose the epoch.
        assert not (pixels(fold["train"]) | pixels(fold["val"])) & pixels(fold["test"])
    predicted = [image.tobytes() for fold in house.folds for image in fold["test"].images]
    assert sorted(predicted) == sorted(image.tobytes() for image in audit.data.images), "each image once"


def test_predictions_are_those_of_the_fold_of_the_image(house: AuditHouse) -> None:
    audit = house.audit()
    for fold, kept in zip(house.folds, house.kept.values(), strict=True):
        for image, row in zip(fold["test"].images, kept, strict=True):
            same = (audit.data.images == image).all(axis=(1, 2))
            assert any((audit.probabilities[place] == row).all() for place in np.flatnonzero(same))


def test_flipped_labels_and_the_planted_duplicate_are_found(house: AuditHouse) -> None:
    audit = house.audit()
    assert set(FLIPPED) <= set(audit.doubted.tolist())
    for row, _, suggested in audit.doubtful:
        if row in FLIPPED:
            assert suggested == row % 10
    assert audit.equal == [[30, 75]]
    assert audit.place(75) == ("test", 5)


def test_interrupted_audit_goes_on_with_the_folds_that_it_has(house: AuditHouse) -> None:
    undisturbed = AuditHouse(house.directory / "other", registry=house.registry)
    undisturbed.directory.mkdir()
    house.fails_in_fold = 2
    with pytest.raises(KeyboardInterrupt):
        house.audit()
    assert house.tracker.find({}) == []
    assert len(house.kept) == len(house.discarded) == 2
    house.fails_in_fold = None
    np.testing.assert_array_equal(house.audit().probabilities, undisturbed.audit().probabilities)
    assert len(house.folds) == FOLDS, "no fold was trained twice"


def test_kept_fold_of_another_size_is_not_used(house: AuditHouse) -> None:
    first = house.audit()
    key = next(iter(house.kept))
    house.kept[key] = house.kept[key][:-1]
    np.testing.assert_array_equal(house.audit().probabilities, first.probabilities)
    assert len(house.folds) == FOLDS + 1


def test_audit_is_a_run_that_is_not_taken_for_a_training(house: AuditHouse) -> None:
    audit = house.audit()
    (run,) = house.tracker.find({"audit_of": "fashion-mnist-v1.0.0"})
    assert (run.name, run.status) == ("audit-fashion-mnist-v1.0.0", RunStatus.FINISHED)
    assert house.tracker.dataset(run.run_id) == audit.dataset
    assert set(house.tracker.artifacts(run.run_id)) == {
        f"report/{name}" for name in ("report.html", "audit.json", "rows.csv")
    }
    assert run.history["audit_equal_images"] == ((0, 2.0),)
    assert not {"test_acc", "val_acc"} & set(run.history)
    assert "argo_workflow_uid" not in run.tags, "promotion looks for the runs of a workflow"
    training = TrainingRun(
        registry=house.registry,
        tracker=house.tracker,
        compute=MemoryCompute(house.registry, house.directory),
        store=MemoryModelStore(),
        model_name="dev.toy",
        render=lambda *_: {},
        lock=lambda _: nullcontext(),
    )
    house.tracker.set_status(run.run_id, RunStatus.FAILED)
    with pytest.raises(InvalidSetting, match="fmnist did not start this run"):
        training.resume(run.run_id, lambda _: None)


def test_version_with_too_few_images_is_refused_without_a_run(house: AuditHouse) -> None:
    house.registry.add("2.0.0", toy_splits(2, 1, 0))
    with pytest.raises(InvalidSetting, match="at least 4 different images, found 3"):
        house.audit("2.0.0")
    assert house.tracker.find({}) == []


def test_outage_of_the_tracker_costs_no_audit(
    house: AuditHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(house.tracker, "log_artifact", refuse)
    house.audit()
    (run,) = house.tracker.find({})
    assert run.status is RunStatus.FAILED
    assert "could not be recorded as a run: the disk is full" in caplog.text
