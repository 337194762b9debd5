"""How long MLflow waits for a server. It reads this from the environment at each request: one patience a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ANSWER = "MLFLOW_HTTP_REQUEST_TIMEOUT"  # seconds to connect, and to wait for a sign of life

# Three attempts, with ten seconds before the last. So a call ends after eleven seconds where nobody listens, and after
# 35 where nobody answers: MLflow's own many minutes are more than a process has that was told to end.
PATIENCE = {_ANSWER: "8", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "5"}
_FOR_FILES = "60"

_lock = threading.Lock()
_waiting = 0


@contextmanager
def awaiting_files() -> Iterator[None]:
    """Wait longer for each answer inside of the block, unless somebody has said how long.

    What concerns artifacts the server answers only when its own store has answered: it says nothing while it moves a
    whole file, or while it finds out that the store is away.
    """
    global _waiting  # noqa: PLW0603 - as the environment is, which all threads share
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
