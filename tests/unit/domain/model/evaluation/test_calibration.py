"""Calibration: the temperature equals that of a slow search, changes no class, and is validated on other images."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.calibration import Calibration, Reliability, fit_temperature, tempered
from fmnist.domain.model.evaluation.metrics import (
    Probabilities,
    expected_calibration_error,
    log_loss,
    softmax,
    wilson_interval,
)

seeds = st.integers(0, 2**32 - 1)


def honest(seed: int, n: int = 4000, scale: float = 1.0) -> tuple[npt.NDArray[np.uint8], Probabilities]:
    """Labels drawn from probabilities, and the logits of these probabilities, multiplied by `scale`."""
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((n, 10)) * 2).astype(np.float32)
    reached = softmax(logits).astype(np.float64).cumsum(axis=1)
    labels = (rng.random((n, 1)) * reached[:, -1:] > reached).sum(axis=1).astype(np.uint8)
    return labels, softmax(logits * np.float32(scale))


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25, 2.0])
def test_temperature_reverses_a_scaling_of_the_logits(scale: float) -> None:
    assert fit_temperature(*honest(1, 20_000, scale)) == pytest.approx(scale, rel=0.05)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_temperature_gives_a_lower_loss(seed: int, scale: float) -> None:
    labels, probabilities = honest(seed, 200, scale)
    best = fit_temperature(labels, probabilities)
    assert 0.25 <= best <= 4
    lowest = log_loss(labels, tempered(probabilities, best))
    for other in np.geomspace(0.25, 4, 60):
        assert lowest <= log_loss(labels, tempered(probabilities, other)) + 1e-5


@given(seeds, st.floats(0.25, 4))
def test_no_predicted_class_changes(seed: int, temperature: float) -> None:
    _, probabilities = honest(seed, 50)
    scaled = tempered(probabilities, temperature)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=1e-5)
    first, second = np.sort(probabilities, axis=1)[:, :-3:-1].T
    assume((first - second > 1e-5).all())
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


@given(seeds, st.floats(0.25, 4))
def test_probabilities_are_those_of_the_divided_logits(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).standard_normal((20, 10)).astype(np.float32)
    expected = softmax(logits / np.float32(temperature))
    np.testing.assert_allclose(tempered(softmax(logits), temperature), expected, rtol=1e-3, atol=1e-6)


def test_temperature_one_changes_no_bit() -> None:
    _, probabilities = honest(0)
    np.testing.assert_array_equal(tempered(probabilities, 1.0), probabilities)


@pytest.mark.parametrize(("scale", "helps"), [(0.5, True), (1.0, False), (2.0, True)])
def test_temperature_is_applied_if_it_helps_on_images_it_was_not_fitted_to(scale: float, *, helps: bool) -> None:
    labels, probabilities = honest(3, 4000, scale)
    found = Calibration.of(labels, probabilities)
    assert (found.loss, found.ece) == (
        log_loss(labels, probabilities),
        expected_calibration_error(labels, probabilities),
    )
    assert found.helps is helps
    assert found.applied == (found.temperature if helps else 1.0)
    if helps:
        assert found.scaled_ece < found.ece / 3


def test_temperature_that_helps_by_chance_on_one_half_is_not_applied() -> None:
    # A fit to noise always helps on the images that it was fitted to.
    labels, probabilities = honest(7, 40)
    best = fit_temperature(labels, probabilities)
    assert log_loss(labels, tempered(probabilities, best)) < log_loss(labels, probabilities)
    found = Calibration.of(labels, probabilities)
    assert found.scaled_loss > log_loss(labels, tempered(probabilities, best))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_images_do_not_raise(n: int) -> None:
    labels, probabilities = honest(0, n)
    found = Calibration.of(labels, probabilities)
    assert math.isfinite(found.scaled_loss)
    assert 0.25 <= found.applied <= 4


def test_temperature_of_a_perfect_model_stays_within_its_limits() -> None:
    found = Calibration.of(np.arange(10, dtype=np.uint8), np.eye(10, dtype=np.float32))
    assert math.isfinite(found.temperature)
    assert found.applied == 1.0, "there is nothing to improve"


@given(seeds, st.sampled_from([0.5, 1.0, 3.0]))
def test_reliability_counts_each_prediction_once_and_gives_the_calibration_error(seed: int, scale: float) -> None:
    labels, probabilities = honest(seed, 300, scale)
    bins = Reliability.of(labels, probabilities)
    assert bins.count.sum() == 300
    assert bins.right.sum() == (probabilities.argmax(axis=1) == labels).sum()
    gap = (np.abs(bins.accuracy - bins.confidence) * bins.count).sum() / 300
    assert gap == pytest.approx(expected_calibration_error(labels, probabilities))
    for (low, high), right, count in zip(bins.intervals(), bins.right, bins.count, strict=True):
        assert (low, high) == wilson_interval(int(right), int(count))


def test_reliability_of_a_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.58, 0.42]], dtype=np.float32)
    bins = Reliability.of(np.array([0, 1, 0]), probabilities)
    filled = np.flatnonzero(bins.count)
    assert filled.tolist() == [8, 13], "of 15: (8/15, 9/15] and (13/15, 14/15]"
    assert bins.count[filled].tolist() == [1, 2]
    assert bins.accuracy[filled].tolist() == [1, 0.5]
    assert bins.confidence[filled] == pytest.approx([0.58, 0.91])
