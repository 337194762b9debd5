"""A training run on fakes: what it records, and what starts no run."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import DataVersionNotFound, InvalidSetting, ReportFailed, StoreUnavailable
from fmnist.domain.model.evaluation.metrics import log_loss
from fmnist.domain.model.evaluation.report import ModelReport
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.training.run import TrainingRun
from fmnist.ports.tracker import RunStatus
from fmnist.testing.data import toy_splits
from tests.unit.domain.services.training_support import MODEL, PROVENANCE, SPEC, House, draw, ignore, refuse


def test_a_finished_run_records_all_of_its_inputs(house: House) -> None:
    result = house.train()
    run, dataset = house.tracker.get(result.run_id), house.registry.resolve()
    assert run.status is RunStatus.FINISHED
    assert TrainingSpec.from_params(run.params) == SPEC
    assert run.params["global_batch_size"] == "10"
    assert run.params["dvc_data_version"] == "fashion-mnist-v1.0.0"
    assert {name for name in run.params if name.startswith("dvc_")} >= {
        "dvc_repo_url",
        "dvc_train_data_path",
        "dvc_val_data_path",
        "dvc_metrics_path",
    }
    assert run.tags == {
        "argo_workflow_uid": "uid",
        "docker_image_tag": "tag",
        "git_commit": "c0ffee",
        "dvc_data_version": dataset.version,
        "dvc_data_sha": dataset.commit,
        "data_digest": dataset.digest,
        "best_epoch": str(result.best_epoch),
        "temperature": run.tags["temperature"],
        "device": "cpu",
    }
    assert json.loads(house.tracker.artifacts(result.run_id)["dvc_data_metrics.json"]) == dataset.metadata
    assert house.tracker.dataset(result.run_id) == dataset


def test_the_last_value_of_a_metric_is_that_of_the_registered_model(house: House) -> None:
    result = house.train()
    history = house.tracker.get(result.run_id).history
    epochs = SPEC.recipe.max_epochs
    assert [step for step, _ in history["train_loss"]] == [0, 1, 2]
    assert [step for step, _ in history["val_acc"]] == [0, 1, 2, epochs]
    assert history["val_acc"][-1] == (epochs, result.val.accuracy)
    assert history["val_acc"][-1][1] == max(value for _, value in history["val_acc"])
    assert result.test is not None
    assert history["test_ece"] == ((epochs, result.test.ece),)


def faint(data: LabeledImages) -> LabeledImages:
    """The same images with strong noise."""
    noise = np.random.default_rng(len(data)).integers(0, 240, data.images.shape)
    return LabeledImages((data.images * 0.06 + noise).astype(np.uint8), data.labels)


class SealedRegistry(MemoryDataRegistry):
    """Refuses to read the test split until `seal` is broken, and records reads."""

    def __init__(self) -> None:
        super().__init__()
        self.sealed, self.read_splits = True, list[str]()

    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        self.read_splits.append(split)
        if split == "test" and self.sealed:
            raise AssertionError("the test split was looked at during training")
        return super().read(dataset, split)


def test_the_test_split_is_read_once_and_not_before_the_epoch_is_chosen(tmp_path: Path) -> None:
    sealed = SealedRegistry()
    house = House(tmp_path, registry=sealed)

    def break_the_seal_after_the_last_epoch(progress: Progress) -> None:
        assert "test" not in sealed.read_splits
        sealed.sealed = not (progress.metrics and progress.epoch + 1 == progress.epochs)

    house.service.start(SPEC, PROVENANCE, break_the_seal_after_the_last_epoch, run_name="run")
    assert not sealed.sealed
    assert sealed.read_splits.count("test") == 1, "nor is it read again for the report"
    assert house.compute.predicted == ["val", "test"]


def test_reading_the_test_split_early_would_fail_the_test_above(tmp_path: Path) -> None:
    house = House(tmp_path, registry=SealedRegistry())
    with pytest.raises(AssertionError, match="looked at during training"):
        house.train()


def test_the_run_has_a_report_and_its_model_a_card(house: House) -> None:
    result = house.train()
    artifacts = house.tracker.artifacts(result.run_id)
    assert sorted(artifacts) == ["dvc_data_metrics.json", "report/model_card.md", "report/report.html"]
    assert result.test is not None
    page = f"{result.model.uri} has {result.test.accuracy} on test"
    assert artifacts["report/report.html"].decode() == page
    card = house.store.card(result.model)
    assert card == artifacts["report/model_card.md"].decode()
    assert f"{result.test.accuracy:.2%}" in card
    assert result.run_id in card


def test_a_run_finishes_although_its_report_cannot_be_drawn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(uri: str, report: ModelReport) -> Mapping[str, bytes]:
        raise ReportFailed(f"the report of {uri} cannot be drawn")

    house = House(tmp_path, render=fail)
    result = house.train()
    run = house.only_run()
    assert run.status is RunStatus.FINISHED
    assert house.store.versions(MODEL) == [result.model]
    assert f"run {run.run_id} has no report: the report of {result.model.uri} cannot be drawn" in caplog.text


def test_a_report_that_cannot_be_stored_is_logged_and_made_when_the_run_is_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_artifact = house.tracker.log_artifact

    def refuse_reports(run_id: str, path: str, content: bytes) -> None:
        if path.startswith("report/"):
            raise StoreUnavailable("the tracker does not answer")
        log_artifact(run_id, path, content)

    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "log_artifact", refuse_reports)
        with pytest.raises(StoreUnavailable):
            house.train()
    stopped = house.only_run()
    assert f"not recorded for run {stopped.run_id}: its report; its final status\n" in caplog.text
    (saved,) = house.store.versions(MODEL)
    assert house.service.resume(stopped.run_id, ignore).model == saved
    assert "report/report.html" in house.tracker.artifacts(stopped.run_id)
    assert house.only_run().status is RunStatus.FINISHED


def test_the_model_is_calibrated_on_val_and_measured_with_its_calibration(house: House) -> None:
    house.registry.add("2.0.0", {split: faint(data) for split, data in toy_splits(1000, 400, 400).items()})
    result = house.train("2.0.0")
    run = house.tracker.get(result.run_id)
    temperature = float(run.tags["temperature"])
    assert temperature > 1, "squared distances are at least twice the calibrated logits"
    data = house.registry.read(house.registry.resolve("2.0.0"), "test")
    answers = Prediction(house.store.download(result.model).load()).probabilities(data.images)
    assert result.test is not None
    assert log_loss(data.labels, answers) == pytest.approx(result.test.loss)
    assert result.val.loss < run.history["val_loss"][result.best_epoch][1], "because it helps"
    assert result.val.accuracy == run.history["val_acc"][result.best_epoch][1], "because no prediction changes"


def test_the_registered_model_predicts_as_it_was_measured(house: House) -> None:
    result = house.train()
    assert house.store.resolve(f"models:/{MODEL}/1") == result.model
    assert (result.model.name, result.model.run_id) == (MODEL, result.run_id)
    info = house.store.download(result.model).load().info
    assert info.normalization == house.registry.resolve().normalization
    assert info.lineage["run_id"] == result.run_id
    assert info.lineage["git_commit"] == "c0ffee"
    assert info.metrics["val_acc"] == result.val.accuracy
    assert result.test is not None
    assert info.metrics["test_acc"] == result.test.accuracy


def test_a_data_version_without_a_test_split_can_be_trained_on(house: House) -> None:
    house.registry.add("0.9.0", toy_splits(test=0))
    result = house.train("0.9.0")
    assert result.test is None
    assert not [name for name in house.tracker.get(result.run_id).history if name.startswith("test_")]


def test_an_unknown_data_version_starts_no_run(house: House) -> None:
    with pytest.raises(DataVersionNotFound):
        house.train("9.9.9")
    assert house.tracker.find({}) == []


@pytest.mark.parametrize(
    ("spec", "model", "complaint"),
    [
        (replace(SPEC, num_workers=41), MODEL, "40 images of 'train' are too few for 41 workers"),
        (replace(SPEC, num_workers=2, limit_val=1), MODEL, "1 images of 'val' are too few for 2 workers"),
        (replace(SPEC, limit_train=1), MODEL, "resnet18 needs at least 2 images per worker and step, found 1"),
        (SPEC, "fashion mnist", "registered model 'fashion mnist' may have only letters"),
    ],
)
def test_settings_that_cannot_give_a_model_start_no_run(
    house: House, spec: TrainingSpec, model: str, complaint: str
) -> None:
    service = TrainingRun(house.registry, house.tracker, house.compute, house.store, model, draw)
    with pytest.raises(InvalidSetting, match=complaint):
        service.start(spec, PROVENANCE, ignore, run_name="run")
    assert house.tracker.find({}) == []


@pytest.mark.parametrize(("part", "method"), [("compute", "prepare"), ("store", "versions")])
def test_an_unavailable_service_starts_no_run_and_does_not_change_a_resumed_one(
    house: House, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    with monkeypatch.context() as absent:
        absent.setattr(getattr(house, part), method, refuse)
        with pytest.raises(StoreUnavailable):
            house.train()
    assert house.tracker.find({}) == []
    stopped = house.train_until(1, KeyboardInterrupt())
    house.resumable.clear()
    with monkeypatch.context() as absent:
        absent.setattr(getattr(house, part), method, refuse)
        with pytest.raises(StoreUnavailable):
            house.service.resume(stopped.run_id, ignore)
    assert house.only_run().status is RunStatus.KILLED
    assert house.resumable == []


def test_notes_become_tags_in_addition_to_the_lineage(house: House) -> None:
    result = house.service.start(SPEC, PROVENANCE, ignore, run_name="run", notes={"preset": "fast"})
    tags = house.tracker.get(result.run_id).tags
    assert tags["preset"] == "fast"
    assert tags["argo_workflow_uid"] == "uid"


def test_lock_that_cannot_be_taken_starts_no_run(house: House) -> None:
    house.lockable = False
    with pytest.raises(StoreUnavailable, match="the lock of a run cannot be written"):
        house.train()
    assert house.tracker.find({}) == []
