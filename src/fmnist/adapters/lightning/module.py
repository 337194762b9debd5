"""The Lightning module: one training step, one validation step, and the figures of an epoch over all workers."""

from typing import Any

import lightning.pytorch as lightning
import torch
from torch.nn import functional

from fmnist.adapters.lightning.batches import Batch, OrderedBatches, ShuffledBatches, TensorSplit, epoch_seed
from fmnist.adapters.lightning.optimization import build_optimizer, build_schedule
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.dataset import LabeledImages
from fmnist.domain.model.errors import TrainingFailed
from fmnist.domain.model.images import CLASS_NAMES
from fmnist.domain.model.metrics import summarize
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.training import TrainingSpec


class ImageClassification(lightning.LightningModule):
    """Trains one network by one spec. Batches are raw uint8; normalization and augmentation happen on the device.

    Args:
        train, val: this worker's part of each split. All workers' parts of `train` are equally long.
    """

    def __init__(
        self, spec: TrainingSpec, normalization: Normalization, train: LabeledImages, val: LabeledImages
    ) -> None:
        super().__init__()
        self._spec = spec
        self._normalization = normalization
        self._data = {"train": train, "val": val}
        self._on_device: dict[str, TensorSplit] = {}
        self._tallies: dict[str, _Tally] = {}
        self._augmentation = torch.Generator()
        torch.manual_seed(spec.seed)
        self.network = build_network(spec.recipe.architecture)
        # 1.1-3 times faster on CPUs, and the layout that half precision wants on GPUs.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in each epoch."""
        return max(1, len(self._data["train"]) // self._spec.recipe.batch_size)

    def epoch_metrics(self) -> dict[str, float]:
        """Return the figures of the epoch that just ended, over all workers; named as in `EPOCH_METRICS`."""
        return {
            f"{phase}_{name}": value
            for phase in ("train", "val")
            for name, value in self._tallies[phase].metrics(self).items()
        }

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 10) for uint8 images (n, 28, 28)."""
        inputs = images.unsqueeze(1).float().div_(255).sub_(self._normalization.mean).div_(self._normalization.std)
        logits: torch.Tensor = self.network(inputs.contiguous(memory_format=torch.channels_last))
        return logits

    def train_dataloader(self) -> ShuffledBatches:
        """Give the current epoch's batches; Lightning asks anew for each epoch."""
        seed = epoch_seed(self._spec.seed, self.current_epoch, self.global_rank)
        return ShuffledBatches(self._split("train"), self._spec.recipe.batch_size, seed)

    def val_dataloader(self) -> OrderedBatches:
        """Give the validation batches."""
        return OrderedBatches(self._split("val"))

    def configure_optimizers(self) -> Any:
        """Build optimizer and schedule by the recipe."""
        optimizer = build_optimizer(self._spec.recipe, self.network)
        schedule = build_schedule(self._spec.recipe, optimizer, self.steps_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Seed the augmentation by the epoch, and start counting."""
        self._augmentation.manual_seed(epoch_seed(self._spec.seed, self.current_epoch, self.global_rank))
        self._tallies["train"] = _Tally(self.device)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """Return the batch's loss."""
        images, labels = batch
        if self._spec.recipe.flip:
            mirrored = torch.rand(len(images), generator=self._augmentation) < 0.5
            images = torch.where(mirrored.to(self.device)[:, None, None], images.flip(2), images)
        logits = self(images)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._spec.recipe.label_smoothing)
        self._tallies["train"].add(logits.detach(), labels, loss.detach())
        return loss

    def on_before_optimizer_step(self, _: torch.optim.Optimizer) -> None:
        """Stop a run whose loss is no number: nothing after it can be right.

        Gradients are averaged over the workers by now, so that all of them stop at the same step.
        """
        last = list(self.network.parameters())[-1]
        if last.grad is not None and not torch.isfinite(last.grad).all():
            raise TrainingFailed(
                f"the loss is not finite at epoch {self.current_epoch}, step {self.global_step}: "
                f"a learning rate of {self._spec.recipe.lr:g} is most likely too high"
            )

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self._tallies["val"] = _Tally(self.device)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count the batch's loss and answers."""
        images, labels = batch
        logits = self(images)
        self._tallies["val"].add(logits, labels, functional.cross_entropy(logits, labels))

    def _split(self, name: str) -> TensorSplit:
        if name not in self._on_device:
            self._on_device[name] = TensorSplit.of(self._data[name], self.device)
        return self._on_device[name]


class _Tally:
    """Loss and confusion matrix of one phase of one epoch, kept on the device until someone asks."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._confusion = torch.zeros(len(CLASS_NAMES) ** 2, dtype=torch.int64, device=device)

    def add(self, logits: torch.Tensor, labels: torch.Tensor, mean_loss: torch.Tensor) -> None:
        self._loss += mean_loss.double() * len(labels)
        pairs = labels * len(CLASS_NAMES) + logits.argmax(dim=1)
        self._confusion += torch.bincount(pairs, minlength=len(CLASS_NAMES) ** 2)

    def metrics(self, module: lightning.LightningModule) -> dict[str, float]:
        """Sum over the workers and derive the figures; every worker has to call this."""
        reduce = module.trainer.strategy.reduce
        loss = float(reduce(self._loss.clone(), reduce_op="sum"))
        confusion = reduce(self._confusion.clone(), reduce_op="sum").cpu().numpy()
        confusion = confusion.reshape(len(CLASS_NAMES), len(CLASS_NAMES))
        return {"loss": loss / int(confusion.sum()), **summarize(confusion)}
