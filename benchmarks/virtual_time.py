"""Virtual time for a simulation: processes that wait, calls with a time limit, and queues in front of servers."""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar
from unittest.mock import patch

from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.services.bounded_calls import BoundedCalls, settle

T = TypeVar("T")


@dataclass(order=True)
class _Event:
    when: float
    order: int
    turn: threading.Lock = field(compare=False)
    over: bool = field(default=False, compare=False)


def _held_lock() -> threading.Lock:
    """Return a lock that another thread will release."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class Clock:
    """Virtual time. A process is a thread, and only one of them runs at a time: so every run gives the same result."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[_Event] = []
        self._order = count()
        self._paused = _held_lock()

    def start(self, work: Callable[[], T], delay: float = 0.0) -> "Future[T]":
        """Start a process that begins in `delay` seconds. Its result or error is in the future."""
        future: Future[T] = Future()
        event = self._event(delay)

        def process() -> None:
            event.turn.acquire()
            settle(future, work)
            self._paused.release()

        threading.Thread(target=process, daemon=True).start()
        return future

    def wait(self, seconds: float) -> None:
        """Let the calling process wait."""
        self._pause(self._event(seconds))

    def wait_for(self, future: "Future[Any]", seconds: float) -> bool:
        """Let the calling process wait for a result, at most so long. Return whether it is there."""
        event = self._event(seconds)
        future.add_done_callback(lambda _: self._hasten(event))
        self._pause(event)
        return future.done()

    def run(self) -> None:
        """Run until all processes have ended."""
        # The domain reads this clock for the deadlines of its attempts.
        with patch.object(time, "monotonic", lambda: self.now):
            while self._events:
                event = heapq.heappop(self._events)
                if event.over:
                    continue
                event.over, self.now = True, event.when
                event.turn.release()
                self._paused.acquire()

    def _event(self, seconds: float) -> _Event:
        event = _Event(self.now + max(0.0, seconds), next(self._order), _held_lock())
        heapq.heappush(self._events, event)
        return event

    def _hasten(self, event: _Event) -> None:
        if not event.over:
            event.over = True
            heapq.heappush(self._events, _Event(self.now, next(self._order), event.turn))

    def _pause(self, event: _Event) -> None:
        self._paused.release()
        event.turn.acquire()


# One for the whole process, because a pickled factory of a classifier cannot carry it.
CLOCK = Clock()


class VirtualCalls(BoundedCalls):
    """`BoundedCalls` in virtual time. As there, a call that takes too long is left behind and goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._behind: dict[str, Future[Any]] = {}

    def run(self, what: str, call: Callable[[], T], seconds: float) -> T:
        if what in self._behind and not self._behind[what].done():
            raise StoreUnavailable(f"{what}: an earlier call still waits")
        future = CLOCK.start(call)
        if not CLOCK.wait_for(future, seconds):
            self._behind[what] = future
            raise StoreUnavailable(f"{what}: no answer within {seconds:.1f} s")
        return future.result()


class Station:
    """A queue in front of equal servers: first come, first served. Nobody leaves the queue before being served."""

    def __init__(self, servers: int = 1) -> None:
        self.busy_seconds = 0.0
        self._idle = servers
        self._queue: deque[Future[None]] = deque()

    def serve(self, work: Callable[[], tuple[T, float]]) -> T:
        """Wait for a server. Then do the work, which returns its result and the seconds that it takes."""
        if self._idle:
            self._idle -= 1
        else:
            turn: Future[None] = Future()
            self._queue.append(turn)
            CLOCK.wait_for(turn, float("inf"))
        result, seconds = work()
        self.busy_seconds += seconds
        CLOCK.wait(seconds)
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self._idle += 1
        return result

    def spend(self, seconds: float) -> None:
        """Wait for a server, and occupy it for these seconds."""
        self.serve(lambda: (None, seconds))
