"""What every app with models needs: the tracker of runs, and the store of models."""

from dependency_injector import providers

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
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


def tracker(settings: Settings, connection: MlflowConnection) -> MlflowTracker:
    """Return the tracker of runs."""
    return MlflowTracker(connection, system_metrics=settings.mlflow_enable_system_metrics_logging)


def find_registered(uri: str | None, settings: Settings, store: ModelStore) -> ModelVersion:
    """Return the version at `uri`, or the newest of the configured model."""
    return find_version(store, settings.mlflow_registered_model_name, uri)


def source(settings: Settings) -> StagedName:
    """Return the registered model that promotions start from."""
    return check_source(settings.mlflow_registered_model_name)


class ModelsContainer(BaseContainer):
    """Tracker and model store."""

    connection = providers.Factory(mlflow_connection, settings=BaseContainer.settings)
    tracker = providers.Singleton(tracker, settings=BaseContainer.settings, connection=connection)
    model_store = providers.Singleton(MlflowModelStore, connection=connection, gpu=True)
    find_version = providers.Callable(find_registered, settings=BaseContainer.settings, store=model_store)
    source = providers.Factory(source, settings=BaseContainer.settings)
