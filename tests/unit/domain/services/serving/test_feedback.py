"""The answers of a replica: handed over in one batch, and kept while the feedback is away."""

from collections.abc import Sequence

import numpy as np
import pytest

from fmnist.adapters.memory.feedback import MemoryFeedback
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.traffic.feedback import Answer, Labelling, RealizedAccuracy, Refusal, TrueClass
from fmnist.domain.services.serving import feedback as module
from fmnist.domain.services.serving.feedback import GivenAnswers

URI = "models:/m/1"
ROWS = np.array([[0.1, 0.9], [0.75, 0.25]], np.float32)


class Flaky(MemoryFeedback):
    """Fails while `is_down`, and notes each hand-over."""

    is_down = False

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Sequence[Answer]] = []

    def add(self, answers: Sequence[Answer]) -> None:
        if self.is_down:
            raise StoreUnavailable("the place is away")
        self.added.append(answers)
        super().add(answers)


@pytest.fixture
def feedback() -> Flaky:
    return Flaky()


@pytest.fixture
def given(feedback: Flaky) -> GivenAnswers:
    return GivenAnswers(feedback, clock=lambda: 12.3456)


def test_answers_are_handed_over_in_one_batch(given: GivenAnswers, feedback: Flaky) -> None:
    given.note("a", URI, ROWS)
    given.note("b", URI, ROWS[:1])
    assert feedback.added == []
    given.publish()
    given.publish()
    (batch,) = feedback.added
    assert batch == [Answer(12345, "a", URI, (1, 0), (0.9, 0.75)), Answer(12345, "b", URI, (1,), (0.9,))]


def test_feedback_finds_the_answers_of_its_own_replica_at_once(given: GivenAnswers) -> None:
    given.note("a", URI, ROWS)
    assert given.label([TrueClass("a", 1, 0)]) == Labelling(accepted=1)
    assert given.label([TrueClass("a", 2, 0)]).refusal is Refusal.UNKNOWN
    assert given.accuracy(URI) == RealizedAccuracy.of(1, 1)


def test_nothing_is_lost_while_the_feedback_is_away(given: GivenAnswers, feedback: Flaky) -> None:
    feedback.is_down = True
    for name in "ab":
        given.note(name, URI, ROWS)
        with pytest.raises(StoreUnavailable):
            given.publish()
    with pytest.raises(StoreUnavailable):
        given.label([TrueClass("a", 0, 0)])
    feedback.is_down = False
    given.note("c", URI, ROWS)
    given.publish()
    assert [answer.request_id for answer in feedback.added[0]] == ["a", "b", "c"]


def test_memory_is_bounded_while_the_feedback_is_away(
    given: GivenAnswers, feedback: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 10)
    feedback.is_down = True
    for number in range(30):
        given.note(str(number), URI, ROWS)
        with pytest.raises(StoreUnavailable):
            given.publish()
    assert [each[1] for each in given._waiting] == ["25", "26", "27", "28", "29"]
    assert given._images == 10


def test_memory_is_bounded_when_answers_come_during_a_failing_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 10)

    class Slow(MemoryFeedback):
        def add(self, answers: Sequence[Answer]) -> None:
            for number in range(5):
                given.note(f"during {number}", URI, ROWS)
            raise StoreUnavailable("the place is away")

    given = GivenAnswers(Slow())
    for number in range(5):
        given.note(f"before {number}", URI, ROWS)
    with pytest.raises(StoreUnavailable):
        given.publish()
    assert [each[1] for each in given._waiting] == [f"during {number}" for number in range(5)]
