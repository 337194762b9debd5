"""The Lightning module: the training step, the validation step, and the metrics of an epoch over all workers."""

import logging
from functools import partial
from typing import Any

import lightning.pytorch as lightning
import torch
from torch.nn import functional

from fmnist.adapters.lightning.batches import Batch, OrderedBatches, ShuffledBatches, TensorSplit, epoch_seed
from fmnist.adapters.lightning.optimization import build_optimizer, build_schedule
from fmnist.adapters.torch.augmentation import augment
from fmnist.adapters.torch.compilation import Logits, compiled, has_compiler
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import TrainingFailed
from fmnist.domain.model.evaluation.metrics import summarize
from fmnist.domain.model.training.run import TrainingSpec

logger = logging.getLogger(__name__)

_STEPS_BETWEEN_LOOKS = 50
_AUGMENTATION = 0x9E3779B9  # makes its seeds differ from those of the order in the low 32 bits; a CPU uses only these


class ImageClassification(lightning.LightningModule):
    """Trains one network by one spec. Batches are raw uint8; the device normalizes and augments them.

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
        torch.manual_seed(spec.seed)
        self.network = build_network(spec.recipe.architecture)
        # 1.1-3 times faster on CPUs, and the layout that half precision needs on GPUs.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs
        self._logits: Logits = self.network.__call__  # as a submodule, it would be in each checkpoint twice
        self._first_bad_step = torch.tensor(-1)

    @property
    def device_name(self) -> str:
        """`cpu`, or the GPU's name."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in each epoch."""
        return max(1, len(self._data["train"]) // self._spec.recipe.batch_size)

    def epoch_metrics(self) -> dict[str, float]:
        """Return the metrics of the epoch that just ended, over all workers. Names are those of `EPOCH_METRICS`."""
        return {
            f"{phase}_{name}": value
            for phase in ("train", "val")
            for name, value in self._tallies[phase].metrics(self).items()
        }

    def inputs(self, images: torch.Tensor) -> torch.Tensor:
        """Return normalized float32 (n, 1, 28, 28) for uint8 images (n, 28, 28)."""
        inputs = images.unsqueeze(1).float().div_(255).sub_(self._normalization.mean).div_(self._normalization.std)
        return inputs.contiguous(memory_format=torch.channels_last)

    def train_dataloader(self) -> ShuffledBatches:
        """Return the current epoch's batches. Lightning calls this for each epoch."""
        seed, epoch = self._spec.seed, self.current_epoch
        augmented = partial(
            augment,
            recipe=self._spec.recipe,
            epoch=epoch,
            seed=epoch_seed(seed, -1, self.global_rank),
            epoch_seed=epoch_seed(seed, epoch, self.global_rank) ^ _AUGMENTATION,
        )
        order = epoch_seed(seed, epoch, self.global_rank)
        return ShuffledBatches(self._split("train"), self._spec.recipe.batch_size, order, augmented)

    def val_dataloader(self) -> OrderedBatches:
        return OrderedBatches(self._split("val"))

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self._spec.recipe, self.network)
        schedule = build_schedule(self._spec.recipe, optimizer, self.steps_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Compile the network if the recipe says so, but only on a GPU: elsewhere it does not pay."""
        self._first_bad_step = self._first_bad_step.to(self.device)
        if self._spec.recipe.compile and self.device.type == "cuda":  # pragma: no cover - needs a GPU
            if has_compiler():
                self._logits = compiled(self.network)
            else:
                logger.warning("the network is not compiled, because this machine has no C compiler: install gcc")

    def on_train_epoch_start(self) -> None:
        self._tallies["train"] = _Tally(self.device)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        images, labels = batch
        inputs = self.inputs(images)
        if self.current_epoch < (self._spec.recipe.coarse_epochs or 0):
            inputs = functional.avg_pool2d(inputs, 2)
        logits = self._logits(inputs)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._spec.recipe.label_smoothing)
        self._tallies["train"].add(logits.detach(), labels, loss.detach())
        return loss

    def on_before_optimizer_step(self, _: torch.optim.Optimizer) -> None:
        """Stop a run whose loss is not finite, because training cannot recover.

        Gradients are averaged over the workers at this point, so all of them stop at the same step.
        """
        last = list(self.network.parameters())[-1]
        if last.grad is not None:
            unchanged = torch.isfinite(last.grad).all() | (self._first_bad_step >= 0)
            self._first_bad_step = torch.where(unchanged, self._first_bad_step, self.global_step)
        # Reading the value waits for a GPU, so do it rarely. On a CPU it costs nothing.
        if self.device.type == "cpu" or self.global_step % _STEPS_BETWEEN_LOOKS == 0:
            self._stop_if_diverged()

    def on_validation_epoch_start(self) -> None:
        self._stop_if_diverged()
        self._tallies["val"] = _Tally(self.device)

    def validation_step(self, batch: Batch, _: int) -> None:
        images, labels = batch
        logits = self._logits(self.inputs(images))
        self._tallies["val"].add(logits, labels, functional.cross_entropy(logits, labels))

    def _stop_if_diverged(self) -> None:
        if (step := int(self._first_bad_step)) >= 0:
            raise TrainingFailed(
                f"the loss is not finite at epoch {step // self.steps_per_epoch}, step {step}: "
                f"a learning rate of {self._spec.recipe.lr:g} is most likely too high; try a lower one"
            )

    def _split(self, name: str) -> TensorSplit:
        if name not in self._on_device:
            self._on_device[name] = TensorSplit.of(self._data[name], self.device)
        return self._on_device[name]


class _Tally:
    """Loss and confusion matrix of one phase of one epoch, kept on the device until they are read."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._confusion = torch.zeros(len(CLASS_NAMES) ** 2, dtype=torch.int64, device=device)

    def add(self, logits: torch.Tensor, labels: torch.Tensor, mean_loss: torch.Tensor) -> None:
        self._loss += mean_loss.double() * len(labels)
        pairs = labels * len(CLASS_NAMES) + logits.argmax(dim=1)
        # Not bincount, which would make the CPU wait for the GPU at every step.
        self._confusion.scatter_add_(0, pairs, torch.ones_like(pairs))

    def metrics(self, module: lightning.LightningModule) -> dict[str, float]:
        """Sum over the workers and compute the metrics. Every worker must call this."""
        reduce = module.trainer.strategy.reduce
        loss = float(reduce(self._loss.clone(), reduce_op="sum"))
        confusion = reduce(self._confusion.clone(), reduce_op="sum").cpu().numpy()
        confusion = confusion.reshape(len(CLASS_NAMES), len(CLASS_NAMES))
        return {"loss": loss / int(confusion.sum()), **summarize(confusion)}
