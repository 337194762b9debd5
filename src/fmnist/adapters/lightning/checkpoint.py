"""What is kept after each epoch: one directory with all it takes to go on, and the best weights so far.

`state.ckpt` is Lightning's (weights, optimizer, schedule, loops), `best.pt` the weights of the best epoch, and
`epochs.json` the history. Since the best epoch travels along, the newest directory is the only one that is needed.
Nothing here imports Lightning: a driver reads checkpoints without it.
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
    """Metrics of each epoch so far, the seconds that those epochs took over all attempts, and the last one's device."""

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
                f"the checkpoint {directory} is damaged: {error!r}; remove it to train anew"
            ) from error

    def write(self, directory: Path) -> None:
        """Write the history into a checkpoint."""
        (directory / _EPOCHS).write_text(json.dumps(dataclasses.asdict(self)))


SaveCheckpoint = Callable[[Path, History], None]
"""Keeps a checkpoint directory, which is removed afterwards; on ranks other than 0 it is without files of ours."""


@dataclass(frozen=True, slots=True)
class KeptCheckpoints:
    """The newest checkpoint of a run in a local directory; whenever this is cut off, a whole one is there."""

    directory: Path

    def newest(self) -> Path | None:
        """Return the checkpoint to go on from, or None before the first epoch's end."""
        return max(self.directory.glob("epoch-*"), default=None)

    def prepare(self) -> None:
        """Make and try the directory, so that a place that cannot be written is told before the first epoch.

        Raises:
            StoreUnavailable: it cannot be made or written.
        """
        try:
            make_writable(self.directory)
        except OSError as error:
            raise StoreUnavailable(f"cannot keep checkpoints in {self.directory}: {error}") from error

    def add(self, checkpoint: Path, epoch: int) -> None:
        """Copy a checkpoint in, and then remove those before it, half-copied ones of an earlier attempt too.

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
    """Make a directory unless it is there, and see that a file can be made in it.

    Raises:
        OSError: it cannot.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass
