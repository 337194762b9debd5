"""The checkpoint of an epoch: one directory with everything that resuming needs, and the best weights so far.

`state.ckpt` is Lightning's state (weights, optimizer, schedule, loops), `best.pt` has the weights of the best epoch,
and `epochs.json` the history. Each checkpoint includes the best weights, so only the newest one is needed. This module
must not import Lightning, because a driver reads checkpoints without it.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fmnist.domain.model.errors import StoreUnavailable, TrainingFailed

STATE = "state.ckpt"
BEST = "best.pt"
_EPOCHS = "epochs.json"


@dataclass(frozen=True, slots=True)
class History:
    """Metrics of each epoch so far, the seconds of all of them over all attempts, and the device of the last one."""

    epochs: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0
    device: str = ""

    @classmethod
    def read(cls, directory: Path) -> "History":
        """Read the history of a checkpoint.

        Raises:
            TrainingFailed: the checkpoint is damaged.
        """
        try:
            content = json.loads((directory / _EPOCHS).read_text())
            return cls(tuple(content["epochs"]), content["seconds"], content["device"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise TrainingFailed(
                f"the checkpoint {directory} is damaged: {error!r}; remove it to train from the start"
            ) from error

    def write(self, directory: Path) -> None:
        """Write the history into a checkpoint."""
        (directory / _EPOCHS).write_text(json.dumps(dataclasses.asdict(self)))


SaveCheckpoint = Callable[[Path, History], None]
"""Keeps a checkpoint directory, which is removed afterwards. On ranks other than 0 it has none of our files."""


@dataclass(frozen=True, slots=True)
class KeptCheckpoints:
    """The newest checkpoint of a run in a local directory. An interrupted write keeps the checkpoint before it."""

    directory: Path

    def newest(self) -> Path | None:
        """Return the newest checkpoint, or None before the first epoch has ended."""
        return max(self.directory.glob("epoch-*"), default=None)

    def prepare(self) -> None:
        """Create the directory and write to it, so that an unwritable place fails before the first epoch.

        Raises:
            StoreUnavailable: it cannot be created or written.
        """
        try:
            make_writable(self.directory)
        except OSError as error:
            raise StoreUnavailable(f"cannot keep checkpoints in {self.directory}: {error}") from error

    def add(self, checkpoint: Path, epoch: int) -> None:
        """Copy a checkpoint in, then remove the older ones, and partial copies of earlier attempts.

        Raises:
            StoreUnavailable: the directory cannot be written.
        """
        before = [*self.directory.glob("epoch-*"), *self.directory.glob("incoming-*")]
        try:
            incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=self.directory))
            shutil.copytree(checkpoint, incoming, dirs_exist_ok=True)
            incoming.rename(self.directory / f"epoch-{epoch:05d}")
        except OSError as error:
            raise StoreUnavailable(f"cannot keep a checkpoint in {self.directory}: {error}") from error
        for old in before:
            shutil.rmtree(old)


def make_writable(directory: Path) -> None:
    """Create a directory if it does not exist, and check that a file can be created in it.

    Raises:
        OSError: one of both fails.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass
