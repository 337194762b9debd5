"""Calls into what may hang, such as a store behind a network: waited for only so long, and never piled up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from fmnist.domain.model.errors import StoreUnavailable

_T = TypeVar("_T")


class BoundedCalls:
    """Runs each call in a daemon thread of its own, which is left alone when the call takes too long.

    Python cannot end such a thread; what it returns in the end is dropped. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._left: dict[str, threading.Thread] = {}

    def run(self, what: str, call: Callable[[], _T], seconds: float) -> _T:
        """Return what `call` returns, or raise what it raises; `what` names it, in messages and to tell it from others.

        Raises:
            StoreUnavailable: it takes longer than `seconds`, or an earlier call of that name did and still runs.
        """
        left = self._left.get(what)
        if left is not None and left.is_alive():
            raise StoreUnavailable(f"{what}: no answer yet, and an earlier call still waits for one; not asked again")
        seconds = max(0.0, seconds)
        future: Future[_T] = Future()
        thread = threading.Thread(target=settle, args=(future, call), name=f"bounded: {what}", daemon=True)
        thread.start()
        wait([future], seconds)
        if not future.done():
            self._left[what] = thread
            raise StoreUnavailable(f"{what}: no answer within {seconds:.1f} s; a later one will not be used")
        self._left.pop(what, None)
        return future.result()


def settle(future: "Future[Any]", call: Callable[[], object]) -> None:
    """Make the call, and let the future have its result or its error."""
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
        future.set_exception(error)
