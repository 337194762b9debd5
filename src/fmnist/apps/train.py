"""`fmnist train`: one training run, from data to registry. `ray job submit` calls `python -m fmnist.apps.train`."""

import logging
import runpy
import sys
from contextlib import AbstractContextManager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from fmnist.apps.outputs import AsJson, examples, print_json
from fmnist.apps.process import begin, uninterrupted
from fmnist.apps.terminal import stderr
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.files import read_toml
from fmnist.domain.model.training.presets import PRESETS
from fmnist.domain.model.training.recipe import ARCHITECTURES, Recipe
from fmnist.domain.model.training.run import TrainingSpec

if TYPE_CHECKING:
    from fmnist.apps.containers.train import TrainContainer
    from fmnist.apps.progress import TrainingProgress
    from fmnist.apps.settings import Settings
    from fmnist.domain.model.training.run import TrainingResult
    from fmnist.ports.tracker import RunRecord

logger = logging.getLogger(__name__)

EXAMPLES = examples(
    "fmnist train",
    "fmnist train --preset resnet18 --limit-train 2000 --limit-val 500",
    "fmnist train --num-workers 2 --max-epochs 3 --seed 7",
    "fmnist train --preset best --gpu-per-worker 1",
    "fmnist train --ray-address head:6379 --num-workers 4",
    "fmnist train --resume RUN_ID",
)

_Compute = Literal["ray", "local"]
_COMPUTE_TAG = "compute"
_NOT_OF_A_NEW_RUN = {"resume", "ray_address", "as_json"}


def train(
    context: typer.Context,
    run_name: Annotated[str | None, typer.Option(help="Name of the run.  \\[default: architecture and time]")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"Recipe: {', '.join(PRESETS)}, or a TOML file. speedrun, small-1m and best are meant for a GPU.  "
            "\\[default: FMNIST_PRESET, else fast]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help=f"Architecture: {', '.join(ARCHITECTURES)}.  \\[default: architecture of the recipe]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per worker and step.  \\[default: batch size of the recipe]")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Constant learning rate, or peak rate of a one-cycle schedule.  \\[default: rate of the recipe]"
        ),
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(help="Number of epochs.  \\[default: epochs of the recipe]")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights, data order and augmentation.  \\[default: 0]")
    ] = None,
    num_workers: Annotated[
        int | None, typer.Option(help="Number of data-parallel workers.  \\[default: RAY_NUM_WORKERS, else 1]")
    ] = None,
    gpu_per_worker: Annotated[
        float | None, typer.Option(help="GPUs per worker; with 0.5, two workers share a GPU.  \\[default: 0]")
    ] = None,
    limit_train: Annotated[
        int | None, typer.Option(help="Train on only the first N images.  \\[default: all images]")
    ] = None,
    limit_val: Annotated[
        int | None, typer.Option(help="Validate each epoch on only the first N images.  \\[default: all images]")
    ] = None,
    data_version: Annotated[
        str | None,
        typer.Option(help="Data version to train on.  \\[default: DVC_DATA_VERSION, else the newest version]"),
    ] = None,
    compute: Annotated[
        _Compute | None,
        typer.Option(help="ray: train on a Ray cluster; local: train in this process.  \\[default: ray]"),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Ray cluster to join.  \\[default: RAY_ADDRESS, else a new local cluster]"
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Id of a failed or interrupted run to continue.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Train a model, evaluate it once on the test split, and register it."""
    if ray_address is not None and compute == "local":
        raise InvalidSetting(f"--compute local uses no cluster: leave out --ray-address {ray_address}")
    settings = begin(ray_address)
    settings.require_data_contract()
    if resume:
        of_a_new_run = {name: value for name, value in context.params.items() if name not in _NOT_OF_A_NEW_RUN}
        given = [f"--{name.replace('_', '-')}" for name, value in of_a_new_run.items() if value is not None]
        if given:
            raise InvalidSetting(f"--resume continues a run with its own settings: leave out {', '.join(given)}")
        result = _resume(settings, resume)
    else:
        spec = TrainingSpec(
            recipe=read_recipe(preset or settings.fmnist_preset).override(
                architecture=model, batch_size=batch_size, lr=lr, max_epochs=max_epochs
            ),
            seed=seed or 0,
            num_workers=settings.ray_num_workers if num_workers is None else num_workers,
            gpu_per_worker=gpu_per_worker or 0.0,
            limit_train=limit_train,
            limit_val=limit_val,
        )
        # On the platform, the data contract's variable wins over the flag.
        variable = settings.dvc_data_version
        data_version = (variable or data_version) if settings.on_platform else (data_version or variable)
        result = _start(settings, spec, compute or "ray", run_name, data_version)
    if as_json:
        print_json(_summary(result))
    else:
        from fmnist.apps.training_report import print_result

        print_result(result, settings)


def read_recipe(preset: str) -> Recipe:
    """Return the preset of this name, or the recipe in this TOML file."""
    if preset in PRESETS:
        return PRESETS[preset]
    try:
        return Recipe.from_mapping(read_toml(Path(preset)))
    except FileNotFoundError:
        raise InvalidSetting(f"preset {preset!r} is none of {', '.join(PRESETS)}, and there is no such file") from None
    except (OSError, ValueError, InvalidSetting) as error:
        raise InvalidSetting(f"preset file {preset} cannot be used: {error}") from error


def _start(
    settings: "Settings", spec: TrainingSpec, compute: _Compute, run_name: str | None, data_version: str | None
) -> "TrainingResult":
    if compute == "local" and (spec.num_workers, spec.gpu_per_worker) != (1, 0):
        raise InvalidSetting(
            f"--compute local is one worker, on the GPU if there is one: leave out --num-workers {spec.num_workers} "
            f"(or RAY_NUM_WORKERS) and --gpu-per-worker {spec.gpu_per_worker:g}, or use --compute ray"
        )
    with _loading():
        container = _container(settings, compute)
        service, provenance = container.training_run(), container.provenance()
    logger.info("state directory %s", settings.fmnist_home)
    run_name = run_name or f"{spec.recipe.architecture}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with _progress() as progress, _stdout_kept():
        result: TrainingResult = service.start(
            spec, provenance, progress, run_name=run_name, data_version=data_version, notes={_COMPUTE_TAG: compute}
        )
    return result


def _resume(settings: "Settings", run_id: str) -> "TrainingResult":
    with _loading():
        from fmnist.apps.containers.models import ModelsContainer

        # A run is resumed on the compute it started on, which has its checkpoints.
        record: RunRecord = ModelsContainer(settings=settings).tracker().get(run_id)
        compute = record.tags.get(_COMPUTE_TAG)
        if compute is None or compute not in get_args(_Compute):
            raise InvalidSetting(f"run {run_id} cannot be resumed: it was not begun by fmnist train")
        service = _container(settings, compute).training_run()
    logger.info("state directory %s", settings.fmnist_home)
    best = max((value for _, value in record.history.get("val_acc", ())), default=0.0)
    with _progress(best) as progress, _stdout_kept():
        result: TrainingResult = service.resume(run_id, progress)
    return result


def _container(settings: "Settings", compute: str) -> "TrainContainer":
    started = {}
    if compute == "ray":
        from fmnist.apps.containers.ray_compute import ray_compute

        # Its process imports torch and Ray while this one imports the rest.
        started["ray_compute"] = ray_compute(settings)
        with uninterrupted():
            started["ray_compute"].start()
    from fmnist.apps.containers.train import TrainContainer

    return TrainContainer(settings=settings, compute_name=compute, **started)


def _loading() -> AbstractContextManager[object]:
    return stderr().status("loading torch, ray and mlflow")


def _stdout_kept() -> AbstractContextManager[object]:
    """Keep stdout for the result: Ray prints events of cluster nodes to it."""
    return redirect_stdout(sys.stderr)


def _progress(best: float = 0.0) -> "TrainingProgress":
    from fmnist.apps.progress import TrainingProgress

    return TrainingProgress(stderr(), best)


def _summary(result: "TrainingResult") -> dict[str, Any]:
    metrics = result.val.metrics("val")
    if result.test:
        metrics |= result.test.metrics("test", calibration=True)
    return {
        "run_id": result.run_id,
        "model_uri": result.model.uri,
        "best_epoch": result.best_epoch,
        "training_seconds": round(result.seconds, 1),
        "metrics": metrics,
    }


if __name__ == "__main__":  # pragma: no cover - runs in a Ray job
    from fmnist.apps.ray_job import run_uploaded_code

    run_uploaded_code("fmnist.apps.train")
    sys.argv.insert(1, "train")
    runpy.run_module("fmnist", run_name="__main__")
