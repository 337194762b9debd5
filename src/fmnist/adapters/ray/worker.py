"""What each Ray Train worker runs. It gets plain values and factories, never a container, client or handle of ours."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint
from ray.util.queue import Queue

from fmnist.adapters.lightning.checkpoint import History
from fmnist.adapters.ray.data import own_part
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import BadInput, CorruptData, FmnistError, OutOfMemory, TrainingFailed
from fmnist.domain.model.training.run import TrainingSpec


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """All that a worker is told.

    Attributes:
        progress: takes `Progress`, and an error that is to end all workers, on its way to the driver.
        threads: that torch computes with on a CPU.
        storage: where checkpoints go.
    """

    spec: TrainingSpec
    normalization: Normalization
    progress: Queue
    threads: int
    storage: CheckpointStorage


def train(task: WorkerTask) -> FmnistError | None:
    """Train this worker's part, from the run's last checkpoint if there is one.

    What no retry can mend is returned, not raised, for Ray retries whatever a worker raises. Such errors (bad data, a
    loss that is no number) meet every worker at the same step. One that strikes a single worker, such as a checkpoint
    that cannot be written, has to be raised: Ray then ends the others too, which would wait for this one. Memory that
    is too small may strike a single one and no retry mends it: the driver is told, and ends it all.
    """
    torch.set_num_threads(task.threads)
    checkpoint = ray.train.get_checkpoint()
    try:
        with ExitStack() as fetched:
            resume_from: Path | None = None
            if checkpoint is not None:
                with task.storage.in_use("cannot be read"):
                    resume_from = Path(fetched.enter_context(checkpoint.as_directory()))
            _fit(task, resume_from)
    except OutOfMemory as error:
        task.progress.put(error)
        raise
    except (BadInput, CorruptData, TrainingFailed) as error:
        return error
    return None


def _fit(task: WorkerTask, resume_from: Path | None) -> None:
    # The driver imports this module too, and need not wait for Lightning.
    from fmnist.adapters.lightning.fitting import fit_network

    is_first = ray.train.get_context().get_world_rank() == 0

    def save(directory: Path, history: History) -> None:
        # Every worker reports, and waits for the others; the one checkpoint is that of rank 0.
        with task.storage.in_use("cannot be written"):
            ray.train.report(dict(history.epochs[-1]), checkpoint=Checkpoint(directory) if is_first else None)

    fit_network(
        task.spec,
        task.normalization,
        own_part("train"),
        own_part("val"),
        resume_from=resume_from,
        save=save,
        on_progress=task.progress.put,
        trainer_options={
            # A worker that was given no GPU has none, whatever the machine has.
            "accelerator": "gpu" if ray.train.torch.get_device().type == "cuda" else "cpu",
            **_parallel(ray.train.get_context().get_world_size()),
        },
    )


def _parallel(workers: int) -> dict[str, Any]:
    """Return Lightning's options for this many workers; one has nobody to share gradients with."""
    import ray.train.lightning

    if workers == 1:
        return {"devices": 1}
    return {
        "devices": "auto",
        "strategy": ray.train.lightning.RayDDPStrategy(),
        "plugins": [ray.train.lightning.RayLightningEnvironment()],
    }
