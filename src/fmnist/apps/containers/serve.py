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


class ServeContainer(ModelsContainer):
    """`application(model_uri=…)` is what Ray Serve runs; `start(…)` and `stop()` run it in this process's name."""

    http_settings = providers.Factory(http_settings, ModelsContainer.settings)
    parts = providers.Factory(
        ReplicaParts,
        serving=providers.Factory(
            partial,
            model_serving,
            ModelsContainer.connection,
            providers.Factory(without_secrets, ModelsContainer.registry_settings),
            ModelsContainer.settings.provided.mlflow_registered_model_name,
            ModelsContainer.settings.provided.normalization_check,
            ModelsContainer.settings.provided.model_load_timeout_seconds,
            # New for each deployment: an alias is looked up once in it, whatever it stood for in the last.
            providers.Callable(lambda: uuid.uuid4().hex),
        ),
        http=providers.Factory(
            partial,
            http_application,
            settings=http_settings,
            has_keys=providers.Factory(bool, ModelsContainer.settings.provided.api_keys),
        ),
        max_images=ModelsContainer.settings.provided.request_max_length,
        request_seconds=ModelsContainer.settings.provided.request_timeout_seconds,
        poll_seconds=ModelsContainer.settings.provided.model_poll_seconds,
        log_level=ModelsContainer.settings.provided.log_level,
    )
    # Called in the process of a proxy, whose own environment has the keys.
    proxy_middleware = providers.Factory(
        proxy_middleware, providers.Factory(replace, http_settings, api_keys=ModelsContainer.settings.provided.api_keys)
    )
    cluster = providers.Factory(
        ClusterSettings,
        address=ModelsContainer.settings.provided.ray_address,
        verbose=ModelsContainer.settings.provided.verbose,
        forward_logs=True,
        metrics=True,
    )
    application = providers.Factory(application, parts)
    start = providers.Callable(
        serving_host.start,
        cluster=cluster,
        request_seconds=ModelsContainer.settings.provided.request_timeout_seconds,
        proxy="fmnist.apps.serve:proxy_middleware",
    )
    stop = providers.Callable(serving_host.stop, cluster=cluster)
    address_of = providers.Callable(address_of)
    service = providers.Factory(HttpService)
