"""Robustness on fakes: the grid is complete, `val` chooses thresholds, and a report has it only if it was asked for."""

import numpy as np
import pytest

from fmnist.domain.model.evaluation.report import ModelReport
from fmnist.domain.model.evaluation.robustness import Corruption
from fmnist.domain.services.evaluation.evaluate import ModelEvaluation
from fmnist.domain.services.evaluation.robustness import corruption_hits, measure_robustness
from tests.unit.domain.services.promotion_support import SPLITS, House, darker


def draw(uri: str, report: ModelReport) -> dict[str, bytes]:
    return {"report.html": uri.encode()}


def test_every_corruption_is_measured_in_every_severity(promotions: House) -> None:
    classifier = promotions.store.download(promotions.train(known_classes=7)).load()
    told: list[tuple[int, int]] = []
    found = measure_robustness(
        classifier, SPLITS["test"], SPLITS["val"].images, darker, lambda *done: told.append(done)
    )
    assert told == [(done, 55) for done in range(55)]
    # `darker` keeps severities 1 and 2, and makes the others black: one class of ten is right then.
    for corruption in Corruption:
        assert [cell.right for cell in found.cells[corruption]] == [70, 70, 10, 10, 10]
        np.testing.assert_array_equal(found.examples[corruption][0], SPLITS["test"].images[0])
    assert found.clean.accuracy == 0.7
    assert found.accuracy == pytest.approx((2 * 0.7 + 3 * 0.1) / 5)
    assert {(each.outside, each.score) for each in found.detections} == {
        (pictures, score) for pictures in ("noise", "inverted pictures") for score in ("maximum probability", "energy")
    }
    np.testing.assert_array_equal(corruption_hits(classifier, SPLITS["test"], darker), found.hits)


@pytest.mark.parametrize("split", ["test", "val"])
def test_report_has_robustness_only_if_asked(promotions: House, split: str) -> None:
    evaluation = ModelEvaluation(promotions.store, promotions.tracker, promotions.registry, draw, darker)
    uri = promotions.train(known_classes=7).uri
    assert evaluation.evaluate(uri, split=split).report.robustness is None
    found = evaluation.evaluate(uri, split=split, on_cell=lambda *_: None)
    assert found.report.robustness is not None
    assert found.report.robustness.clean.images == found.report.measured.images
    card = found.files["model_card.md"].decode()
    assert "## Robustness" in card
    assert "| pixelation |" in card
