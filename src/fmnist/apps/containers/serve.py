"""The serve app. What a replica is made of travels to it as a factory of plain settings: no container and no client.

No secret travels either, for Serve keeps what it is given in the cluster's memory: a replica reads them where it runs.
"""

import uuid
from dataclasses import replace
from functools import partial
from typing import Any

from dependency_injector import providers

from fmnist import __version__
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.proxy import proxy_middleware
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.http.address import address_of
from fmnist.adapters.http.service import HttpService
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.ray import serving_host
from fmnist.adapters.ray.serving import ReplicaParts, application
from fmnist.adapters.ray.serving_memory import RayServingMemory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.settings import Settings
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.services.serving.load import ModelSources, NormalizationCheck
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver


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
    sources = ModelSources(
        store=MlflowModelStore(connection, threads),
        registry=DvcDataRegistry(registry),
        memory=RayServingMemory(name, deploy),
        model_name=model_name,
        normalization=normalization,
        patience=patience,
    )
    return ModelServing(sources, observe)


def without_secrets(registry: RegistrySettings) -> RegistrySettings:
    """Leave S3's keys to the environment of whoever reads the registry."""
    return replace(registry, s3=replace(registry.s3, access_key_id=None, secret_access_key=None))


def http_settings(settings: Settings) -> HttpSettings:
    """What the service accepts, save the keys."""
    return HttpSettings(
        version=__version__,
        max_images=settings.request_max_length,
        max_bytes=settings.request_max_bytes,
        # The largest request that is allowed is taken.
        max_buffered_bytes=max(settings.request_buffer_bytes, settings.request_max_bytes),
        request_timeout_seconds=settings.request_timeout_seconds,
    )


def replica_parts(settings: Settings, connection: MlflowConnection, registry: RegistrySettings) -> ReplicaParts:
    """Return what a replica is made of where it runs."""
    return ReplicaParts(
        serving=partial(
            model_serving,
            connection,
            without_secrets(registry),
            settings.mlflow_registered_model_name,
            settings.normalization_check,
            settings.model_load_timeout_seconds,
            # New for each deployment: an alias is looked up once in it, whatever it stood for in the last.
            uuid.uuid4().hex,
        ),
        http=partial(http_application, settings=http_settings(settings), has_keys=bool(settings.api_keys)),
        max_images=settings.request_max_length,
        request_seconds=settings.request_timeout_seconds,
        poll_seconds=settings.model_poll_seconds,
        log_level=settings.log_level,
    )


def http_application(serving: Serving, *, settings: HttpSettings, has_keys: bool) -> Any:
    """Make the ASGI application of a replica, with the keys of its own environment; called where the replica runs.

    Raises:
        InvalidSetting: there are keys where the service is deployed from, and none here.
    """
    keys = Settings.load().api_keys
    if has_keys and not keys:
        raise InvalidSetting(
            "FMNIST_API_KEYS is set where the service is deployed from, and not on the node that runs it: set it "
            "there, for keys do not travel"
        )
    return create_app(serving, replace(settings, api_keys=keys))


def guard(settings: Settings) -> list[Any]:
    """Return the middleware of a proxy; called in its process, whose own environment has the keys."""
    return proxy_middleware(replace(http_settings(settings), api_keys=settings.api_keys))


def cluster(settings: Settings) -> ClusterSettings:
    """Return how Ray is reached, for a service."""
    return ClusterSettings(address=settings.ray_address, verbose=settings.verbose, forward_logs=True, metrics=True)


def start(application: Any, settings: Settings, cluster: ClusterSettings, host: str, port: int, prefix: str) -> None:
    """Run the application with Ray Serve, and wait until it answers."""
    serving_host.start(
        application,
        cluster=cluster,
        host=host,
        port=port,
        route_prefix=prefix or "/",
        request_seconds=settings.request_timeout_seconds,
        proxy="fmnist.apps.serve:proxy_middleware",
    )


class ServeContainer(ModelsContainer):
    """`application(model_uri=…)` is what Ray Serve runs; `start(…)` and `stop()` run it in this process's name."""

    parts = providers.Factory(
        replica_parts,
        settings=ModelsContainer.settings,
        connection=ModelsContainer.connection,
        registry=ModelsContainer.registry_settings,
    )
    application = providers.Factory(application, parts=parts)
    proxy_middleware = providers.Factory(guard, settings=ModelsContainer.settings)
    cluster = providers.Factory(cluster, settings=ModelsContainer.settings)
    start = providers.Callable(start, settings=ModelsContainer.settings, cluster=cluster)
    stop = providers.Callable(serving_host.stop, cluster=cluster)
    address_of = providers.Callable(address_of)
    service = providers.Factory(HttpService)
