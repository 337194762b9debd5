"""A lock on one registry's promotions that every process of one user on this machine sees.

Across users and machines it says nothing: there the aliases that are read back tell. The operating system lets go of it
when its process ends, however that ends.
"""

import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fmnist.domain.model.errors import Conflict, StoreUnavailable

logger = logging.getLogger(__name__)


class PromotionLock:
    """Calling it gives the context; within it, the same object may be called again.

    Args:
        store: the registry's identity, so that different registries do not wait for each other.
        model: what is promoted, by the name that its stages share.
        patience: seconds to wait for another promotion.
        folder: where the lock file lies, made when it is needed. It is not TMPDIR's, which may differ by process.

    Attributes:
        path: the lock file. Promotions with the same one wait for each other.
    """

    def __init__(self, store: str, model: str, patience: float, folder: Path | None = None) -> None:
        name = hashlib.sha256(f"{store}\n{model}".encode()).hexdigest()[:16]
        self._folder = folder or Path(f"/tmp/fmnist-{os.getuid()}")  # noqa: S108 - see _check_folder
        self.path = self._folder / f"fmnist-promotion-{name}.lock"
        self._model = model
        self._lock = FileLock(self.path, timeout=patience)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            Conflict: another promotion holds it for longer than the patience lasts.
            StoreUnavailable: the lock file cannot be written, or others may write where it lies.
        """
        try:
            with suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
            self._check_folder()
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

    def _check_folder(self) -> None:
        """See that no other user prepared the folder, such as a link into a folder of this one."""
        found, user = self._folder.lstat(), os.getuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or stat.S_IMODE(found.st_mode) & 0o077:
            raise StoreUnavailable(
                f"{self._folder} must be a folder of uid {user} alone (mode 700), for the lock of promotions; found "
                f"{stat.filemode(found.st_mode)} of uid {found.st_uid}: move it away"
            )

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
