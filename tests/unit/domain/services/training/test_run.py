"""A training run on fakes: what it records, how it ends, and that a resumed run equals an uninterrupted one."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import (
    DataVersionNotFound,
    InvalidSetting,
    ReportFailed,
    RunNotFound,
    StoreUnavailable,
    TrainingFailed,
)
from fmnist.domain.model.evaluation.metrics import log_loss
from fmnist.domain.model.evaluation.report import ModelReport, RenderReport
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import Progress, TrainingResult, TrainingSpec
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.training.run import Provenance, TrainingRun
from fmnist.ports.compute import SplitPredictions
from fmnist.ports.model_store import TrainedWeights
from fmnist.ports.tracker import RunRecord, RunStatus
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


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


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


def not_there(*_: object) -> None:
    raise StoreUnavailable("it does not answer")


@pytest.mark.parametrize(("part", "method"), [("compute", "prepare"), ("store", "versions")])
def test_an_unavailable_service_starts_no_run_and_does_not_change_a_resumed_one(
    house: House, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    with monkeypatch.context() as absent:
        absent.setattr(getattr(house, part), method, not_there)
        with pytest.raises(StoreUnavailable):
            house.train()
    assert house.tracker.find({}) == []
    stopped = house.train_until(1, KeyboardInterrupt())
    house.resumable.clear()
    with monkeypatch.context() as absent:
        absent.setattr(getattr(house, part), method, not_there)
        with pytest.raises(StoreUnavailable):
            house.service.resume(stopped.run_id, ignore)
    assert house.only_run().status is RunStatus.KILLED
    assert house.resumable == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TrainingFailed("no"), RunStatus.FAILED),
        (StoreUnavailable("no"), RunStatus.FAILED),
        (RuntimeError("a bug"), RunStatus.FAILED),
        (KeyboardInterrupt(), RunStatus.KILLED),
    ],
)
def test_a_run_that_fails_does_not_keep_the_status_running(
    house: House, error: BaseException, status: RunStatus
) -> None:
    assert house.train_until(1, error).status is status
    assert house.store.versions(MODEL) == []


def test_the_error_of_a_run_is_reported_although_the_tracker_is_down(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(run_id: str, status: RunStatus) -> None:
        raise StoreUnavailable("the tracker does not answer")

    monkeypatch.setattr(house.tracker, "set_status", gone)
    house.train_until(1, TrainingFailed("loss is not finite"))
    assert "could not be marked FAILED: the tracker does not answer" in caplog.text


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(house: House, tmp_path: Path, epoch: int) -> None:
    whole = House(tmp_path / "whole")
    whole.directory.mkdir()
    expected = whole.train()
    stopped = house.train_until(epoch, KeyboardInterrupt())
    result = house.service.resume(stopped.run_id, ignore)
    assert result.run_id == stopped.run_id
    assert result.history == expected.history
    assert result.best_epoch == expected.best_epoch
    np.testing.assert_array_equal(result.val.confusion, expected.val.confusion)
    run = house.tracker.get(result.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.history == whole.only_run().history, "each value once"
    assert run.params == whole.only_run().params


def test_epochs_that_a_lost_driver_did_not_record_are_recorded_when_the_run_is_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = house.tracker.log

    def refuse_metrics(run_id: str, **what: Any) -> None:
        if "metrics" in what:
            raise StoreUnavailable("the tracker does not answer")
        log(run_id, **what)

    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "log", refuse_metrics)
        stopped = house.train_until(2, KeyboardInterrupt())
    assert stopped.history == {}
    result = house.service.resume(stopped.run_id, ignore)
    history = house.only_run().history
    assert sorted(history["train_loss"]) == list(enumerate(metrics["train_loss"] for metrics in result.history))
    assert sorted(step for step, _ in history["val_acc"]) == [0, 1, 2, 3]


def test_a_run_interrupted_while_saving_logs_nothing_twice_when_resumed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise StoreUnavailable("the store does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(house.store, "save", refuse)
        with pytest.raises(StoreUnavailable):
            house.train()
    stopped = house.only_run()
    assert stopped.status is RunStatus.FAILED
    result = house.service.resume(stopped.run_id, ignore)
    assert house.only_run().history == stopped.history
    assert house.store.versions(MODEL) == [result.model]


def test_a_run_whose_end_could_not_be_recorded_does_not_keep_the_status_running(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = house.tracker.set_status

    def refuse_once(run_id: str, status: RunStatus) -> None:
        if status is RunStatus.FINISHED:
            raise StoreUnavailable("the tracker does not answer")
        set_status(run_id, status)

    monkeypatch.setattr(house.tracker, "set_status", refuse_once)
    with pytest.raises(StoreUnavailable):
        house.train()
    assert house.only_run().status is RunStatus.FAILED


def test_a_run_interrupted_after_saving_registers_no_second_model(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = house.tracker.set_status

    def interrupt_at_the_end(run_id: str, status: RunStatus) -> None:
        if status is RunStatus.FINISHED:
            raise KeyboardInterrupt
        set_status(run_id, status)

    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "set_status", interrupt_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            house.train()
    stopped = house.only_run()
    assert stopped.status is RunStatus.KILLED
    (saved,) = house.store.versions(MODEL)
    result = house.service.resume(stopped.run_id, ignore)
    assert result.model == saved
    assert house.store.versions(MODEL) == [saved]
    assert house.only_run().status is RunStatus.FINISHED


def test_another_run_s_model_does_not_count_as_this_one_s(house: House) -> None:
    first, second = house.train(), house.train()
    assert [version.run_id for version in house.store.versions(MODEL)] == [second.run_id, first.run_id]


def test_an_interrupt_while_the_run_starts_does_not_leave_it_running(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, waiting = house.tracker.start, []

    def start_and_be_interrupted(name: str, tags: Mapping[str, str], dataset: DatasetVersion) -> str:
        run_id = start(name, tags, dataset)
        waiting.append(KeyboardInterrupt())
        return run_id

    @contextmanager
    def uninterrupted() -> Iterator[None]:
        yield
        if waiting:
            raise waiting.pop()

    monkeypatch.setattr(house.tracker, "start", start_and_be_interrupted)
    service = TrainingRun(house.registry, house.tracker, house.compute, house.store, MODEL, draw, uninterrupted)
    with pytest.raises(KeyboardInterrupt):
        service.start(SPEC, PROVENANCE, ignore, run_name="run")
    assert house.only_run().status is RunStatus.KILLED


@pytest.mark.parametrize(
    ("error", "worth_it"),
    [(KeyboardInterrupt(), True), (StoreUnavailable("no"), True), (TrainingFailed("no"), False)],
)
def test_resuming_is_advised_if_it_can_help(house: House, error: BaseException, *, worth_it: bool) -> None:
    run = house.train_until(1, error)
    assert house.resumable == [run.run_id] * worth_it


def test_resuming_is_not_advised_for_a_run_without_its_params(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise StoreUnavailable("the store does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(house.tracker, "log_artifact", refuse)
        with pytest.raises(StoreUnavailable):
            house.train()
    assert house.only_run().status is RunStatus.FAILED
    assert house.resumable == []


def test_a_foreign_run_is_not_resumed(house: House) -> None:
    run_id = house.tracker.start("theirs", {"mlflow.user": "them"})
    with pytest.raises(InvalidSetting, match="fmnist did not start this run"):
        house.service.resume(run_id, ignore)


def test_a_finished_run_is_not_resumed(house: House) -> None:
    result = house.train()
    with pytest.raises(InvalidSetting, match="FINISHED"):
        house.service.resume(result.run_id, ignore)
    assert house.tracker.get(result.run_id).status is RunStatus.FINISHED


def test_a_run_is_not_resumed_on_other_data(house: House) -> None:
    stopped = house.train_until(1, KeyboardInterrupt())
    moved = MemoryDataRegistry()
    moved.add("1.0.0", toy_splits(seed=1))
    service = TrainingRun(moved, house.tracker, house.compute, house.store, MODEL, draw)
    with pytest.raises(InvalidSetting, match="has changed since run"):
        service.resume(stopped.run_id, ignore)
    assert house.tracker.get(stopped.run_id).status is RunStatus.KILLED


def test_an_unknown_run_is_not_resumed(house: House) -> None:
    with pytest.raises(RunNotFound):
        house.service.resume("nobody", ignore)


def test_notes_become_tags_in_addition_to_the_lineage(house: House) -> None:
    result = house.service.start(SPEC, PROVENANCE, ignore, run_name="run", notes={"preset": "fast"})
    tags = house.tracker.get(result.run_id).tags
    assert tags["preset"] == "fast"
    assert tags["argo_workflow_uid"] == "uid"


class Outage:
    """Makes a house's tracker and store fail while it is on."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_on = False
        for owner, names in (
            (house.tracker, ("get", "log", "log_artifact", "set_status")),
            (house.store, ("save", "versions")),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self._unsteady(getattr(owner, name)))

    def _unsteady(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            if self.is_on:
                raise StoreUnavailable("nobody answers")
            return method(*arguments, **options)

        return called


def test_an_outage_during_training_is_logged_and_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(house, monkeypatch)

    def in_the_second_epoch(progress: Progress) -> None:
        outage.is_on = progress.epoch == 1 and progress.metrics is None

    caplog.set_level("INFO")
    result = house.service.start(SPEC, PROVENANCE, in_the_second_epoch, run_name="run")
    assert "the tracker does not accept the metrics of epoch 2; training continues" in caplog.text
    assert "the tracker is back" in caplog.text
    run = house.tracker.get(result.run_id)
    assert (run.status, [step for step, _ in run.history["val_acc"]]) == (RunStatus.FINISHED, [0, 1, 2, 3])


def test_an_outage_until_the_end_lists_what_is_missing_and_resuming_records_it(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outage, reports = Outage(house, monkeypatch), list[Progress]()

    def from_the_second_epoch_on(progress: Progress) -> None:
        outage.is_on = progress.epoch > 0

    with pytest.raises(StoreUnavailable):
        house.service.start(SPEC, PROVENANCE, from_the_second_epoch_on, run_name="run")
    outage.is_on = False
    run_id = house.only_run().run_id
    missing = "the metrics of epochs 2, 3; the metrics of the chosen epoch; the model; its report; its final status"
    assert f"not recorded for run {run_id}: {missing}\n" in caplog.text
    assert house.resumable == [run_id]

    result = house.service.resume(run_id, reports.append)
    assert reports == [], "nothing is trained again"
    assert house.only_run().status is RunStatus.FINISHED
    assert [step for step, _ in house.only_run().history["val_acc"]] == [0, 1, 2, 3]
    assert house.store.versions(MODEL) == [result.model]


def test_a_store_that_is_down_at_the_end_leaves_out_only_the_model(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise StoreUnavailable("the store does not answer")

    monkeypatch.setattr(house.store, "save", refuse)
    with pytest.raises(StoreUnavailable):
        house.train()
    assert "the model; its report; its final status\n" in caplog.text
    assert "the metrics" not in caplog.text


def test_a_tracker_that_hangs_does_not_delay_an_interrupted_process(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fmnist.domain.services.training.run._MARK_SECONDS", 0.1)
    forever = threading.Event()
    monkeypatch.setattr(house.tracker, "set_status", lambda *_: forever.wait())
    house.train_until(1, KeyboardInterrupt())
    forever.set()
    assert "could not be marked KILLED: its status: no answer within 0.1 s" in caplog.text


def test_run_is_not_resumed_while_it_runs_or_while_another_resumes_it(house: House) -> None:
    refusals = []

    def resume_too(progress: Progress) -> None:
        run = house.only_run()
        with pytest.raises(InvalidSetting, match="another process is at work") as refused:
            house.service.resume(run.run_id, ignore)
        refusals.append(refused)
        assert house.only_run().status is RunStatus.RUNNING
        if len(refusals) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.service.start(SPEC, PROVENANCE, resume_too, run_name="run")
    assert house.service.resume(house.only_run().run_id, resume_too).run_id == house.only_run().run_id
    assert len(refusals) > 1
    assert (house.only_run().status, house.at_work) == (RunStatus.FINISHED, set())


def test_lock_that_cannot_be_taken_starts_no_run(house: House) -> None:
    house.lockable = False
    with pytest.raises(StoreUnavailable, match="the lock of a run cannot be written"):
        house.train()
    assert house.tracker.find({}) == []
