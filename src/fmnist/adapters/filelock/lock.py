"""Locks among the processes of one user on this machine: for promotions of one registry, and for one training run.

They do not protect against other users or machines; there, a promotion reads the aliases back and finds a conflict. The
operating system releases a lock when its process ends, even if the process is killed.
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
    """A reentrant lock for promotions. A call returns its context manager.

    Args:
        store: the registry's identity, so that different registries do not wait for each other.
        model: base name of the model, which its stages share.
        patience: seconds to wait for another promotion.
        folder: folder of the lock file, created if needed. TMPDIR is not the default: it may differ between processes.

    Attributes:
        path: the lock file. Promotions with the same file wait for each other.
    """

    def __init__(self, store: str, model: str, patience: float, folder: Path | None = None) -> None:
        self.path = (folder or _users_folder()) / f"fmnist-promotion-{_hash(store, model)}.lock"
        self._model = model
        self._lock = FileLock(self.path, timeout=patience)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            Conflict: another promotion still holds it after `patience` seconds.
            StoreUnavailable: the lock file cannot be written, or other users can write to its folder.
        """
        if not _acquire(self._lock, "promotions", _make_private, timeout=0):
            # Log the wait, or the user would think that the process hangs.
            patience = self._lock.timeout
            logger.info(
                "another promotion of %s is running on this machine: waiting for up to %g s", self._model, patience
            )
            if not _acquire(self._lock, "promotions", _make_private, patience):
                raise Conflict(
                    f"another promotion of {self._model} is still running on this machine after {patience:g} s: "
                    f"run this again when it is done; its lock is {self.path}"
                )
        try:
            yield
        finally:
            self._lock.release()


@dataclass(frozen=True, slots=True)
class RunLock:
    """A lock for one training run. A call with the run's id returns its context manager, which never waits.

    Attributes:
        folder: folder of the lock files, created if needed; None is the folder of the promotion locks. Only processes
            with the same folder see each other's locks.
    """

    folder: Path | None = None

    @contextmanager
    def __call__(self, run_id: str) -> Iterator[None]:
        """Hold the lock.

        Raises:
            InvalidSetting: another process holds it.
            StoreUnavailable: the lock file cannot be written, or other users can write to its folder.
        """
        name = run_id if _RUN_ID.fullmatch(run_id) else _hash(run_id)
        path = (self.folder or _users_folder()) / f"fmnist-run-{name}.lock"
        lock = FileLock(path, mode=0o666)  # in a shared folder, any user may resume a run
        if not _acquire(lock, f"run {run_id}", self._make, timeout=0):
            raise InvalidSetting(
                f"another process is at work on run {run_id}: wait until it ends, or stop it; its lock is {path}"
            )
        try:
            yield
        finally:
            lock.release()

    def prepare(self) -> None:
        """Check that a lock can be taken, before the run is created.

        Raises:
            StoreUnavailable: as a call does.
        """
        folder = self.folder or _users_folder()
        try:
            self._make(folder)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StoreUnavailable(f"the lock of a run cannot be written to {folder}: {error}") from error

    def _make(self, folder: Path) -> None:
        if self.folder is None:
            _make_private(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)


def _acquire(lock: FileLock, what: str, make_folder: Callable[[Path], None], timeout: float) -> bool:
    """Return whether the lock was taken. False means that another process holds it."""
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
    """Create the folder, or check that no other user prepared it, for example as a symlink."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found, user = folder.lstat(), os.getuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or stat.S_IMODE(found.st_mode) & 0o077:
        if found.st_uid != user:
            advice = "ask its owner or an administrator to remove it"  # /tmp is sticky: nobody else may remove it
        else:
            advice = f"chmod 700 {shlex.quote(str(folder))}" if stat.S_ISDIR(found.st_mode) else "move it away"
        raise StoreUnavailable(
            f"the folder for locks {folder} must belong to uid {user} with mode 700, found mode "
            f"{stat.filemode(found.st_mode)} and uid {found.st_uid}: {advice}"
        )
