"""The serve app on Ray Serve. A replica receives a picklable factory with plain settings, and no container or client.

It receives no secret either, because Ray Serve keeps its arguments in the cluster's memory. A replica reads secrets
from its own environment.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from dependency_injector import providers

from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.proxy import proxy_middleware
from fmnist.adapters.fastapi.replica import ShadowMaker
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray.feedback import RayFeedback
from fmnist.adapters.ray.serving import ReplicaParts, application
from fmnist.adapters.ray.serving_host import RayHost
from fmnist.adapters.ray.serving_memory import RayServingMemory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.tallies import RayTallies
from fmnist.adapters.ray.traffic_windows import RayTrafficWindows
from fmnist.apps.containers.serve import (
    SHADOW_THREADS,
    ServeContainer,
    http_settings,
    replica_settings,
    shadow_of,
    sources_of,
    tracer_of,
)
from fmnist.apps.settings import Settings
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.traffic.agreement import Agreement
from fmnist.domain.model.traffic.trial import TrialCounts
from fmnist.domain.services.serving.challenger import Challenger
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ModelSources
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver
from fmnist.domain.services.serving.traffic import Traffic
from fmnist.ports.serving_memory import ServingMemory


def model_serving(
    name: str,
    threads: int,
    observe: ReloadObserver,
    *,
    sources: Callable[[ServingMemory, int], ModelSources],
    deploy: str,
) -> ModelServing:
    """Make the serving service for a replica of the application `name`. Called in the replica's process."""
    return ModelServing(sources(RayServingMemory(name, deploy), threads), observe)


def traffic(name: str, *, minutes: int) -> Traffic | None:
    """Make the traffic of a replica of the application `name`. Called in the replica's process."""
    return Traffic(RayTrafficWindows(name, minutes)) if minutes else None


def given(name: str, *, place: str | None, s3: S3Settings) -> GivenAnswers | None:
    """Make the noted answers of a replica of the application `name`. Called in the replica's process."""
    return GivenAnswers(RayFeedback(name, place, s3)) if place else None


def shadow(name: str, *, sources: Callable[[ServingMemory, int], ModelSources], deploy: str) -> ShadowMaker:
    """Return the maker of shadows for a replica of the application `name`. Called in the replica's process."""
    memory = RayServingMemory(f"{name}:shadow", deploy)
    return partial(shadow_of, sources(memory, SHADOW_THREADS), RayTallies(name, Agreement))


def challenger(
    name: str, threads: int, *, sources: Callable[[ServingMemory, int], ModelSources], deploy: str
) -> Challenger:
    """Make the challenger of a replica of the application `name`. Called in the replica's process."""
    own = sources(RayServingMemory(f"{name}:canary", deploy), threads)
    return Challenger(partial(ModelServing, own, role="challenger"), RayTallies(name, TrialCounts))


def without_secrets(registry: RegistrySettings) -> RegistrySettings:
    """Remove the S3 keys. The reader of the registry takes them from its own environment."""
    return replace(registry, s3=replace(registry.s3, access_key_id=None, secret_access_key=None))


def _replica_parts(settings: Settings, connection: MlflowConnection, registry: RegistrySettings) -> ReplicaParts:
    """Return the parts from which a replica is made in its own process."""
    sources = sources_of(settings, connection, without_secrets(registry))
    # New for each deployment, so that each deployment resolves an alias anew.
    deploy = uuid.uuid4().hex
    return ReplicaParts(
        serving=partial(model_serving, sources=sources, deploy=deploy),
        shadow=partial(shadow, sources=sources, deploy=deploy),
        challenger=partial(challenger, sources=sources, deploy=deploy),
        traffic=partial(traffic, minutes=settings.drift_window_minutes),
        given=partial(given, place=settings.feedback_place, s3=without_secrets(registry).s3),
        http=partial(http_application, settings=http_settings(settings), has_keys=bool(settings.api_keys)),
        replica=replica_settings(settings),
        request_seconds=settings.request_timeout_seconds,
        log_level=settings.log_level,
    )


def http_application(serving: Serving, *, settings: HttpSettings, has_keys: bool) -> Any:
    """Make the ASGI application of a replica. API keys and the collector of traces are those of its environment.

    Called in the replica's process.

    Raises:
        InvalidSetting: there are keys where the service is deployed from, but not here.
    """
    here = Settings.load()
    keys = here.api_keys
    if has_keys and not keys:
        raise InvalidSetting(
            "FMNIST_API_KEYS is set where the service is deployed from, but not on the node that runs it: set it "
            "there too, because keys are not sent to nodes"
        )
    return create_app(serving, replace(settings, api_keys=keys), tracer=tracer_of(here))


def _guard(settings: Settings) -> list[Any]:
    """Return the middleware of a proxy. Called in the proxy's process, whose environment has the keys."""
    return proxy_middleware(replace(http_settings(settings), api_keys=settings.api_keys))


def _cluster(settings: Settings) -> ClusterSettings:
    return ClusterSettings(address=settings.ray_address, verbose=settings.verbose, forward_logs=True, metrics=True)


def _ray_host(settings: Settings, cluster: ClusterSettings, parts: ReplicaParts) -> RayHost:
    return RayHost(
        partial(application, parts),
        cluster=cluster,
        request_seconds=settings.request_timeout_seconds,
        proxy="fmnist.apps.serve:proxy_middleware",
    )


class RayServeContainer(ServeContainer):
    """`application(model_uri=…)` is the application for Ray Serve."""

    parts = providers.Factory(
        _replica_parts,
        settings=ServeContainer.settings,
        connection=ServeContainer.connection,
        registry=ServeContainer.registry_settings,
    )
    application = providers.Factory(application, parts=parts)
    proxy_middleware = providers.Factory(_guard, settings=ServeContainer.settings)
    cluster = providers.Factory(_cluster, settings=ServeContainer.settings)
    host = providers.Factory(_ray_host, settings=ServeContainer.settings, cluster=cluster, parts=parts)
