"""Timeouts of MLflow's requests. MLflow reads them from the environment at each request, so a process has only one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ANSWER = "MLFLOW_HTTP_REQUEST_TIMEOUT"  # seconds to connect, and between two bytes

# Three attempts, with ten seconds before the last. A call fails after 11 s if no server listens, and after 35 s if it
# does not answer. MLflow's defaults take many minutes, longer than a process has between SIGTERM and SIGKILL.
PATIENCE = {_ANSWER: "8", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "5"}
_FOR_FILES = "60"

_lock = threading.Lock()
_waiting = 0


@contextmanager
def awaiting_files() -> Iterator[None]:
    """Wait longer for each answer inside of the block, unless the user has set the timeout.

    The server answers a request for artifacts only after its own store has answered. It sends nothing while it copies a
    whole file, or while it waits for a store that is down.
    """
    global _waiting  # noqa: PLW0603 - all threads share the environment
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT as LIMIT

    with _lock:
        _waiting += 1
        if LIMIT.get_raw() == PATIENCE[_ANSWER]:
            LIMIT.set(_FOR_FILES)
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if _waiting == 0 and LIMIT.get_raw() == _FOR_FILES:
                LIMIT.set(PATIENCE[_ANSWER])
