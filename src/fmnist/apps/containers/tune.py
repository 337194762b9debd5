"""The tune app: a search for a better recipe, in this process or on Ray."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dependency_injector import providers

from fmnist.adapters.filelock.lock import RunLock
from fmnist.adapters.jinja2.tuning_page import render_tuning
from fmnist.adapters.optuna.study import OptunaStudy
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.storage import Storage
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.containers.train import TrainContainer, discard_checkpoints
from fmnist.apps.process import uninterrupted
from fmnist.apps.settings import Settings
from fmnist.domain.model.tuning.result import TuningTask
from fmnist.domain.services.tuning.tune import Tuning
from fmnist.ports.compute import Compute
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.tracker import Tracker

if TYPE_CHECKING:
    from fmnist.adapters.ray.trials import RayTrials


def _ray_trials(settings: Settings) -> "RayTrials":
    from fmnist.adapters.ray.trials import RayTrials  # imports Ray, which trials in this process do not need

    return RayTrials(
        cluster=ClusterSettings(address=settings.ray_address, verbose=settings.verbose),
        reader=SplitReader(Storage(s3_settings(settings))),
        storage=CheckpointStorage(str(settings.checkpoint_directory)),
    )


def _tuning(
    settings: Settings, registry: DataRegistry, tracker: Tracker, compute: Compute, at_once: Callable[[], int]
) -> Tuning:
    def open_study(name: str, task: TuningTask) -> OptunaStudy:
        start = task.space.values_of(task.start)
        return OptunaStudy(settings.studies / "studies.db", name, task.space, start, task.start.max_epochs)

    return Tuning(
        registry=registry,
        tracker=tracker,
        compute=compute,
        open_study=open_study,
        render=render_tuning,
        at_once=at_once,
        discard=partial(discard_checkpoints, settings),
        uninterrupted=uninterrupted,
        lock=RunLock(settings.studies),
    )


class TuneContainer(TrainContainer):
    """The search. `compute_name` chooses where trials run: `ray` or `local`."""

    ray_trials = providers.Singleton(_ray_trials, settings=TrainContainer.settings)
    compute = providers.Selector(TrainContainer.compute_name, ray=ray_trials, local=TrainContainer.local_compute)
    tuning = providers.Factory(
        _tuning,
        settings=TrainContainer.settings,
        registry=TrainContainer.data_registry,
        tracker=TrainContainer.tracker,
        compute=compute,
        at_once=providers.Selector(
            TrainContainer.compute_name, ray=ray_trials.provided.places, local=providers.Object(lambda: 1)
        ),
    )
