"""A call that hangs is abandoned after its timeout, and is not repeated while it hangs."""

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
    """The event that hanging calls wait for. The end of the test sets it and waits for the calls."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("bounded: "):
            thread.join(30)


def test_call_returns_its_result(calls: BoundedCalls) -> None:
    assert calls.run("a sum", lambda: 1 + 1, 30) == 2


@pytest.mark.parametrize("error", [ModelNotFound("no such model"), TimeoutError("of its own"), SystemExit(3)])
def test_call_raises_its_own_error(calls: BoundedCalls, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        calls.run("a failure", fail, 30)
    assert caught.value is error


@pytest.mark.parametrize("seconds", [0.02, 0.0, -1.0])
def test_call_that_hangs_times_out_with_its_name(calls: BoundedCalls, let_go: threading.Event, seconds: float) -> None:
    with pytest.raises(StoreUnavailable, match=r"the store: no answer within 0\.0 s"):
        calls.run("the store", let_go.wait, seconds)


def test_call_is_not_repeated_while_it_hangs(calls: BoundedCalls, let_go: threading.Event) -> None:
    with pytest.raises(StoreUnavailable):
        calls.run("the store", let_go.wait, 0)
    asked = []
    with pytest.raises(StoreUnavailable, match="an earlier call still waits"):
        calls.run("the store", lambda: asked.append("again"), 30)
    assert asked == []
    assert calls.run("the registry", lambda: "another", 30) == "another"


def test_call_is_repeated_after_the_last_one_returned(calls: BoundedCalls, let_go: threading.Event) -> None:
    with pytest.raises(StoreUnavailable):
        calls.run("the store", let_go.wait, 0)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "bounded: the store"]
    let_go.set()
    thread.join(30)
    assert calls.run("the store", lambda: "back", 30) == "back"


def test_calls_with_one_name_may_run_in_parallel(calls: BoundedCalls) -> None:
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
