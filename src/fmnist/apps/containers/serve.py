"""The serve app. What a replica is made of travels to it as a factory of plain settings: no container and no client."""

import uuid
from functools import partial

from dependency_injector import providers

from fmnist import __version__
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.proxy import proxy_middleware
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.ray import serving_host
from fmnist.adapters.ray.cluster import ClusterSettings
from fmnist.adapters.ray.serving import ReplicaParts, application
from fmnist.adapters.ray.serving_memory import RayServingMemory
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.settings import Settings
from fmnist.domain.services.model_loading import NormalizationCheck
from fmnist.domain.services.model_serving import ModelServing, ReloadObserver


def model_serving(
    connection: MlflowConnection,
    registry: RegistrySettings,
    model_name: str,
    normalization: NormalizationCheck,
    patience: float,
    deploy: str,
    name: str,
    threads: int,
    observe: ReloadObserver,
) -> ModelServing:
    """Make the domain's service for a replica of the application `name`; called where the replica runs."""
    return ModelServing(
        MlflowModelStore(connection, threads),
        DvcDataRegistry(registry),
        RayServingMemory(name, deploy),
        model_name=model_name,
        normalization=normalization,
        patience=patience,
        observe=observe,
    )


def http_settings(settings: Settings) -> HttpSettings:
    """What the service accepts, and from whom."""
    return HttpSettings(
        version=__version__,
        max_images=settings.request_max_length,
        max_bytes=settings.request_max_bytes,
        request_timeout_seconds=settings.request_timeout_seconds,
        api_keys=settings.api_keys,
    )


class ServeContainer(ModelsContainer):
    """`application(model_uri=…)` is what Ray Serve runs; `start(…)` and `stop()` run it in this process's name."""

    http_settings = providers.Factory(http_settings, ModelsContainer.settings)
    parts = providers.Factory(
        ReplicaParts,
        serving=providers.Factory(
            partial,
            model_serving,
            ModelsContainer.connection,
            ModelsContainer.registry_settings,
            ModelsContainer.settings.provided.mlflow_registered_model_name,
            ModelsContainer.settings.provided.normalization_check,
            ModelsContainer.settings.provided.model_load_timeout_seconds,
            # New for each deployment: an alias is looked up once in it, whatever it stood for in the last.
            providers.Callable(lambda: uuid.uuid4().hex),
        ),
        http=providers.Factory(partial, create_app, settings=http_settings),
        max_images=ModelsContainer.settings.provided.request_max_length,
        poll_seconds=ModelsContainer.settings.provided.model_poll_seconds,
        log_level=ModelsContainer.settings.provided.log_level,
    )
    proxy_middleware = providers.Factory(proxy_middleware, ModelsContainer.settings.provided.request_max_bytes)
    cluster = providers.Factory(
        ClusterSettings,
        address=ModelsContainer.settings.provided.ray_address,
        verbose=ModelsContainer.settings.provided.verbose,
        forward_logs=True,
    )
    application = providers.Factory(application, parts)
    start = providers.Callable(
        serving_host.start,
        cluster=cluster,
        timeout=ModelsContainer.settings.provided.request_timeout_seconds,
        proxy="fmnist.apps.serve:proxy_middleware",
    )
    stop = providers.Callable(serving_host.stop)
