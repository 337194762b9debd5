"""Comparisons of two models: what they count, and that they add up."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.metrics import Probabilities, wilson_interval
from fmnist.domain.model.traffic.agreement import Agreement
from fmnist.domain.model.traffic.shadow_report import ShadowReport, ShadowState

N = 60
SERVED, SHADOW = np.random.default_rng(0).dirichlet(np.full(10, 0.3), (2, N)).astype(np.float32)


def compared(served: Probabilities, shadow: Probabilities) -> Agreement:
    """Each image takes 1/64 s and 1/32 s. Sums of these are exact."""
    return Agreement.of(served, shadow, seconds=len(served) / 64, shadow_seconds=len(served) / 32)


WHOLE = compared(SERVED, SHADOW)


@given(st.permutations(range(N)), st.lists(st.integers(0, N), max_size=5))
def test_any_division_of_the_images_gives_the_same_comparison(order: list[int], cuts: list[int]) -> None:
    rows = [order[start:stop] for start, stop in itertools.pairwise([0, *sorted(cuts), N])]
    assert Agreement.joined(compared(SERVED[part], SHADOW[part]) for part in rows) == WHOLE


COUNTS = st.lists(st.integers(0, 10**12), min_size=10, max_size=10).map(tuple)
SUMS = st.integers(0, 10**15)
AGREEMENTS = st.builds(
    Agreement,
    images=COUNTS,
    agreed=COUNTS,
    dropped=SUMS,
    confidence=SUMS,
    shadow_confidence=SUMS,
    difference=SUMS,
    microseconds=SUMS,
    shadow_microseconds=SUMS,
    faults=st.sets(st.text(min_size=1, max_size=3), max_size=9).map(lambda found: tuple(sorted(found))),
)


@given(AGREEMENTS, AGREEMENTS, AGREEMENTS)
def test_replicas_add_up_in_any_order(one: Agreement, two: Agreement, three: Agreement) -> None:
    whole = Agreement.joined([one, two, three])
    assert Agreement.joined([three, Agreement.joined([two, one])]) == whole
    assert Agreement.joined([whole, Agreement()]) == whole
    assert whole.dropped == one.dropped + two.dropped + three.dropped
    assert whole.images[3] == one.images[3] + two.images[3] + three.images[3]


def test_known_answers_are_counted() -> None:
    served, shadow = np.full((2, 3, 10), 0.02, np.float32)
    served[[0, 1, 2], [4, 4, 7]] = 0.82
    shadow[[0, 1, 2], [4, 5, 7]] = (0.82, 0.42, 0.62)
    found = Agreement.of(served, shadow, seconds=0.003, shadow_seconds=0.006)
    assert (found.images[4], found.images[7], sum(found.images)) == (2, 1, 3)
    assert (found.agreed[4], found.agreed[7], sum(found.agreed)) == (1, 1, 2)
    assert found.confidence == pytest.approx(2_460_000, abs=3)
    assert found.shadow_confidence == pytest.approx(1_860_000, abs=3)
    assert found.difference == pytest.approx(600_000, abs=3)
    assert (found.microseconds, found.shadow_microseconds) == (3000, 6000)


def report(found: Agreement) -> ShadowReport:
    return ShadowReport.of(found, state=ShadowState.RUNNING, reason=None, model_uri="m", shadow_uri="s")


def test_report_has_shares_and_means() -> None:
    found = Agreement.joined([WHOLE, Agreement(dropped=7, faults=("it hangs",))])
    document, agreed = report(found), int((SERVED.argmax(axis=1) == SHADOW.argmax(axis=1)).sum())
    assert (document.images, document.dropped, document.faults) == (N, 7, ("it hangs",))
    assert document.agreement is not None
    assert document.model is not None
    assert document.shadow is not None
    assert document.agreement.value == agreed / N
    assert (document.agreement.low, document.agreement.high) == wilson_interval(agreed, N)
    assert sum(row.agreed for row in document.classes) == agreed
    assert [row.images for row in document.classes] == np.bincount(SERVED.argmax(axis=1), minlength=10).tolist()
    assert document.classes[1].class_name == "Trouser"
    assert document.model.confidence == pytest.approx(SERVED.max(axis=1).mean(), abs=1e-6)
    assert document.shadow.confidence == pytest.approx(SHADOW.max(axis=1).mean(), abs=1e-6)
    difference = np.abs(SERVED.max(axis=1) - SHADOW.max(axis=1)).mean()
    assert document.confidence_difference == pytest.approx(difference, abs=1e-6)
    assert (document.model.milliseconds, document.shadow.milliseconds) == (1000 / 64, 1000 / 32)


def test_report_without_images_has_no_means() -> None:
    document = report(Agreement(dropped=3))
    assert (document.images, document.dropped) == (0, 3)
    assert (document.agreement, document.model, document.shadow, document.confidence_difference) == (None,) * 4
