"""Subjects of the training benchmark: fmnist as a user runs it, and a lower bound for each figure.

Each subject runs in its own process, because imports count. It prints one JSON object on stdout.
"""

import contextlib
import importlib.util
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIRST_STEP = "first-step"


def product(started: float, compute: str, *flags: str) -> dict[str, Any]:
    """Run `fmnist train --compute COMPUTE FLAGS`. The flag `first-step` interrupts it after the first step.

    Only the progress display is replaced, by one that also records the times of reports.
    """
    from reporting import intervals

    import fmnist.apps.progress
    from fmnist.__main__ import main
    from fmnist.apps.process import exit_of
    from fmnist.domain.model.training.run import Progress

    times: dict[str, list[float]] = {"steps": [], "epochs": []}

    class NotingProgress(fmnist.apps.progress.TrainingProgress):
        def __call__(self, report: Progress) -> None:
            if report.metrics is not None:
                times["epochs"].append(time.time())
            elif report.step and not times["steps"]:
                times["steps"].append(time.time())
                if FIRST_STEP in flags:
                    raise KeyboardInterrupt
            super().__call__(report)

    fmnist.apps.progress.TrainingProgress = NotingProgress  # type: ignore[misc]
    arguments = ["train", "--compute", compute, *(flag for flag in flags if flag != FIRST_STEP)]
    # `--compute local` uses a GPU by itself. With --num-workers, scaling over CPU cores is measured.
    if compute == "ray" and has_gpu() and "--num-workers" not in flags:
        arguments += ["--gpu-per-worker", "1"]
    with contextlib.redirect_stdout(sys.stderr):
        try:
            main(arguments)
        except SystemExit as end:
            if end.code != (exit_of(KeyboardInterrupt())[1] if FIRST_STEP in flags else 0):
                raise
    return {"first_step": times["steps"][0] - started, "epochs": intervals(times["epochs"])}


def has_gpu() -> bool:
    """Whether there is a GPU and a torch for GPUs. It does not import torch, because that time is measured."""
    return Path("/dev/nvidia0").exists() and importlib.util.find_spec("triton") is not None


def local_imports(started: float) -> dict[str, Any]:
    """Import what `fmnist train --compute local` imports, and do nothing else."""
    _import_as_a_driver()
    import fmnist.adapters.lightning.fitting  # noqa: F401

    return {"first_step": time.time() - started}


def ray_job(started: float) -> dict[str, Any]:
    """Import what driver and worker import, start Ray with fmnist's settings, and run an empty job."""
    _import_as_a_driver()
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer

    from fmnist.adapters.ray.cluster import cpus_per_worker, join_cluster, node_cpus
    from fmnist.adapters.ray.settings import ClusterSettings

    join_cluster(ClusterSettings())
    trainer = TorchTrainer(
        _import_as_a_worker,
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=1, resources_per_worker={"CPU": cpus_per_worker(node_cpus(), 1)}
        ),
        run_config=ray.train.RunConfig(name=f"floor-{time.time_ns()}", storage_path=str(_state_directory())),
    )
    entered, imported = trainer.fit().return_value
    return {"first_step": imported - started, "entered": entered - started}


def _import_as_a_driver() -> None:
    # MLflow imports these when it first opens its sqlite store.
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    import fmnist.apps.cli
    import fmnist.apps.containers.train
    import fmnist.apps.progress  # noqa: F401


def _import_as_a_worker() -> tuple[float, float]:
    """Return the time at the start of a worker's function, and the time after fmnist's imports in it."""
    entered = time.time()
    import ray.train.lightning  # noqa: F401

    import fmnist.adapters.lightning.fitting
    import fmnist.adapters.ray.worker  # noqa: F401

    return entered, time.time()


def bare_loop(_: float, epochs: str, images_to_train_on: str) -> dict[str, Any]:
    """Train `fast` in a plain PyTorch loop."""
    import os

    import torch
    from bare_loop import train_bare

    from fmnist.apps.containers.train import TrainContainer
    from fmnist.apps.settings import load_environment
    from fmnist.domain.model.training.presets import PRESETS

    registry = TrainContainer(settings=load_environment(), compute_name="local").data_registry()
    dataset = registry.resolve()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    train = registry.read(dataset, "train").head(int(images_to_train_on))
    splits = {"train": train, "val": registry.read(dataset, "val")}
    return train_bare(PRESETS["fast"].override(max_epochs=int(epochs)), dataset.normalization, splits)


def learn(_: float, preset: str, seed: str, epochs: str, enough: str) -> dict[str, Any]:
    """Train a preset in-process, then measure the chosen weights once on `test`.

    Args:
        epochs: number of epochs; 0 keeps that of the preset.
        enough: training ends at the first epoch with this validation accuracy; 2 never ends it early.
    """
    import os
    import tempfile

    from fmnist.adapters.lightning.checkpoint import BEST, History, KeptCheckpoints
    from fmnist.adapters.lightning.compute import LocalCompute
    from fmnist.apps.containers.train import TrainContainer
    from fmnist.apps.settings import load_environment
    from fmnist.domain.model.training.presets import PRESETS
    from fmnist.domain.model.training.run import Progress, TrainingSpec
    from fmnist.ports.model_store import TrainedWeights

    class EnoughError(Exception):
        pass

    cpu: list[float] = []

    def watch(report: Progress) -> None:
        cpu.append(time.process_time())
        if report.metrics is not None and report.metrics["val_acc"] >= float(enough):
            raise EnoughError

    registry = TrainContainer(settings=load_environment(), compute_name="local").data_registry()
    dataset = registry.resolve()
    recipe = PRESETS[preset].override(max_epochs=int(epochs) or None)
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as checkpoints:
        compute = LocalCompute(registry.read, Path(checkpoints), threads=len(os.sched_getaffinity(0)))
        run_id = "learn"
        with contextlib.suppress(EnoughError):
            compute.fit(TrainingSpec(recipe=recipe, seed=int(seed)), dataset, run_id, watch)
        newest = KeptCheckpoints(Path(checkpoints) / run_id).newest()
        assert newest is not None
        history = History.read(newest)
        weights = TrainedWeights(recipe.architecture, str(newest / BEST))
        test = compute.predict(weights, dataset, "test")
    return {
        "seconds": history.seconds,
        "cpu_seconds": cpu[-1] - cpu[0],
        "val_acc": [metrics["val_acc"] for metrics in history.epochs],
        "test_acc": float((test.probabilities.argmax(axis=1) == test.labels).mean()),
        "load": os.getloadavg(),
    }


SUBJECTS: dict[str, Callable[..., dict[str, Any]]] = {
    "product": product,
    "local-imports": local_imports,
    "ray-job": ray_job,
    "bare-loop": bare_loop,
    "learn": learn,
}


def _state_directory() -> Path:
    from fmnist.apps.settings import Settings

    return Settings.load().fmnist_home


if __name__ == "__main__":
    name, since, *arguments = sys.argv[1:]
    result = SUBJECTS[name](float(since), *arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({**result, "peak_mib": peak}) + "\n")
