"""Locks that every process of one user on this machine sees: on one registry's promotions, and on one run.

Across users and machines they promise nothing; of a promotion the aliases that are read back tell there. The operating
system lets go of a lock when its process ends, however that ends.
"""

import hashlib
import logging
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fmnist.domain.model.errors import Conflict, InvalidSetting, StoreUnavailable

logger = logging.getLogger(__name__)

_RUN_ID = re.compile("[0-9A-Za-z]{1,64}")  # MLflow's are 32 hexadecimal digits


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
        self.path = (folder or _users_folder()) / f"fmnist-promotion-{_hash(store, model)}.lock"
        self._model = model
        self._lock = FileLock(self.path, timeout=patience)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            Conflict: another promotion holds it for longer than the patience lasts.
            StoreUnavailable: the lock file cannot be written, or others may write where it lies.
        """
        if not self._acquire(0):
            # A person would take the silence for a hang.
            patience = self._lock.timeout
            logger.info(
                "another promotion of %s is under way on this machine: waiting for up to %g s", self._model, patience
            )
            if not self._acquire(patience):
                raise Conflict(
                    f"another promotion of {self._model} is under way on this machine, and was waited for in vain "
                    f"({patience:g} s): run this again when it is done; {self.path} is its lock"
                )
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self, timeout: float) -> bool:
        return _acquire(self._lock, "promotions", _make_private, timeout)


@dataclass(frozen=True, slots=True)
class RunLock:
    """Calling it with a run's id gives the context. Nobody waits for it, for a run may take hours.

    Attributes:
        folder: made where it is not there. Whoever has the same one sees the lock; None is that of promotions.
    """

    folder: Path | None = None

    @contextmanager
    def __call__(self, run_id: str) -> Iterator[None]:
        """Hold the lock.

        Raises:
            InvalidSetting: another process holds it.
            StoreUnavailable: the lock file cannot be written, or others may write where it lies.
        """
        name = run_id if _RUN_ID.fullmatch(run_id) else _hash(run_id)
        path = (self.folder or _users_folder()) / f"fmnist-run-{name}.lock"
        lock = FileLock(path, mode=0o666)  # of a folder that users share, any of them may go on with a run
        if not _acquire(lock, f"run {run_id}", self._make, timeout=0):
            raise InvalidSetting(
                f"another process is at work on run {run_id}: wait for its end, or end it; {path} is its lock"
            )
        try:
            yield
        finally:
            lock.release()

    def prepare(self) -> None:
        """See that a lock can be taken, before there is a run.

        Raises:
            StoreUnavailable: as calling it.
        """
        folder = self.folder or _users_folder()
        try:
            self._make(folder)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StoreUnavailable(f"the lock of a run cannot be written in {folder}: {error}") from error

    def _make(self, folder: Path) -> None:
        if self.folder is None:
            _make_private(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)


def _acquire(lock: FileLock, what: str, make_folder: Callable[[Path], None], timeout: float) -> bool:
    """Return whether the lock was taken; another process may hold it."""
    path = Path(lock.lock_file)
    try:
        make_folder(path.parent)
        lock.acquire(timeout=timeout)
    except Timeout:
        return False
    except OSError as error:
        raise StoreUnavailable(f"the lock of {what}, {path}, cannot be written: {error}") from error
    return True


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _users_folder() -> Path:
    return Path(f"/tmp/fmnist-{os.getuid()}")  # noqa: S108 - see _make_private


def _make_private(folder: Path) -> None:
    """Make the folder, or see that no other user prepared it, such as a link into a folder of this one."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found, user = folder.lstat(), os.getuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or stat.S_IMODE(found.st_mode) & 0o077:
        if found.st_uid != user:
            advice = "ask its owner or an administrator to remove it"  # nobody else may, where /tmp is sticky
        else:
            advice = f"chmod 700 {shlex.quote(str(folder))}" if stat.S_ISDIR(found.st_mode) else "move it away"
        raise StoreUnavailable(
            f"{folder} must be a folder of uid {user} alone (mode 700), for locks; found "
            f"{stat.filemode(found.st_mode)} of uid {found.st_uid}: {advice}"
        )
