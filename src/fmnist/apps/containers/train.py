"""The train app: a training run on Ray, or in this process."""

import logging
import os
import shutil
from pathlib import Path

from dependency_injector import providers

from fmnist.adapters.filelock.lock import RunLock
from fmnist.adapters.git.command import run
from fmnist.adapters.jinja2.report_page import render_report
from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.containers.ray_compute import ray_compute
from fmnist.apps.process import uninterrupted
from fmnist.apps.settings import UNKNOWN, Settings
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.services.training.run import Provenance, TrainingRun
from fmnist.ports.compute import Compute
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import Tracker

logger = logging.getLogger(__name__)


def commit_of_this_code(settings: Settings) -> str:
    """Return the Git commit of the checkout with this code, or of the image if there is no checkout."""
    here = Path(__file__)
    try:
        # An installed copy may be inside another project's checkout, whose commit is not that of this code.
        run(["git", "ls-files", "--error-unmatch", here.name], cwd=here.parent)
        return run(["git", "rev-parse", "HEAD"], cwd=here.parent).strip()
    except StoreUnavailable:
        return settings.git_commit


def local_compute_of(settings: Settings, registry: DataRegistry) -> LocalCompute:
    """Return the compute of this process, which may use all CPUs of it."""
    return LocalCompute(registry.read, settings.checkpoint_directory, threads=len(os.sched_getaffinity(0)))


def discard_checkpoints(settings: Settings, run_id: str) -> None:
    """Remove the checkpoints of a run that nobody resumes."""
    shutil.rmtree(settings.checkpoint_directory / run_id, ignore_errors=True)


def _run_lock(settings: Settings, compute_name: str) -> RunLock:
    """Return the lock on a run. It is beside the shared checkpoints; with S3 it is for this machine only."""
    in_s3 = compute_name == "ray" and settings.ray_storage_url
    return RunLock(None if in_s3 else settings.checkpoint_directory)


def _training_run(
    settings: Settings, registry: DataRegistry, tracker: Tracker, compute: Compute, store: ModelStore, lock: RunLock
) -> TrainingRun:
    return TrainingRun(
        registry=registry,
        tracker=tracker,
        compute=compute,
        store=store,
        model_name=settings.mlflow_registered_model_name,
        render=render_report,
        uninterrupted=uninterrupted,
        lock=lock,
        check_lock=lock.prepare,
        on_resumable=lambda run_id: logger.warning(
            "fmnist train --resume %s continues from its last checkpoint", run_id
        ),
    )


def _provenance(settings: Settings) -> Provenance:
    return Provenance(
        argo_workflow_uid=settings.argo_workflow_uid or UNKNOWN,
        docker_image_tag=settings.docker_image_tag or UNKNOWN,
        git_commit=commit_of_this_code(settings),
    )


class TrainContainer(ModelsContainer):
    """The training run. `compute_name` chooses the compute: `ray` or `local`."""

    compute_name = providers.Dependency(instance_of=str)
    ray_compute = providers.Singleton(ray_compute, settings=ModelsContainer.settings)
    local_compute = providers.Singleton(
        local_compute_of, settings=ModelsContainer.settings, registry=ModelsContainer.data_registry
    )
    compute = providers.Selector(compute_name, ray=ray_compute, local=local_compute)
    lock = providers.Factory(_run_lock, settings=ModelsContainer.settings, compute_name=compute_name)
    training_run = providers.Factory(
        _training_run,
        settings=ModelsContainer.settings,
        registry=ModelsContainer.data_registry,
        tracker=ModelsContainer.tracker,
        compute=compute,
        store=ModelsContainer.model_store,
        lock=lock,
    )
    provenance = providers.Factory(_provenance, settings=ModelsContainer.settings)
