"""Reports the progress of training, at most every 0.2 s, so that it looks live and costs nothing."""

import time
from collections.abc import Mapping

import lightning.pytorch as lightning

from fmnist.adapters.lightning.checkpointing import Checkpointing
from fmnist.domain.model.training.run import Progress
from fmnist.ports.compute import OnProgress

_INTERVAL_SECONDS = 0.2


class ProgressReports(lightning.Callback):
    """Reports the step and its loss at intervals, and the metrics of every epoch. Only rank 0 reports."""

    def __init__(self, on_progress: OnProgress, checkpointing: Checkpointing, epochs: int, steps: int) -> None:
        self._on_progress = on_progress
        self._checkpointing = checkpointing
        self._epochs = epochs
        self._steps = steps
        self._last = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._report(trainer, 0)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        now = time.monotonic()
        if trainer.is_global_zero and now - self._last >= _INTERVAL_SECONDS:
            self._last = now
            assert isinstance(outputs, dict)
            # Reading the loss waits for a GPU, so read it only for a report.
            self._report(trainer, batch_idx + 1, loss=float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._report(trainer, self._steps, metrics=self._checkpointing.history.epochs[-1])

    def _report(
        self,
        trainer: lightning.Trainer,
        step: int,
        loss: float | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        if trainer.is_global_zero:
            self._on_progress(Progress(trainer.current_epoch, self._epochs, step, self._steps, loss, metrics))
