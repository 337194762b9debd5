"""The serve app, in one process. `serve_ray` has the parts for Ray Serve."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from dependency_injector import providers

from fmnist import __version__
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.replica import Replica, ReplicaSettings
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.fastapi.tracing import Tracer
from fmnist.adapters.fsspec.feedback import ObjectFeedback
from fmnist.adapters.http.address import address_of
from fmnist.adapters.http.service import HttpService
from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.adapters.memory.tallies import MemoryTallies
from fmnist.adapters.memory.traffic_windows import MemoryTrafficWindows
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.prometheus.meter import PrometheusMeter
from fmnist.adapters.uvicorn.host import LocalHost
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.settings import Settings
from fmnist.domain.model.traffic.agreement import Agreement
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ModelSources, NormalizationCheck
from fmnist.domain.services.serving.reload import ModelServing
from fmnist.domain.services.serving.shadow import Shadow, ShadowObserver
from fmnist.domain.services.serving.traffic import Traffic
from fmnist.ports.serving_memory import ServingMemory
from fmnist.ports.tallies import Tallies

# More threads slow single images down. ADR 21 has the figures.
LOCAL_THREADS = 1
# A shadow takes one core at most.
SHADOW_THREADS = 1


def model_sources(
    memory: ServingMemory,
    threads: int,
    *,
    connection: MlflowConnection,
    registry: RegistrySettings,
    model_name: str,
    normalization: NormalizationCheck,
    patience: float,
) -> ModelSources:
    """Return where a replica gets its models from. They run on `threads` threads."""
    return ModelSources(
        store=MlflowModelStore(connection, threads),
        registry=DvcDataRegistry(registry),
        memory=memory,
        model_name=model_name,
        normalization=normalization,
        patience=patience,
    )


def sources_of(
    settings: Settings, connection: MlflowConnection, registry: RegistrySettings
) -> Callable[[ServingMemory, int], ModelSources]:
    """Return `model_sources` with all but its first two arguments. It is picklable, with the secrets of `registry`."""
    return partial(
        model_sources,
        connection=connection,
        registry=registry,
        model_name=settings.mlflow_registered_model_name,
        normalization=settings.normalization_check,
        patience=settings.model_load_timeout_seconds,
    )


def http_settings(settings: Settings) -> HttpSettings:
    """Return the limits of the HTTP service, without the API keys."""
    tracker = str(settings.tracking_uri)
    return HttpSettings(
        version=__version__,
        max_images=settings.request_max_length,
        max_bytes=settings.request_max_bytes,
        # The largest allowed request must fit.
        max_buffered_bytes=max(settings.request_buffer_bytes, settings.request_max_bytes),
        request_timeout_seconds=settings.request_timeout_seconds,
        has_drift=settings.drift_window_minutes > 0,
        has_feedback=settings.feedback_place is not None,
        has_ui=settings.fmnist_ui,
        tracker_url=tracker if tracker.startswith(("http://", "https://")) else None,
    )


def replica_settings(settings: Settings) -> ReplicaSettings:
    """Return the settings of a replica."""
    return ReplicaSettings(
        max_batch=settings.request_max_length,
        max_waiting=settings.request_queue_images,
        max_seconds=settings.request_timeout_seconds / 3,
        poll_seconds=settings.model_poll_seconds,
    )


def tracer_of(settings: Settings) -> Tracer | None:
    """Return what exports traces, or None if the settings name no collector. Then nothing of it is imported."""
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    from fmnist.adapters.opentelemetry.tracer import OtlpTracer

    return OtlpTracer(__version__)


def shadow_of(
    sources: ModelSources,
    agreements: Tallies[Agreement],
    is_idle: Callable[[], bool],
    observe: ShadowObserver,
    uri: str,
) -> Shadow:
    """Make the shadow of one deploy, with sources of its own."""
    return Shadow(ModelServing(sources, role="shadow"), agreements, is_idle, observe, uri)


def _local_host(settings: Settings, connection: MlflowConnection, registry: RegistrySettings) -> LocalHost:
    meter = PrometheusMeter()
    sources = sources_of(settings, connection, registry)
    serving = partial(ModelServing, sources(MemoryServingMemory(), LOCAL_THREADS))
    shadow = partial(shadow_of, sources(MemoryServingMemory(), SHADOW_THREADS), MemoryTallies(Agreement))
    minutes = settings.drift_window_minutes
    traffic = Traffic(MemoryTrafficWindows(minutes)) if minutes else None
    place = settings.feedback_place
    given = GivenAnswers(ObjectFeedback(place, s3_settings(settings))) if place else None
    replica = Replica(serving, meter, replica_settings(settings), traffic, given, shadow)
    http = replace(http_settings(settings), api_keys=settings.api_keys)
    app = create_app(replica, http, meter, tracer_of(settings))
    return LocalHost(replica, app, request_seconds=settings.request_timeout_seconds)


class ServeContainer(ModelsContainer):
    """`host()` runs the service. Each host has `start(model_uri, host=…, port=…, prefix=…)`, `wait()` and `stop()`."""

    host: providers.Provider[Any] = providers.Factory(
        _local_host,
        settings=ModelsContainer.settings,
        connection=ModelsContainer.connection,
        registry=ModelsContainer.registry_settings,
    )
    address_of = providers.Callable(address_of)
    client = providers.Factory(HttpService)
