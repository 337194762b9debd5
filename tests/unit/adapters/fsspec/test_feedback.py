"""Feedback in a directory: what a restart finds, what several processes share, and a place that is down."""

import json
import threading
from pathlib import Path

import pytest

from fmnist.adapters.fsspec import feedback as module
from fmnist.adapters.fsspec.feedback import ObjectFeedback
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.traffic.feedback import Answer, Labelling, RealizedAccuracy, Refusal, TrueClass
from fmnist.testing.contracts.feedback import FeedbackContract, answer

URI = answer("a").model_uri


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "new" / "of [a] service*"


def opened(place: Path, most: int = 10) -> ObjectFeedback:
    return ObjectFeedback(str(place), S3Settings(), most)


class TestObjectFeedback(FeedbackContract):
    @pytest.fixture
    def feedback(self, place: Path) -> ObjectFeedback:
        return opened(place)


class TestObjectFeedbackThatRestartsForEachCall(FeedbackContract):
    @pytest.fixture
    def feedback(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectFeedback:
        feedback = opened(place)
        catch_up = feedback._catch_up

        def forget_and_catch_up() -> None:
            feedback._read, feedback._book = None, type(feedback._book)(10)
            catch_up()

        monkeypatch.setattr(feedback, "_catch_up", forget_and_catch_up)
        return feedback


def test_restart_loses_nothing(place: Path) -> None:
    first = opened(place)
    first.add([answer("a", 1, 2)])
    first.label([TrueClass("a", 0, 1)], 5)
    second = opened(place)
    assert second.accuracy(URI) == RealizedAccuracy.of(1, 1)
    assert second.label([TrueClass("a", 0, 7), TrueClass("a", 1, 7)], 6) == Labelling(accepted=1, ignored=1)
    assert opened(place).accuracy(URI) == first.accuracy(URI) == RealizedAccuracy.of(2, 1)


def test_restart_finds_every_answer_of_a_large_hand_over(place: Path) -> None:
    first = opened(place, 10_000)
    uris = [f"models:/m/{number // 700 % 2}" for number in range(1800)]
    given = [answer(f"a{n}", *range(1 + n % 3), seconds=n, model_uri=uri) for n, uri in enumerate(uris)]
    first.add(given)
    again = opened(place, 10_000)
    again.add(given)
    assert sorted(again._book.content()[0]) == given
    assert len(list(place.iterdir())) == 1


def test_object_of_an_earlier_release_counts(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "1796124874083-4d1c9b7b0e5d6c3f.jsonl").write_text(
        '["answer", 1796124871000, "a", "models:/prod.contract/3", [3, 5], [0.9, 0.75]]\n'
        '["label", 1796124872000, "a", 0, 3, 1796124871000]\n'
    )
    feedback = opened(place)
    assert feedback.accuracy(URI) == RealizedAccuracy.of(1, 1)
    assert feedback.label([TrueClass("a", 0, 7), TrueClass("a", 1, 7)], 6) == Labelling(accepted=1, ignored=1)
    feedback.add([Answer(1796124871000, "a", URI, (3, 5), (0.9, 0.75))])  # the same answer once more
    assert feedback.accuracy(URI) == RealizedAccuracy.of(2, 1)


def test_nothing_is_written_without_news(place: Path) -> None:
    feedback = opened(place)
    feedback.add([])
    feedback.label([TrueClass("a", 0, 1)], 5)
    assert not place.exists()
    for _ in range(3):
        feedback.add([answer("a", 1)])
        feedback.label([TrueClass("a", 0, 1)], 5)
    assert len(list(place.iterdir())) == 2


def test_objects_are_never_changed_and_their_number_is_bounded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_OBJECTS", 5)
    feedback, other, contents = opened(place), opened(place), dict[str, bytes]()
    for number in range(30):
        (feedback, other)[number % 2].add([answer(f"a{number}", 1, seconds=number)])
        feedback.label([TrueClass(f"a{number}", 0, number % 3)], number)
        for path in place.iterdir():
            assert contents.setdefault(path.name, path.read_bytes()) == path.read_bytes()
        assert len(list(place.iterdir())) <= 6
    assert len(contents) > 40
    assert opened(place).accuracy(URI) == feedback.accuracy(URI) == other.accuracy(URI) == RealizedAccuracy.of(10, 3)
    assert len(feedback._book._kept) == 10


def test_label_counts_although_another_process_replaces_objects_meanwhile(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_OBJECTS", 2)
    first, second = opened(place), opened(place)
    second.add([answer("z", 1)])
    first.add([answer("a", 1)])
    names = ObjectFeedback._names

    def and_then_replace(self: ObjectFeedback) -> list[str]:
        found = list(names(self))
        monkeypatch.setattr(ObjectFeedback, "_names", names)
        assert first.label([TrueClass("a", 0, 1)], 5) == Labelling(accepted=1)  # it replaces all objects by one
        return found

    monkeypatch.setattr(ObjectFeedback, "_names", and_then_replace)
    assert second.accuracy(URI) == RealizedAccuracy.of(1, 1)
    assert opened(place).accuracy(URI) == RealizedAccuracy.of(1, 1)


def test_labels_at_the_same_time_of_two_processes_count_once(place: Path) -> None:
    both = [opened(place, 1000) for _ in range(2)]
    both[0].add([answer("a", *range(10))])
    start = threading.Barrier(2)

    def label(which: int) -> None:
        start.wait()
        for index in range(10):
            both[which].label([TrueClass("a", index, which)], 100 * index + which)

    threads = [threading.Thread(target=label, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both[0].accuracy(URI) == both[1].accuracy(URI) == opened(place).accuracy(URI)


def test_damaged_object_is_named(place: Path) -> None:
    opened(place).add([answer("a", 1)])
    (object_,) = place.iterdir()
    object_.write_text(object_.read_text()[:-2])
    with pytest.raises(StoreUnavailable, match=rf"{object_.name} is damaged, remove it"):
        opened(place).add([answer("b", 1)])
    object_.write_text(json.dumps(["answer", 1, "a", "b", 3]))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        opened(place).accuracy(URI)
    for line in (
        ["label", 1],
        ["answers", URI],
        ["answers", URI, [1, 2], ["a", "b"], [[1], [2]], [[0.5]]],
        ["later", 1, "a", 0, 1, 5],
    ):
        object_.write_text(json.dumps(line))
        with pytest.raises(StoreUnavailable, match="is damaged"):
            opened(place).accuracy(URI)


def test_other_files_are_left_alone(place: Path) -> None:
    (place / "folder").mkdir(parents=True)
    for name in ("notes.txt", ".0000000000001-0123456789abcdef.jsonl", "folder/0000000000001-0123456789abcdef.jsonl"):
        (place / name).write_text("no JSON")
    assert opened(place).accuracy(URI) is None


def test_directory_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(place).add([answer("a", 1)])

    def refuse(_: Path) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StoreUnavailable, match="not yours"):
        opened(place).accuracy(URI)


def test_place_that_is_down_is_named_and_spared_for_a_while(tmp_path: Path) -> None:
    place, now = tmp_path / "file", 0.0
    place.write_text("in the way")
    feedback = ObjectFeedback(str(place), S3Settings(), clock=lambda: now)
    with pytest.raises(StoreUnavailable, match=f"the feedback at {place} is out of reach.*check its permissions"):
        feedback.add([answer("a", 1)])
    place.unlink()
    with pytest.raises(StoreUnavailable, match="did not answer a moment ago"):
        feedback.add([answer("a", 1)])
    now = 10.0
    feedback.add([answer("a", 1)])
    assert feedback.label([TrueClass("a", 0, 1)], 5) == Labelling(accepted=1)


def test_label_that_cannot_be_written_does_not_count(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = opened(place)
    feedback.add([answer("a", 1)])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            feedback.label([TrueClass("a", 0, 1)], 5)
    feedback._closed_until = 0
    assert feedback.accuracy(URI) is None
    assert feedback.label([TrueClass("a", 0, 2)], 6) == Labelling(accepted=1)


def test_unknown_answers_of_another_process_are_found(place: Path) -> None:
    asked = opened(place)
    assert asked.label([TrueClass("a", 0, 1)], 5).refusal is Refusal.UNKNOWN
    opened(place).add([answer("a", 1)])
    assert asked.label([TrueClass("a", 0, 1)], 5) == Labelling(accepted=1)
