"""Threads that work side by side, and stop together."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, wait

from fmnist.domain.services.bounded_calls import settle

_END_SECONDS = 10


class Stopped(Exception):
    """The work ends early, because of an error in another thread, or an interrupt."""


def work_side_by_side(work: Callable[[], None], threads: int, stop: threading.Event) -> None:
    """Run `work` in `threads` threads, and wait for all of them.

    An error of one thread, or an interrupt of this one, sets `stop`. Then `work` must raise `Stopped` soon. A thread
    that does not is given up after 10 s. Interrupts reach only this thread, so that none is in the middle of a record.

    Raises:
        Exception: the first error of a thread.
        KeyboardInterrupt: this thread was interrupted.
    """
    ends: list[Future[None]] = [Future() for _ in range(threads)]
    started = list[Future[None]]()
    try:
        for end in ends:  # an interrupt may come while they start
            started.append(end)
            threading.Thread(target=settle, args=(end, work), name="trial", daemon=True).start()
        ended = wait(ends, return_when=FIRST_EXCEPTION)
        if not ended.not_done and not any(end.exception() for end in ends):
            return
    except BaseException:
        stop.set()
        wait(started, _END_SECONDS)
        raise
    stop.set()
    ended = wait(ends, _END_SECONDS)
    raise next(error for end in ended.done if (error := end.exception()) and not isinstance(error, Stopped))
