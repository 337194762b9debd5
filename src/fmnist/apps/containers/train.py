"""The train app: a training run on Ray, or in this process."""

import os
from pathlib import Path

from dependency_injector import providers

from fmnist.adapters.filelock.lock import RunLock
from fmnist.adapters.git.command import run
from fmnist.adapters.jinja2.report_page import render_report
from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.adapters.parquet.reader import SplitReader
from fmnist.adapters.parquet.storage import S3Settings, Storage
from fmnist.adapters.ray.isolation import IsolatedCompute, RayComputeFactory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.containers.base import s3_settings
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.process import uninterrupted
from fmnist.apps.settings import Settings
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.services.training.run import Provenance, TrainingRun


def checkpoint_storage(settings: Settings) -> CheckpointStorage:
    """Where Ray keeps checkpoints; S3 with the credentials of the data, at an endpoint of its own."""
    if settings.ray_storage_url is None:
        return CheckpointStorage(settings.ray_storage_location)
    data = s3_settings(settings)
    s3 = S3Settings(settings.ray_storage_url, data.access_key_id, data.secret_access_key, data.verify_tls)
    return CheckpointStorage(settings.ray_storage_location, s3)


def commit_of_this_code(settings: Settings) -> str:
    """Return the Git commit of the checkout that this code runs from; where there is none, that of the image."""
    here = Path(__file__)
    try:
        # An installed copy may lie inside somebody else's checkout, whose commit would say nothing of it.
        run(["git", "ls-files", "--error-unmatch", here.name], cwd=here.parent)
        return run(["git", "rev-parse", "HEAD"], cwd=here.parent).strip()
    except StoreUnavailable:
        return settings.image_commit


def run_lock(settings: Settings, compute_name: str) -> RunLock:
    """The lock on a run: beside its checkpoints, where those who share them see it; with S3, for this machine alone."""
    in_s3 = compute_name == "ray" and settings.ray_storage_url
    return RunLock(None if in_s3 else settings.checkpoint_directory)


class TrainContainer(ModelsContainer):
    """The training run, with `compute` chosen by name: `ray` or `local`."""

    compute_name = providers.Dependency(instance_of=str)
    ray_compute = providers.Singleton(
        IsolatedCompute,
        providers.Factory(
            RayComputeFactory,
            cluster=providers.Factory(
                ClusterSettings,
                address=ModelsContainer.settings.provided.ray_address,
                verbose=ModelsContainer.settings.provided.verbose,
            ),
            reader=providers.Factory(
                SplitReader, providers.Factory(Storage, providers.Factory(s3_settings, ModelsContainer.settings))
            ),
            storage=providers.Factory(checkpoint_storage, ModelsContainer.settings),
        ),
    )
    local_compute = providers.Singleton(
        LocalCompute,
        registry=ModelsContainer.data_registry,
        checkpoints=ModelsContainer.settings.provided.checkpoint_directory,
        threads=providers.Callable(lambda: len(os.sched_getaffinity(0))),
    )
    compute = providers.Selector(compute_name, ray=ray_compute, local=local_compute)
    lock = providers.Factory(run_lock, ModelsContainer.settings, compute_name)
    training_run = providers.Factory(
        TrainingRun,
        registry=ModelsContainer.data_registry,
        tracker=ModelsContainer.tracker,
        compute=compute,
        store=ModelsContainer.model_store,
        model_name=ModelsContainer.settings.provided.mlflow_registered_model_name,
        render=providers.Object(render_report),
        uninterrupted=providers.Object(uninterrupted),
        lock=lock,
        check_lock=lock.provided.prepare,
    )
    provenance = providers.Factory(
        Provenance,
        argo_workflow_uid=ModelsContainer.settings.provided.workflow_uid,
        docker_image_tag=ModelsContainer.settings.provided.image_tag,
        git_commit=providers.Callable(commit_of_this_code, ModelsContainer.settings),
    )
