"""Calls that may hang, such as to a store behind a network. The wait is limited, and hanging calls do not pile up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from fmnist.domain.model.errors import StoreUnavailable

_T = TypeVar("_T")


class BoundedCalls:
    """Runs each call in its own daemon thread, and abandons the thread if the call takes too long.

    Python cannot end such a thread, so its late result is dropped. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._left: dict[str, threading.Thread] = {}

    def run(self, what: str, call: Callable[[], _T], seconds: float) -> _T:
        """Return what `call` returns, or raise what it raises. `what` is the name of the call, also in messages.

        Raises:
            StoreUnavailable: the call takes longer than `seconds`, or an earlier call of this name still runs.
        """
        left = self._left.get(what)
        if left is not None and left.is_alive():
            raise StoreUnavailable(f"{what}: not asked again, because an earlier call still waits for an answer")
        seconds = max(0.0, seconds)
        future: Future[_T] = Future()
        thread = threading.Thread(target=settle, args=(future, call), name=f"bounded: {what}", daemon=True)
        thread.start()
        wait([future], seconds)
        if not future.done():
            self._left[what] = thread
            raise StoreUnavailable(f"{what}: no answer within {seconds:.1f} s; a later answer is ignored")
        self._left.pop(what, None)
        return future.result()


def settle(future: "Future[Any]", call: Callable[[], object]) -> None:
    """Make the call, and set its result or its error on the future."""
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the caller raises it again
        future.set_exception(error)
