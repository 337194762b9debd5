"""Trains a network. Both the in-process compute and every Ray Train worker call it."""

import logging
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as lightning
import torch

from fmnist.adapters.lightning.checkpoint import STATE, History, SaveCheckpoint
from fmnist.adapters.lightning.checkpointing import Checkpointing
from fmnist.adapters.lightning.module import ImageClassification
from fmnist.adapters.lightning.progress import ProgressReports
from fmnist.adapters.torch.memory import keep_freed_memory
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import OutOfMemory
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.ports.compute import OnProgress


def fit_network(
    spec: TrainingSpec,
    normalization: Normalization,
    train: LabeledImages,
    val: LabeledImages,
    *,
    resume_from: Path | None,
    save: SaveCheckpoint,
    on_progress: OnProgress,
    trainer_options: dict[str, Any],
) -> History:
    """Train until the recipe's last epoch, and return the history, which includes earlier attempts.

    Args:
        train, val: this worker's part of each split.
        resume_from: the checkpoint directory to continue from, if any.
        save: keeps each epoch's checkpoint. Every worker calls it, but only rank 0 has files.
        on_progress: receives the progress. Only rank 0 calls it.
        trainer_options: options of Lightning's `Trainer` for the hardware: accelerator, devices, strategy, plugins.

    Raises:
        InvalidSetting: this worker's part is too small to make a batch that the architecture can learn from.
        TrainingFailed: the loss is not finite.
        OutOfMemory: the data, the network or a step does not fit into the accelerator's memory.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    spec.check_part(len(train))
    if trainer_options["accelerator"] == "cpu":
        keep_freed_memory()
    module = ImageClassification(spec, normalization, train, val)
    checkpointing = Checkpointing(resume_from, save, time.perf_counter)
    epochs, steps = spec.recipe.max_epochs, module.steps_per_epoch
    trainer = lightning.Trainer(
        max_epochs=epochs,
        callbacks=[checkpointing, ProgressReports(on_progress, checkpointing, epochs, steps)],
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
        precision=_precision(spec.recipe, trainer_options["accelerator"]),
        **trainer_options,
    )
    with warnings.catch_warnings():
        # Batches come from memory. The loader processes that Lightning recommends would only slow them down.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Raised by Lightning 2.6 with torch 2.13.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
        try:
            _run_trainer(trainer, module, resume_from)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(_what_would_fit(spec.recipe)) from error
    return checkpointing.history


def _precision(recipe: Recipe, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """Return Lightning's name of the recipe's precision. On a CPU, bfloat16 is many times slower than float32."""
    return "bf16-mixed" if recipe.precision == "bfloat16" and accelerator == "gpu" else "32-true"


def _what_would_fit(recipe: Recipe) -> str:
    batch = f"{recipe.architecture} with batches of {recipe.batch_size}"
    less = "try a smaller --model" if recipe.batch_size == 1 else f"try --batch-size {recipe.batch_size // 2}"
    return f"the GPU's memory does not hold {batch}: {less}, or check what else uses that memory"


def _run_trainer(trainer: lightning.Trainer, module: ImageClassification, resume_from: Path | None) -> None:
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        # weights_only loads it without running code. It also accepts our optimizer and loop states.
        trainer.fit(module, ckpt_path=resume_from and resume_from / STATE, weights_only=True)
    except SystemExit as error:
        # Lightning turns an interrupt into an exit, and ignores further interrupts. Undo both.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)
        raise error.__context__ or error from None
