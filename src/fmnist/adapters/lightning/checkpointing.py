"""Writes a checkpoint after every epoch. The module `checkpoint` describes its files."""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch

from fmnist.adapters.lightning.checkpoint import BEST, STATE, History, SaveCheckpoint
from fmnist.adapters.lightning.module import ImageClassification
from fmnist.adapters.torch.weights import load_tensors
from fmnist.domain.model.errors import CorruptModel, StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.run import best_epoch


class Checkpointing(lightning.Callback):
    """Writes a checkpoint at the end of every epoch and hands it to `save`, on every worker."""

    def __init__(self, resumed_from: Path | None, save: SaveCheckpoint, clock: Callable[[], float]) -> None:
        self._save = save
        self._clock = clock
        self._started = 0.0
        self.history = History()
        self._best: dict[str, Any] = {}
        if resumed_from:
            self.history = History.read(resumed_from)
            self._best = _tensors(resumed_from / BEST)
            _tensors(resumed_from / STATE)  # fails here if it is damaged: Lightning would raise no error of its own

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._started = self._clock()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassification)
        metrics = pl_module.epoch_metrics()
        epochs = (*self.history.epochs, metrics)
        seconds = self.history.seconds + self._clock() - self._started
        self.history = History(epochs, seconds, pl_module.device_name)
        if best_epoch(epochs) == len(epochs) - 1:
            self._best = {name: value.detach().cpu().clone() for name, value in pl_module.network.state_dict().items()}
        with tempfile.TemporaryDirectory(prefix="fmnist-checkpoint-") as temporary:
            directory = Path(temporary)
            try:
                trainer.save_checkpoint(directory / STATE)  # every worker must call it; rank 0 writes
                if trainer.is_global_zero:
                    torch.save(self._best, best := io.BytesIO())  # to a file, it would not raise OSError on a full disk
                    (directory / BEST).write_bytes(best.getbuffer())
                    self.history.write(directory)
            except OSError as error:
                raise StoreUnavailable(
                    f"the checkpoint of epoch {len(epochs)} cannot be written to {directory.parent}: {error}; "
                    "free some space there, or set TMPDIR to another folder"
                ) from error
            self._save(directory, self.history)


def _tensors(file: Path) -> Any:
    try:
        return load_tensors(file)
    except CorruptModel as error:
        raise TrainingFailed(
            f"the checkpoint {file.parent} is damaged: {file.name}: {error}; remove it to train from the start"
        ) from error
