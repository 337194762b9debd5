"""A lock on one registry's promotions that every process of this machine sees. Across machines it says nothing.

The operating system lets go of it when its process ends, however that ends.
"""

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fmnist.domain.model.errors import Conflict, StoreUnavailable

logger = logging.getLogger(__name__)

_EVERYBODY = 0o666


class PromotionLock:
    """Calling it gives the context; within it, the same object may be called again.

    Args:
        store: the registry's identity, so that different registries do not wait for each other.
        model: what is promoted, by the name that its stages share.
        patience: seconds to wait for another promotion.
        folder: where the lock file lies; the machine's folder for temporary files, which all of its users share.

    Attributes:
        path: the lock file. Promotions with the same one wait for each other.
    """

    def __init__(self, store: str, model: str, patience: float, folder: Path | None = None) -> None:
        name = hashlib.sha256(f"{store}\n{model}".encode()).hexdigest()[:16]
        self.path = (folder or Path(tempfile.gettempdir())) / f"fmnist-promotion-{name}.lock"
        self._model = model
        self._lock = FileLock(self.path, timeout=patience, mode=_EVERYBODY)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            Conflict: another promotion holds it for longer than the patience lasts.
            StoreUnavailable: the lock file cannot be written.
        """
        try:
            self._acquire()
        except Timeout as error:
            raise Conflict(
                f"another promotion of {self._model} is under way on this machine, and was waited for in vain "
                f"({self._lock.timeout:g} s): run this again when it is done; {self.path} is its lock"
            ) from error
        except OSError as error:
            raise StoreUnavailable(f"the lock of promotions, {self.path}, cannot be written: {error}") from error
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        """Say so before waiting: a person would take the silence for a hang."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            logger.info(
                "another promotion of %s is under way on this machine: waiting for up to %g s",
                self._model,
                self._lock.timeout,
            )
            self._lock.acquire()
