"""The function that each Ray Train worker runs. It gets plain values and factories, never a container or a client."""

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
from fmnist.adapters.ray.data import StoredSplit
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import BadInput, CorruptData, FmnistError, OutOfMemory, TrainingFailed
from fmnist.domain.model.training.run import TrainingSpec


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """The arguments of a worker.

    Attributes:
        progress: queue to the driver, for `Progress`, or for an error that must stop all workers.
        threads: CPU threads of torch.
        storage: storage of the checkpoints.
        train, val: the splits. Each worker fetches its own rows of them.
    """

    spec: TrainingSpec
    normalization: Normalization
    progress: Queue
    threads: int
    storage: CheckpointStorage
    train: StoredSplit
    val: StoredSplit


def train_worker(task: WorkerTask) -> FmnistError | None:  # pragma: no cover - runs in a Ray worker
    """Train on this worker's part of the data, from the run's last checkpoint if there is one.

    Ray retries after any exception of a worker. So an error that a retry cannot fix is returned, not raised: bad data
    and a loss that is not finite, which all workers meet at the same step. An error of one worker must be raised, such
    as a failed checkpoint: then Ray stops the others, which would wait for this one. Too little memory can hit one
    worker, and no retry fixes it: it is sent to the driver, which stops the training.
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


def _fit(task: WorkerTask, resume_from: Path | None) -> None:  # pragma: no cover - runs in a Ray worker
    # Not at the top: the driver imports this module too, and Lightning takes seconds.
    from fmnist.adapters.lightning.fitting import fit_network

    context = ray.train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()

    def save(directory: Path, history: History) -> None:
        # Every worker must report, and waits for the others. Only rank 0 has a checkpoint.
        with task.storage.in_use("cannot be written"):
            ray.train.report(dict(history.epochs[-1]), checkpoint=Checkpoint(directory) if rank == 0 else None)

    fit_network(
        task.spec,
        task.normalization,
        # By rank, not by node, so that runs are repeatable.
        task.train.part(rank, workers, task.spec.limit_train, equal=True),
        task.val.part(rank, workers, task.spec.limit_val, equal=False),
        resume_from=resume_from,
        save=save,
        on_progress=task.progress.put,
        trainer_options={
            # A worker without a GPU of its own must not use one of the machine.
            "accelerator": "gpu" if ray.train.torch.get_device().type == "cuda" else "cpu",
            **_parallel(workers),
        },
    )


def _parallel(workers: int) -> dict[str, Any]:  # pragma: no cover - runs in a Ray worker
    """Return Lightning's options for this number of workers. One worker alone shares no gradients."""
    import ray.train.lightning

    if workers == 1:
        return {"devices": 1}
    return {
        "devices": "auto",
        "strategy": ray.train.lightning.RayDDPStrategy(),
        "plugins": [ray.train.lightning.RayLightningEnvironment()],
    }
