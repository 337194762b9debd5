"""A call that hangs is left behind, once."""

import threading
from collections.abc import Iterator

import pytest

from fmnist.domain.model.errors import ModelNotFound, StoreUnavailable
from fmnist.domain.services.bounded_calls import BoundedCalls


@pytest.fixture
def calls() -> BoundedCalls:
    return BoundedCalls()


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """What calls that hang wait for; set when the test ends, which waits for them."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("bounded: "):
            thread.join(30)


def test_answer_comes_back(calls: BoundedCalls) -> None:
    assert calls.run("a sum", lambda: 1 + 1, 30) == 2


@pytest.mark.parametrize("error", [ModelNotFound("no such model"), TimeoutError("of its own"), SystemExit(3)])
def test_error_comes_back_as_it_is(calls: BoundedCalls, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        calls.run("a failure", fail, 30)
    assert caught.value is error


@pytest.mark.parametrize("seconds", [0.02, 0.0, -1.0])
def test_call_that_hangs_is_named_and_left(calls: BoundedCalls, let_go: threading.Event, seconds: float) -> None:
    with pytest.raises(StoreUnavailable, match=r"the store: no answer within 0\.0 s"):
        calls.run("the store", let_go.wait, seconds)


def test_it_is_not_made_again_while_it_hangs(calls: BoundedCalls, let_go: threading.Event) -> None:
    with pytest.raises(StoreUnavailable):
        calls.run("the store", let_go.wait, 0)
    asked = []
    with pytest.raises(StoreUnavailable, match="an earlier call still waits"):
        calls.run("the store", lambda: asked.append("again"), 30)
    assert asked == []
    assert calls.run("the registry", lambda: "another", 30) == "another"


def test_it_is_made_again_when_the_last_one_came_back(calls: BoundedCalls, let_go: threading.Event) -> None:
    with pytest.raises(StoreUnavailable):
        calls.run("the store", let_go.wait, 0)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "bounded: the store"]
    let_go.set()
    thread.join(30)
    assert calls.run("the store", lambda: "back", 30) == "back"


def test_calls_of_one_name_may_run_side_by_side(calls: BoundedCalls) -> None:
    both = threading.Barrier(2)
    answers: list[int] = []
    other = threading.Thread(target=lambda: answers.append(calls.run("the store", lambda: both.wait(30), 30)))
    other.start()
    answers.append(calls.run("the store", lambda: both.wait(30), 30))
    other.join(30)
    assert sorted(answers) == [0, 1]


def test_call_that_hangs_does_not_keep_the_process_alive(calls: BoundedCalls, let_go: threading.Event) -> None:
    with pytest.raises(StoreUnavailable):
        calls.run("the store", let_go.wait, 0)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "bounded: the store")
