"""The serve app. A replica receives a picklable factory with plain settings, and no container or client.

It receives no secret either, because Ray Serve keeps its arguments in the cluster's memory. A replica reads secrets
from its own environment.
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
    name: str,
    threads: int,
    observe: ReloadObserver,
    *,
    connection: MlflowConnection,
    registry: RegistrySettings,
    model_name: str,
    normalization: NormalizationCheck,
    patience: float,
    deploy: str,
) -> ModelServing:
    """Make the serving service for a replica of the application `name`. Called in the replica's process."""
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
    """Remove the S3 keys. The reader of the registry takes them from its own environment."""
    return replace(registry, s3=replace(registry.s3, access_key_id=None, secret_access_key=None))


def http_settings(settings: Settings) -> HttpSettings:
    """Return the limits of the HTTP service, without the API keys."""
    return HttpSettings(
        version=__version__,
        max_images=settings.request_max_length,
        max_bytes=settings.request_max_bytes,
        # The largest allowed request must fit.
        max_buffered_bytes=max(settings.request_buffer_bytes, settings.request_max_bytes),
        request_timeout_seconds=settings.request_timeout_seconds,
    )


def _replica_parts(settings: Settings, connection: MlflowConnection, registry: RegistrySettings) -> ReplicaParts:
    """Return the parts from which a replica is made in its own process."""
    return ReplicaParts(
        serving=partial(
            model_serving,
            connection=connection,
            registry=without_secrets(registry),
            model_name=settings.mlflow_registered_model_name,
            normalization=settings.normalization_check,
            patience=settings.model_load_timeout_seconds,
            # New for each deployment, so that each deployment resolves an alias anew.
            deploy=uuid.uuid4().hex,
        ),
        http=partial(http_application, settings=http_settings(settings), has_keys=bool(settings.api_keys)),
        max_images=settings.request_max_length,
        request_seconds=settings.request_timeout_seconds,
        poll_seconds=settings.model_poll_seconds,
        log_level=settings.log_level,
    )


def http_application(serving: Serving, *, settings: HttpSettings, has_keys: bool) -> Any:
    """Make the ASGI application of a replica, with the API keys of its environment. Called in the replica's process.

    Raises:
        InvalidSetting: there are keys where the service is deployed from, but not here.
    """
    keys = Settings.load().api_keys
    if has_keys and not keys:
        raise InvalidSetting(
            "FMNIST_API_KEYS is set where the service is deployed from, but not on the node that runs it: set it "
            "there too, because keys are not sent to nodes"
        )
    return create_app(serving, replace(settings, api_keys=keys))


def _guard(settings: Settings) -> list[Any]:
    """Return the middleware of a proxy. Called in the proxy's process, whose environment has the keys."""
    return proxy_middleware(replace(http_settings(settings), api_keys=settings.api_keys))


def _cluster(settings: Settings) -> ClusterSettings:
    return ClusterSettings(address=settings.ray_address, verbose=settings.verbose, forward_logs=True, metrics=True)


def _start(application: Any, settings: Settings, cluster: ClusterSettings, host: str, port: int, prefix: str) -> None:
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
    """`application(model_uri=…)` is the application for Ray Serve. `start(…)` and `stop()` run and end it."""

    parts = providers.Factory(
        _replica_parts,
        settings=ModelsContainer.settings,
        connection=ModelsContainer.connection,
        registry=ModelsContainer.registry_settings,
    )
    application = providers.Factory(application, parts=parts)
    proxy_middleware = providers.Factory(_guard, settings=ModelsContainer.settings)
    cluster = providers.Factory(_cluster, settings=ModelsContainer.settings)
    start = providers.Callable(_start, settings=ModelsContainer.settings, cluster=cluster)
    stop = providers.Callable(serving_host.stop, cluster=cluster)
    address_of = providers.Callable(address_of)
    service = providers.Factory(HttpService)
