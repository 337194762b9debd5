"""Answers and labels give the same accuracy in any order, but for labels that conflict: there the first one counts."""

from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.traffic.feedback import Answer, Label, Labelling, RealizedAccuracy, Refusal, TrueClass
from fmnist.domain.model.traffic.feedback_book import FeedbackBook
from fmnist.testing.contracts.feedback import answer

URIS = ("models:/m/1", "models:/m/2")
CLASSES = st.integers(0, 3)
ANSWERS = st.lists(
    st.builds(
        lambda seconds, name, uri, classes: answer(name, *classes, seconds=seconds, model_uri=uri),
        st.integers(0, 9),
        st.sampled_from("abcdef"),
        st.sampled_from(URIS),
        st.lists(CLASSES, min_size=1, max_size=3),
    ),
    max_size=12,
)
TOLD = st.builds(TrueClass, st.sampled_from("abcdefg"), st.integers(0, 3), CLASSES)


def accuracies(book: FeedbackBook) -> list[RealizedAccuracy | None]:
    return [book.accuracy(uri) for uri in URIS]


def tell(book: FeedbackBook, told: TrueClass, milliseconds: int) -> Labelling:
    outcome, labels = book.decide([told], milliseconds)
    book.merge([], labels)
    return outcome


def reference(answers: list[Answer], told: list[TrueClass], most: int) -> list[RealizedAccuracy | None]:
    """What the rules say, slowly."""
    kept, images = list[Answer](), 0
    for each in sorted(set(answers), reverse=True):
        images += len(each.classes)
        if images > most:
            break
        kept.append(each)
    ids = [each.request_id for each in kept]
    clear = {each.request_id: each for each in kept if ids.count(each.request_id) == 1}
    first: dict[tuple[str, int], int] = {}
    for label in told:
        if label.request_id in clear and label.index < len(clear[label.request_id].classes):
            first.setdefault((label.request_id, label.index), label.class_id)
    of = {uri: [(key, told) for key, told in first.items() if clear[key[0]].model_uri == uri] for uri in URIS}
    return [
        RealizedAccuracy.of(len(each), sum(clear[name].classes[index] == told for (name, index), told in each))
        for each in of.values()
    ]


@given(ANSWERS, st.lists(TOLD, max_size=20), st.randoms(use_true_random=False), st.integers(3, 15))
def test_any_order_gives_the_accuracy_of_the_rules(
    answers: list[Answer], told: list[TrueClass], random: object, most: int
) -> None:
    book = FeedbackBook(most)
    random.shuffle(answers)  # type: ignore[attr-defined]
    for start in range(0, len(answers), 3):
        book.merge(answers[start : start + 3], [])
    for milliseconds, each in enumerate(told):
        tell(book, each, milliseconds)
    assert accuracies(book) == reference(answers, told, most)
    # What is kept is enough to restore it, in any order.
    content, labels = book.content()
    random.shuffle(content)  # type: ignore[attr-defined]
    random.shuffle(labels)  # type: ignore[attr-defined]
    restored = FeedbackBook(most)
    restored.merge(content, labels)
    assert accuracies(restored) == accuracies(book)


@given(
    ANSWERS,
    st.lists(TOLD, max_size=20, unique_by=lambda each: (each.request_id, each.index)),
    st.permutations(range(20)),
)
def test_labels_without_a_conflict_may_come_before_further_answers(
    answers: list[Answer], told: list[TrueClass], order: list[int]
) -> None:
    mixed, late = FeedbackBook(), FeedbackBook()
    events = [*answers, *told]
    for event in sorted(events, key=lambda each: order[events.index(each) % 20]):
        if isinstance(event, Answer):
            mixed.merge([event], [])
        else:
            tell(mixed, event, 1)
    late.merge(answers, [])
    for each in told:  # a refused label is sent again
        tell(mixed, each, 2)
        tell(late, each, 1)
    assert accuracies(mixed) == accuracies(late)


@given(st.lists(st.tuples(st.integers(0, 3), CLASSES), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_labels_of_two_processes_merge_in_any_order(given: list[tuple[int, int]], random: object) -> None:
    one = answer("a", 1)
    labels = [Label(time, "a", 0, class_id, one.milliseconds) for time, class_id in given]
    book = FeedbackBook()
    random.shuffle(given)  # type: ignore[attr-defined]
    book.merge([one], labels)
    assert book.accuracy(one.model_uri) == RealizedAccuracy.of(1, min(labels).class_id == 1)


def test_label_of_an_earlier_answer_under_the_id_does_not_count() -> None:
    book, early, late = FeedbackBook(), answer("a", 1), answer("a", 1, seconds=1)
    book.merge([late], [Label(5, "a", 0, 1, early.milliseconds)])
    assert book.accuracy(late.model_uri) is None


def test_label_means_the_newer_answer_when_the_older_one_came_late_and_is_forgotten() -> None:
    book, newer = FeedbackBook(10), answer("a", 5, seconds=1)
    for each in (newer, answer("a", 1, 2, 3, 4), answer("b", 1, 2, 3, 4, 5, 6, seconds=2)):
        book.merge([each], [])
    assert tell(book, TrueClass("a", 0, 5), 1) == Labelling(accepted=1)
    assert book.accuracy(newer.model_uri) == RealizedAccuracy.of(1, 1)


def test_repeated_hand_over_of_answers_under_one_id_changes_nothing() -> None:
    book, both = FeedbackBook(10), [answer("a", 1), answer("a", 2, seconds=1)]
    for each in (both, both[:1], both[1:]):
        book.merge(each, [])
    assert book.content() == (both, [])


def test_memory_is_bounded_also_for_one_id() -> None:
    book = FeedbackBook(100)
    for number in range(1000):
        book.merge([answer("same", 1, seconds=number), answer(str(number), 1, seconds=number)], [])
        tell(book, TrueClass(str(number), 0, 1), number)
    assert len(book.content()[0]) == 100
    assert len(book.content()[1]) == 50
    assert len(book._kept) == 100
    assert len(book._newest) == 51
    assert [len(older) for older in book._older.values()] == [49]
    assert len(book._labels) == 50
    assert tell(book, TrueClass("same", 0, 1), 1).refusal is Refusal.REPEATED_ID


def test_accuracy_has_the_interval_of_wilson() -> None:
    found = RealizedAccuracy.of(50, 45)
    assert found is not None
    assert (found.labelled, found.right, found.value) == (50, 45, 0.9)
    assert (found.low, found.high) == wilson_interval(45, 50)
