"""The contract of every `Feedback`, wherever it is stored."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fmnist.domain.model.traffic.feedback import Answer, Labelling, RealizedAccuracy, Refusal, TrueClass
from fmnist.ports.feedback import Feedback

_URI = "models:/prod.contract/3"
_NOW = 1_700_000_000_000


def answer(request_id: str, *classes: int, seconds: int = 0, model_uri: str = _URI) -> Answer:
    """Return an answer with these predicted classes, given some seconds after the first one of a test."""
    return Answer(_NOW + 1000 * seconds, request_id, model_uri, classes, (0.9,) * len(classes))


class FeedbackContract:
    """Subclass it as `Test...` and supply `feedback`."""

    @pytest.fixture
    def feedback(self) -> Feedback:
        """The feedback under test. It is empty, and keeps ten images."""
        raise NotImplementedError

    def test_without_labels_there_is_no_accuracy(self, feedback: Feedback) -> None:
        assert feedback.accuracy(_URI) is None
        feedback.add([answer("a", 1)])
        assert feedback.accuracy(_URI) is None

    def test_labels_give_the_accuracy_of_their_model(self, feedback: Feedback) -> None:
        feedback.add([answer("a", 1, 2, 3), answer("b", 4, model_uri="models:/prod.contract/4")])
        given = [TrueClass("a", 0, 1), TrueClass("a", 2, 5), TrueClass("b", 0, 4)]
        assert feedback.label(given, _NOW) == Labelling(accepted=3)
        assert feedback.accuracy(_URI) == RealizedAccuracy.of(2, 1)
        assert feedback.accuracy("models:/prod.contract/4") == RealizedAccuracy.of(1, 1)

    def test_answers_before_a_time_can_be_left_out(self, feedback: Feedback) -> None:
        feedback.add([answer("a", 1), answer("b", 2, 3, seconds=5)])
        feedback.label([TrueClass("a", 0, 9), TrueClass("b", 0, 2), TrueClass("b", 1, 3)], _NOW + 9000)
        assert feedback.accuracy(_URI, _NOW + 5000) == RealizedAccuracy.of(2, 2)
        assert feedback.accuracy(_URI, _NOW + 5001) is None

    def test_first_label_of_an_image_counts(self, feedback: Feedback) -> None:
        feedback.add([answer("a", 1, 2)])
        assert feedback.label([TrueClass("a", 0, 1), TrueClass("a", 0, 7)], _NOW) == Labelling(accepted=1, ignored=1)
        later = [TrueClass("a", 0, 7), TrueClass("a", 1, 2)]
        assert feedback.label(later, _NOW + 1) == Labelling(accepted=1, ignored=1)
        assert feedback.accuracy(_URI) == RealizedAccuracy.of(2, 2)

    @pytest.mark.parametrize("unknown", [TrueClass("b", 0, 1), TrueClass("a", 1, 1), TrueClass("a", -1, 1)])
    def test_unknown_image_is_refused_and_nothing_counts(self, feedback: Feedback, unknown: TrueClass) -> None:
        feedback.add([answer("a", 1)])
        refused = Labelling(refusal=Refusal.UNKNOWN, position=1)
        assert feedback.label([TrueClass("a", 0, 1), unknown], _NOW) == refused
        assert feedback.accuracy(_URI) is None

    def test_id_of_two_answers_takes_no_label(self, feedback: Feedback) -> None:
        feedback.add([answer("a", 1), answer("b", 1)])
        feedback.label([TrueClass("a", 0, 1), TrueClass("b", 0, 1)], _NOW)
        feedback.add([answer("a", 1, seconds=1)])
        assert feedback.accuracy(_URI) == RealizedAccuracy.of(1, 1)
        assert feedback.label([TrueClass("a", 0, 1)], _NOW).refusal is Refusal.REPEATED_ID

    def test_repeated_hand_over_changes_nothing(self, feedback: Feedback) -> None:
        for _ in range(2):
            feedback.add([answer("a", 1), answer("a", 1)])
        assert feedback.label([TrueClass("a", 0, 1)], _NOW) == Labelling(accepted=1)

    def test_of_labels_at_the_same_time_one_is_accepted(self, feedback: Feedback) -> None:
        feedback.add([answer("a", *range(10))])
        with ThreadPoolExecutor(4) as threads:
            given = [TrueClass("a", index, class_id) for index in range(10) for class_id in range(4)]
            outcomes = list(threads.map(lambda each: feedback.label([each], _NOW), given))
        assert [outcome.refusal for outcome in outcomes] == [None] * 40
        assert sum(outcome.accepted for outcome in outcomes) == 10
        right = sum(o.accepted for o, each in zip(outcomes, given, strict=True) if each.index == each.class_id)
        assert feedback.accuracy(_URI) == RealizedAccuracy.of(10, right)

    def test_oldest_answers_are_forgotten_with_their_labels(self, feedback: Feedback) -> None:
        feedback.add([answer("new", 1, 2, 3, 4, seconds=9), answer("old", 1, 2, 3, 4)])
        feedback.label([TrueClass("old", 0, 1), TrueClass("new", 0, 5)], _NOW)
        feedback.add([answer("newest", 1, 2, 3, seconds=10)])
        assert feedback.accuracy(_URI) == RealizedAccuracy.of(1, 0)
        feedback.add([answer("older than the forgotten one", 1, seconds=-1)])
        for name in ("old", "older than the forgotten one"):
            assert feedback.label([TrueClass(name, 0, 1)], _NOW).refusal is Refusal.UNKNOWN

    def test_id_is_free_again_when_its_first_answer_is_forgotten(self, feedback: Feedback) -> None:
        feedback.add([answer("a", 1, 2, 3, 4)])
        feedback.label([TrueClass("a", 0, 1)], _NOW)
        feedback.add([answer("a", 5, seconds=1)])
        feedback.add([answer("b", 1, 2, 3, 4, 5, 6, seconds=2)])
        assert feedback.label([TrueClass("a", 0, 1)], _NOW) == Labelling(accepted=1)
        assert feedback.accuracy(_URI) == RealizedAccuracy.of(1, 0)
