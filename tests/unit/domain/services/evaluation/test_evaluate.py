"""Evaluates any registered model: what is measured, where the report goes, and that nothing else changes."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from fmnist.domain.model.errors import CorruptModel, InvalidSetting, ModelNotFound, Remedy, StoreUnavailable
from fmnist.domain.model.evaluation.report import SECONDS_METRIC, SPEED_METRIC, ModelReport
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.training.run import EPOCH_METRICS
from fmnist.domain.services.evaluation.evaluate import ModelEvaluation, story_of
from tests.unit.domain.services.promotion_support import House, darker

FOLDER = "evaluations/fashion-mnist-v1.0.0-test"


def draw(uri: str, report: ModelReport) -> Mapping[str, bytes]:
    return {"report.html": f"{uri} {report.measured.split}".encode()}


@pytest.fixture
def evaluation(promotions: House) -> ModelEvaluation:
    return ModelEvaluation(promotions.store, promotions.tracker, promotions.registry, draw, darker)


def test_model_is_measured_on_the_split_of_its_own_data(promotions: House, evaluation: ModelEvaluation) -> None:
    model = promotions.train(known_classes=7)
    found = evaluation.evaluate(model.uri)
    measured = found.report.measured
    assert (found.model, measured.split, measured.data_version) == (model, "test", "fashion-mnist-v1.0.0")
    assert measured.evaluation.accuracy == promotions.accuracy(model.uri) == 0.7
    assert {mistake.truth for mistake in measured.mistakes} == {7, 8, 9}
    assert found.report.counts == {"train": 50, "val": 10, "test": 100}


def test_report_goes_to_the_model_s_run_and_nothing_else_changes(
    promotions: House, evaluation: ModelEvaluation
) -> None:
    model = promotions.train(known_classes=7)
    before = promotions.tracker.get(model.run_id)
    found = evaluation.evaluate(model.uri)
    after = promotions.tracker.get(model.run_id)
    assert found.logged_to == FOLDER
    assert sorted(promotions.tracker.artifacts(model.run_id)) == [f"{FOLDER}/model_card.md", f"{FOLDER}/report.html"]
    assert after == before
    assert promotions.store.resolve(model.uri) == model
    assert promotions.tracker.artifacts(model.run_id)[f"{FOLDER}/report.html"].decode() == f"{model.uri} test"
    assert found.files["report.html"].decode() == f"{model.uri} test"


def test_an_alias_is_reported_as_the_measured_version(promotions: House, evaluation: ModelEvaluation) -> None:
    model = promotions.train(known_classes=7)
    promotions.store.label(model, alias="best")
    assert evaluation.evaluate(f"models:/{model.name}@best").model.uri == model.uri


def test_another_split_or_data_version_can_be_chosen(promotions: House, evaluation: ModelEvaluation) -> None:
    model = promotions.train(known_classes=7)
    found = evaluation.evaluate(model.uri, split="val", data_version="0.9.0")
    assert (found.report.measured.images, found.report.measured.data_version) == (50, "fashion-mnist-v0.9.0")
    assert found.logged_to == "evaluations/fashion-mnist-v0.9.0-val"


def test_foreign_model_is_measured_if_a_data_version_is_given(
    promotions: House, evaluation: ModelEvaluation, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = strip(promotions, promotions.train(known_classes=7))
    with pytest.raises(InvalidSetting, match="does not name its data version") as refused:
        evaluation.evaluate(theirs.uri)
    assert refused.value.remedies == (Remedy.NAME_DATA_VERSION,)
    found = evaluation.evaluate(theirs.uri, data_version="1.0.0")
    assert found.report.measured.evaluation.accuracy == 0.7
    assert (found.report.story, found.logged_to) == (None, None)
    assert "has no run, so its report is not logged" in caplog.text


def test_missing_run_costs_only_the_learning_curves(
    promotions: House, evaluation: ModelEvaluation, caplog: pytest.LogCaptureFixture
) -> None:
    model = promotions.train(known_classes=7)
    promotions.tracker._runs.clear()
    found = evaluation.evaluate(model.uri)
    assert (found.report.story, found.logged_to) == (None, None)
    assert found.files["report.html"]
    assert "the report has no learning curves: no run" in caplog.text
    assert "the report could not be logged to the model's run: no run" in caplog.text


def test_model_is_measured_although_the_tracker_is_down(
    promotions: House, evaluation: ModelEvaluation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*arguments: object) -> None:
        raise StoreUnavailable("the tracker does not answer")

    model = promotions.train(known_classes=7)
    monkeypatch.setattr(promotions.tracker, "log_artifact", away)
    found = evaluation.evaluate(model.uri)
    assert (found.report.measured.evaluation.accuracy, found.logged_to) == (0.7, None)
    assert "the report could not be logged to the model's run: the tracker does not answer" in caplog.text


def test_model_that_is_absent_or_damaged_is_an_error(promotions: House, evaluation: ModelEvaluation) -> None:
    model = promotions.train(known_classes=7)
    with pytest.raises(ModelNotFound):
        evaluation.evaluate(f"models:/{model.name}/9")
    promotions.store.spoil(model)
    with pytest.raises(CorruptModel):
        evaluation.evaluate(model.uri)
    assert promotions.tracker.artifacts(model.run_id) == {}


def test_story_is_read_back_from_the_run(promotions: House) -> None:
    tracker = promotions.tracker
    run_id = tracker.start("run", {})
    assert story_of(tracker.get(run_id)) is None
    epochs = [dict.fromkeys(EPOCH_METRICS, value) for value in (0.5, 0.75)]
    for step, metrics in enumerate(epochs):
        tracker.log(run_id, metrics=metrics, step=step)
    # Values logged at the run's end are not an epoch.
    tracker.log(
        run_id, params={"lr": "0.1"}, metrics={"val_acc": 0.75, SECONDS_METRIC: 8.0, SPEED_METRIC: 10.0}, step=2
    )
    story = story_of(tracker.get(run_id))
    assert story is not None
    assert (story.history, story.best_epoch, story.params) == (epochs, 1, {"lr": "0.1"})
    assert (story.seconds, story.images_per_second) == (8.0, 10.0)
    assert story.speed() == {SECONDS_METRIC: 8.0, SPEED_METRIC: 10.0}


def test_story_of_a_run_without_times_has_no_speed(promotions: House) -> None:
    run_id = promotions.tracker.start("run", {})
    promotions.tracker.log(run_id, metrics=dict.fromkeys(EPOCH_METRICS, 0.5), step=0)
    story = story_of(promotions.tracker.get(run_id))
    assert story is not None
    assert story.speed() == {}


def strip(promotions: House, model: ModelVersion) -> ModelVersion:
    """Register the model once more, without our tags and without a run, like a foreign tool."""
    copy = promotions.store.copy(model, "theirs")
    entry = promotions.store._models["theirs"][copy.version - 1]
    bare = replace(entry, version=replace(copy, tags={}, run_id=""))
    promotions.store._models["theirs"][copy.version - 1] = bare
    return bare.version
