"""One run of the GPU benchmark, in a process of its own, because imports and compilation count.

Its argument is one JSON object, the fields of `Job`. It prints its progress on stderr, and its figures as JSON.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - for its effect
from bare_loop import train_bare
from reporting import intervals, machine

from fmnist.adapters.idx.splits import read_splits
from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.run import Progress, TrainingSpec, best_epoch

_BARE_EPOCHS = 4
_VALIDATION_BATCH = 1000  # the images of each validation step, whose graph the warm-up compiles too


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run.

    Attributes:
        raw: directory with the four IDX files.
        images: number of images of each split; None means all.
        batch_size: None means that of the preset.
        started: time at the start of the process, in seconds since 1970.
    """

    preset: str
    epochs: int
    seed: int
    raw: str
    images: int | None
    batch_size: int | None
    started: float


def read(raw: str, images: int | None) -> dict[str, LabeledImages]:
    return {name: split.head(images) for name, split in read_splits(Path(raw)).items()}


def measure(job: Job) -> Iterator[dict[str, Any]]:
    """Warm up, train and answer `test` once. Then run the bare loop, and yield the figures with that ratio too."""
    splits = read(job.raw, job.images)
    registry = MemoryDataRegistry()
    dataset = registry.add("1.0.0", splits)
    recipe = PRESETS[job.preset].override(max_epochs=job.epochs, batch_size=job.batch_size)
    spec, ends = TrainingSpec(recipe=recipe, seed=job.seed), []
    with tempfile.TemporaryDirectory(prefix="fmnist-benchmark-") as checkpoints:
        compute = LocalCompute(registry.read, Path(checkpoints), threads=len(os.sched_getaffinity(0)))
        first_step = _warm_up(compute, spec, dataset) - job.started

        def watch(report: Progress) -> None:
            if report.metrics is not None:
                ends.append(time.time())
                accuracy = report.metrics["val_acc"]
                print(f"  epoch {report.epoch + 1} of {report.epochs}: val {accuracy:.2%}", file=sys.stderr, flush=True)

        result = compute.fit(spec, dataset, "run", watch)
        test = compute.predict(result.weights, dataset, "test")
    trained = job.epochs * (len(splits["train"]) // recipe.batch_size) * recipe.batch_size
    figures = {
        "preset": job.preset,
        "epochs": job.epochs,
        "seed": job.seed,
        "parameters": sum(weight.numel() for weight in build_network(recipe.architecture).parameters()),
        "first_step_seconds": first_step,
        "training_seconds": result.seconds,
        "val_acc": result.history[best_epoch(result.history)]["val_acc"],
        "test_acc": float((test.probabilities.argmax(axis=1) == test.labels).mean()),
        "images_per_second": trained / result.seconds,
        "over_bare_loop": None,
        "recipe": dataclasses.asdict(recipe),
        "machine": machine("torch", "lightning", "numpy"),
    }
    yield figures
    bare = train_bare(
        recipe.override(max_epochs=min(_BARE_EPOCHS, job.epochs)),
        dataset.normalization,
        {name: splits[name] for name in ("train", "val")},
    )
    yield {**figures, "over_bare_loop": min(intervals(ends)) / min(bare["epochs"])}


def _warm_up(compute: LocalCompute, spec: TrainingSpec, dataset: DatasetVersion) -> float:
    """Train for two steps, so that compilation and other one-time work is done. Return the time after the first one."""
    times = []

    def watch(report: Progress) -> None:
        if report.step:
            times.append(time.time())

    two_steps = dataclasses.replace(
        spec,
        recipe=spec.recipe.override(max_epochs=1),
        limit_train=2 * spec.recipe.batch_size,
        limit_val=_VALIDATION_BATCH,
    )
    compute.fit(two_steps, dataset, "warm-up", watch)
    return times[0]


if __name__ == "__main__":
    for told in measure(Job(**json.loads(sys.argv[1]))):
        print(json.dumps(told), flush=True)
