"""What every app needs that has to do with models: where runs are recorded, and where models are kept."""

from dependency_injector import providers

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.apps.containers.base import BaseContainer
from fmnist.apps.settings import Settings
from fmnist.domain.services.find_version import find_version


def mlflow_connection(settings: Settings) -> MlflowConnection:
    """Where MLflow is, and the experiment that runs belong to."""
    return MlflowConnection(
        tracking_uri=settings.tracking_uri,
        experiment=settings.mlflow_experiment_name,
        artifact_root=str(settings.fmnist_home / "artifacts"),
        insecure_tls=settings.mlflow_tracking_insecure_tls,
    )


class ModelsContainer(BaseContainer):
    """Tracker and model store."""

    connection = providers.Factory(mlflow_connection, BaseContainer.settings)
    tracker = providers.Singleton(
        MlflowTracker,
        connection,
        system_metrics=BaseContainer.settings.provided.mlflow_enable_system_metrics_logging,
    )
    model_store = providers.Singleton(MlflowModelStore, connection, gpu=True)
    find_version = providers.Callable(
        find_version, model_store, BaseContainer.settings.provided.mlflow_registered_model_name
    )
