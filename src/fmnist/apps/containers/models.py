"""What every app with models needs: the tracker of runs, and the store of models."""

from dependency_injector import providers

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore, gpu_is_here
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.apps.containers.base import BaseContainer
from fmnist.apps.settings import Settings
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.find_version import find_version
from fmnist.domain.services.promotion.challengers import check_source
from fmnist.ports.model_store import ModelStore


def mlflow_connection(settings: Settings) -> MlflowConnection:
    """Return the location of MLflow, and the experiment of the runs."""
    return MlflowConnection(
        tracking_uri=settings.tracking_uri,
        experiment=settings.mlflow_experiment_name,
        artifact_root=str(settings.fmnist_home / "artifacts"),
        insecure_tls=settings.mlflow_tracking_insecure_tls,
    )


def _tracker(settings: Settings, connection: MlflowConnection) -> MlflowTracker:
    return MlflowTracker(connection, system_metrics=settings.mlflow_enable_system_metrics_logging)


def _find_registered(uri: str | None, settings: Settings, store: ModelStore) -> ModelVersion:
    return find_version(store, settings.mlflow_registered_model_name, uri)


def _source(settings: Settings) -> StagedName:
    return check_source(settings.mlflow_registered_model_name)


class ModelsContainer(BaseContainer):
    """Tracker and model store."""

    connection = providers.Factory(mlflow_connection, settings=BaseContainer.settings)
    tracker = providers.Singleton(_tracker, settings=BaseContainer.settings, connection=connection)
    model_store = providers.Singleton(MlflowModelStore, connection=connection, on_gpu=providers.Object(gpu_is_here))
    find_version = providers.Callable(_find_registered, settings=BaseContainer.settings, store=model_store)
    source = providers.Factory(_source, settings=BaseContainer.settings)
