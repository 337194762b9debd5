"""The metrics against slow references in plain Python, written from their definitions."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.metrics import (
    Evaluation,
    PerClass,
    Probabilities,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    softmax,
    summarize,
    wilson_interval,
)

CLASSES = 10
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


@st.composite
def answers(draw: st.DrawFn) -> tuple[npt.NDArray[np.uint8], Probabilities]:
    """Labels and probabilities, from uninformed to certain."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, sharpness = draw(st.integers(1, 60)), draw(st.sampled_from([0.0, 1.0, 5.0, 100.0]))
    logits = (rng.standard_normal((n, CLASSES)) * sharpness).astype(np.float32)
    return rng.integers(0, CLASSES, n, dtype=np.uint8), softmax(logits)


def slow_macro(truth: list[int], predicted: list[int]) -> tuple[float, float, float]:
    precisions, recalls, f1s = [], [], []
    for label in set(truth) | set(predicted):
        hits = sum(t == p == label for t, p in zip(truth, predicted, strict=True))
        precision = hits / predicted.count(label) if label in predicted else 0.0
        recall = hits / truth.count(label) if label in truth else 0.0
        precisions.append(precision)
        recalls.append(recall)
        f1s.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return tuple(sum(values) / len(values) for values in (precisions, recalls, f1s))  # type: ignore[return-value]


def slow_ece(labels: list[int], probabilities: list[list[float]]) -> float:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for label, row in zip(labels, probabilities, strict=True):
        confidence = max(row)
        # Bin b has the confidences in (b / 15, (b + 1) / 15].
        index = next(b for b in range(15) if confidence <= (b + 1) / 15)
        bins.setdefault(index, []).append((confidence, row.index(confidence) == label))
    return sum(
        abs(sum(right for _, right in members) - sum(confidence for confidence, _ in members))
        for members in bins.values()
    ) / len(labels)


def rows(*confidences: float) -> Probabilities:
    """Probabilities with these confidences for class 0, and the rest for class 1."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences], dtype=np.float32)


def labels_of(*values: int) -> npt.NDArray[Any]:
    return np.array(values, dtype=np.uint8)


@given(pairs)
def test_confusion_matrix_counts_each_pair(counted: list[tuple[int, int]]) -> None:
    truth, predicted = map(np.array, zip(*counted, strict=True))
    confusion = confusion_matrix(truth.astype(np.uint8), predicted)
    assert confusion.shape == (CLASSES, CLASSES)
    assert confusion.dtype == np.int64
    for true_label in range(CLASSES):
        for answer in range(CLASSES):
            assert confusion[true_label, answer] == counted.count((true_label, answer))


@given(pairs)
def test_averages_agree_with_their_definitions(counted: list[tuple[int, int]]) -> None:
    truth, predicted = (list(column) for column in zip(*counted, strict=True))
    summary = summarize(confusion_matrix(np.array(truth), np.array(predicted)))
    precision, recall, f1 = slow_macro(truth, predicted)
    assert summary["acc"] == pytest.approx(sum(t == p for t, p in counted) / len(counted))
    assert summary["precision"] == pytest.approx(precision)
    assert summary["recall"] == pytest.approx(recall)
    assert summary["f1"] == pytest.approx(f1)


def test_averages_of_a_worked_example() -> None:
    summary = summarize(np.array([[2, 1, 0], [0, 1, 0], [0, 0, 0]]))
    assert summary == pytest.approx({"acc": 3 / 4, "precision": 3 / 4, "recall": 5 / 6, "f1": (4 / 5 + 2 / 3) / 2})


def test_a_class_that_never_occurs_has_zero_and_does_not_count_in_the_average() -> None:
    confusion = np.diag([3, 5, 0])
    per_class = PerClass.of(confusion)
    for figure in (per_class.precision, per_class.recall, per_class.f1):
        np.testing.assert_array_equal(figure, [1, 1, 0])
    np.testing.assert_array_equal(per_class.support, [3, 5, 0])
    assert summarize(confusion) == {"acc": 1, "precision": 1, "recall": 1, "f1": 1}


@given(pairs)
def test_swapping_labels_and_predictions_swaps_precision_and_recall(counted: list[tuple[int, int]]) -> None:
    truth, predicted = map(np.array, zip(*counted, strict=True))
    one, other = summarize(confusion_matrix(truth, predicted)), summarize(confusion_matrix(predicted, truth))
    assert (one["acc"], one["precision"]) == pytest.approx((other["acc"], other["recall"]))
    assert one["f1"] == pytest.approx(other["f1"])


@given(answers(), st.randoms(use_true_random=False))
def test_an_evaluation_does_not_depend_on_the_order_of_the_images(
    answered: tuple[npt.NDArray[np.uint8], Probabilities], random: Any
) -> None:
    labels, probabilities = answered
    order = list(range(len(labels)))
    random.shuffle(order)
    one, other = Evaluation.of(labels, probabilities), Evaluation.of(labels[order], probabilities[order])
    assert one.metrics("x", calibration=True) == pytest.approx(other.metrics("x", calibration=True))
    np.testing.assert_array_equal(one.confusion, other.confusion)


@given(answers())
def test_every_metric_is_in_its_range_and_agrees_with_a_slow_reference(
    answered: tuple[npt.NDArray[np.uint8], Probabilities],
) -> None:
    labels, probabilities = answered
    evaluation = Evaluation.of(labels, probabilities)
    for share in (evaluation.accuracy, evaluation.precision, evaluation.recall, evaluation.f1, evaluation.ece):
        assert 0 <= share <= 1
    assert 0 <= evaluation.loss <= -math.log(np.finfo(np.float32).eps)
    chosen = [float(row[label]) for row, label in zip(probabilities, labels, strict=True)]
    floor = float(np.finfo(np.float32).eps)
    assert evaluation.loss == pytest.approx(-sum(math.log(max(p, floor)) for p in chosen) / len(chosen))
    assert evaluation.ece == pytest.approx(slow_ece(labels.tolist(), probabilities.tolist()), abs=1e-9)
    assert evaluation.confusion.sum() == len(labels)


def test_log_loss_of_a_perfect_prediction_is_positive_zero() -> None:
    loss = log_loss(labels_of(0, 0), rows(1, 1))
    assert (loss, math.copysign(1, loss)) == (0, 1)


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    assert log_loss(labels_of(1), rows(1)) == pytest.approx(15.942, abs=1e-3)


def test_log_loss_of_guessing_is_the_log_of_the_number_of_classes() -> None:
    guess = np.full((4, CLASSES), 1 / CLASSES, dtype=np.float32)
    assert log_loss(labels_of(0, 3, 5, 9), guess) == pytest.approx(math.log(CLASSES))


@pytest.mark.parametrize(
    ("labels", "confidences", "expected"),
    [
        ((0, 0), (1, 1), 0),  # certain and right
        ((1, 1), (1, 1), 1),  # certain and wrong
        ((0, 0, 0, 1), (0.75, 0.75, 0.75, 0.75), 0),  # accuracy equals confidence
        ((0, 1), (0.8, 0.8), 0.3),  # confidence 80 %, accuracy 50 %, in one bin
        ((0, 1), (0.6, 0.9), 0.65),  # two bins: the average of a gap of 0.4 and one of 0.9
        ((0,), (0.5,), 0.5),
    ],
)
def test_calibration_error_of_worked_examples(
    labels: tuple[int, ...], confidences: tuple[float, ...], expected: float
) -> None:
    assert expected_calibration_error(labels_of(*labels), rows(*confidences)) == pytest.approx(expected, abs=1e-6)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    # 0.6 is the upper edge of (8/15, 9/15]. With 0.55 in the same bin, one correct and one wrong one average out.
    probabilities = np.array([[0.6, 0.4], [0.55, 0.45]], dtype=np.float64)
    gap = abs((1 + 0) - (0.6 + 0.55)) / 2
    assert expected_calibration_error(labels_of(0, 1), probabilities) == pytest.approx(gap)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_gives_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_interval_contains_the_share_and_is_symmetric(trials: int, part: float, level: float) -> None:
    successes = round(part * trials)
    low, high = wilson_interval(successes, trials, level)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1
    mirrored = wilson_interval(trials - successes, trials, level)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_wilson_interval_without_trials_is_zero_to_one() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_interval_narrows_with_trials_and_widens_with_the_level() -> None:
    def width(trials: int, level: float = 0.95) -> float:
        low, high = wilson_interval(trials // 2, trials, level)
        return high - low

    assert width(1000) < width(100) < width(100, 0.99)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 1e3, 1e30]))
def test_softmax_gives_probabilities_for_any_finite_logits(seed: int, scale: float) -> None:
    logits = (np.random.default_rng(seed).standard_normal((5, CLASSES)) * scale).astype(np.float32)
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))


def test_softmax_of_a_worked_example() -> None:
    logits = np.log(np.array([[1, 2, 5]], dtype=np.float32))
    np.testing.assert_allclose(softmax(logits + 1000), [[0.125, 0.25, 0.625]], rtol=1e-4)


def test_metrics_are_named_as_the_platform_names_them() -> None:
    evaluation = Evaluation.of(labels_of(0, 1), rows(0.9, 0.2))
    assert list(evaluation.metrics("val")) == ["val_loss", "val_acc", "val_precision", "val_recall", "val_f1"]
    assert list(evaluation.metrics("test", calibration=True))[-1] == "test_ece"
    assert evaluation.metrics("val")["val_acc"] == evaluation.accuracy == 1
