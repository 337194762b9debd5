"""The report's numbers, and the model card with them."""

from dataclasses import replace

import numpy as np
import pytest

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.card import model_card
from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.evaluation.report import Measurement, SplitPredictions
from tests.unit.reports import a_measurement, a_report


def test_mistakes_are_the_most_confident_ones_and_ties_go_to_the_first() -> None:
    labels = np.zeros(60, dtype=np.uint8)
    probabilities = np.full((60, 10), 0.05, dtype=np.float32)
    probabilities[:, 1] = 0.55
    probabilities[7], probabilities[3] = 0.1 / 9, 0.01 / 9
    probabilities[7, 1], probabilities[3, 0] = 0.9, 0.99
    images = np.arange(60, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), dtype=np.uint8)
    measured = Measurement.of("test", "v", "d", SplitPredictions(images, labels, np.log(probabilities), 2.0))
    assert [mistake.row for mistake in measured.mistakes] == [7, 0, 1, 2, *range(4, 7), *range(8, 25)]
    worst = measured.mistakes[0]
    assert (worst.truth, worst.answer, worst.confidence) == (0, 1, pytest.approx(0.9))
    assert (worst.image == 7).all()
    assert measured.images_per_second == 30


def test_mistakes_do_not_keep_the_split_in_memory() -> None:
    for mistake in a_measurement().mistakes:
        assert mistake.image.base is None


def test_class_metrics_agree_with_their_definitions() -> None:
    confusion = np.random.default_rng(0).integers(0, 30, (10, 10))
    confusion[:, 4] = 0  # never predicted
    measured = a_measurement()
    measured = replace(measured, evaluation=replace(measured.evaluation, confusion=confusion))
    for label, found in enumerate(measured.classes(CLASS_NAMES)):
        hits, seen, answered = (
            int(n) for n in (confusion[label, label], confusion[label].sum(), confusion[:, label].sum())
        )
        assert (found.name, found.images) == (CLASS_NAMES[label], seen)
        assert found.recall == pytest.approx(hits / seen)
        assert found.precision == pytest.approx(hits / answered if answered else 0)
        assert found.f1 == pytest.approx(2 * hits / (seen + answered))
        assert found.recall_interval == wilson_interval(hits, seen)
        assert found.precision_interval == wilson_interval(hits, answered)


def test_confusions_are_the_most_common_mistakes() -> None:
    confusion = np.diag([50] * 10)
    confusion[6, 0], confusion[0, 6], confusion[2, 4] = 9, 12, 3
    measured = a_measurement()
    measured = replace(measured, evaluation=replace(measured.evaluation, confusion=confusion))
    assert measured.confusions(2) == [(0, 6, 12), (6, 0, 9)]
    assert measured.confusions(9) == [(0, 6, 12), (6, 0, 9), (2, 4, 3)]


def test_card_has_data_results_limits_and_lineage() -> None:
    report = a_report()
    card = model_card(report)
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings == [
        "# Fashion-MNIST classifier `cnn`",
        *("## Results", "## Data", "## Limits", "## Training", "## Lineage"),
    ]
    measured = report.measured
    low, high = measured.accuracy_interval
    assert f"| accuracy | {measured.evaluation.accuracy:.2%} ({low:.1%}-{high:.1%}) |" in card
    assert "|  | test | val |" in card
    for name in CLASS_NAMES:
        assert f"| {name} | " in card
    for value in ("0.286041", "fashion-mnist-v1.0.0", "train 55,000, val 5,000, test 10,000", "c0ffee", "lr 0.2"):
        assert value in card
    weakest = min(measured.classes(CLASS_NAMES), key=lambda each: each.recall)
    assert f"by recall: {weakest.name} {weakest.recall:.2%}" in card


def test_card_says_how_far_training_can_be_repeated() -> None:
    card = model_card(a_report())
    assert "gives the same weights" in card
    assert "On a GPU the weights differ slightly" in card


def test_card_names_gpu_settings_only_if_a_gpu_was_used() -> None:
    report = a_report()
    assert report.story is not None
    params = {**report.story.params, "precision": "bfloat16"}
    on_cpu, on_gpu = (
        model_card(replace(report, story=replace(report.story, params=params, device=device)))
        for device in ("cpu", "NVIDIA H100")
    )
    assert "images/s on NVIDIA H100" in on_gpu
    assert "precision bfloat16" in on_gpu
    assert "images/s on cpu" in on_cpu
    assert "precision bfloat16" not in on_cpu


def test_card_says_whether_the_temperature_is_applied() -> None:
    report = a_report()
    assert report.calibration is not None
    applied = model_card(replace(report, calibration=replace(report.calibration, loss=1.0, scaled_loss=0.5)))
    left_out = model_card(replace(report, calibration=replace(report.calibration, loss=0.5, scaled_loss=1.0)))
    assert "Logits are divided by a temperature of" in applied
    assert "Temperature scaling is not used" in left_out
    assert "emperature" not in model_card(replace(report, calibration=None))


def test_card_of_a_model_without_a_run_leaves_out_unknown_values() -> None:
    report = a_report()
    bare = replace(report, val=None, calibration=None, story=None, counts={}, info=replace(report.info, lineage={}))
    card = model_card(bare)
    assert "## Training" not in card
    assert "Trained on `not recorded`" in card
    assert "|  | test |\n" in card


def test_card_fits_into_the_description_of_a_registry() -> None:
    assert len(model_card(a_report())) < 5000
