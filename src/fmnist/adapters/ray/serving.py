"""The Ray Serve deployment `FashionMNISTClassifier`, whose replicas answer as the service in one process does."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.schema import LoggingConfig

from fmnist.adapters.fastapi.replica import Replica, ReplicaSettings, ShadowMaker
from fmnist.adapters.ray.serving_metrics import RayMeter
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.services.serving.challenger import Challenger
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver
from fmnist.domain.services.serving.traffic import Traffic

DEPLOYMENT = "FashionMNISTClassifier"

# Before it stops, a replica answers accepted requests: this margin, on top of a request's time limit, sends the answer.
_DRAIN_MARGIN_SECONDS = 10.0
# Requests in a replica beside the predictions that wait, such as health checks.
_OTHER_REQUESTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaParts:
    """The parts from which a replica builds itself on its node. Picklable, and without connections.

    Attributes:
        serving: makes the domain's service from the application's name, the number of ONNX Runtime's threads, and an
            observer of reloads.
        traffic: makes the traffic of a replica from the application's name; it may be None.
        given: makes the noted answers of a replica from the application's name; it may be None.
        shadow: returns the maker of shadows from the application's name.
        challenger: makes the challenger of a replica from the application's name and the number of threads.
        http: makes the ASGI application of a replica.
        replica: settings of the replica.
        request_seconds: time limit of a request.
        log_level: level of fmnist's own log.
    """

    serving: Callable[[str, int, ReloadObserver], ModelServing]
    traffic: Callable[[str], Traffic | None]
    given: Callable[[str], GivenAnswers | None]
    shadow: Callable[[str], ShadowMaker]
    challenger: Callable[[str, int], Challenger]
    http: Callable[[Replica], Any]
    replica: ReplicaSettings
    request_seconds: float
    log_level: str


class RayReplica:  # pragma: no cover - runs in a Ray worker
    """One replica, as a deployment class of Ray Serve."""

    def __init__(self, parts: ReplicaParts, model_uri: str | None) -> None:
        _log_as_serve_does(parts.log_level)
        self._http = parts.http
        self._default_uri = model_uri
        name, threads = serve.get_replica_context().app_name, _threads()
        self._replica = Replica(
            lambda observe: parts.serving(name, threads, observe),
            RayMeter(),
            parts.replica,
            parts.traffic(name),
            parts.given(name),
            parts.shadow(name),
            parts.challenger(name, threads),
        )
        self._replica.keep_up()

    def __serve_build_asgi_app__(self) -> Any:
        return self._http(self._replica)

    async def reconfigure(self, user_config: Mapping[str, Any] | None, rank: Any) -> None:
        """Load and serve the model that the configuration names. `rank` makes Serve call this without a configuration.

        Serve sends no request to a replica while this runs. So a replica with a model loads the next one in the
        background. One without a model waits here until the first load has succeeded or failed. It never raises,
        because Serve would then start another replica, which fails in the same way.
        """
        del rank
        # Begun here, because threads might begin two deploys in another order than that of the commands.
        load = self._replica.expect(self._desired(user_config), _shadow(user_config), _canary(user_config))
        self._reload = asyncio.get_running_loop().create_task(asyncio.to_thread(load))
        if self._replica.status().served is None:
            await self._reload

    def _desired(self, user_config: Mapping[str, Any] | None) -> str | None:
        config = user_config or {}
        if unknown := set(config) - {"model_uri", "shadow", "canary"}:
            # Returned as an invalid URI, so that it is refused and reported like one.
            return f"user_config.{min(unknown)}"
        uri = config.get("model_uri") or self._default_uri
        return None if uri is None else str(uri)


def application(parts: ReplicaParts, model_uri: str | None, shadow_uri: str | None = None) -> Any:
    """Return the Serve application, with default options that a Serve config file may override.

    `model_uri` is the model to serve if `user_config` names none; None is the newest version.
    """
    shadow = {} if shadow_uri is None else {"shadow": {"model_uri": shadow_uri}}
    ingress = serve.ingress()(RayReplica)
    deployment = serve.deployment(
        ingress,
        name=DEPLOYMENT,
        user_config={"model_uri": model_uri, **shadow},
        # Fractions, so that three replicas fit on a laptop's two cores.
        ray_actor_options={"num_cpus": 0.5},
        autoscaling_config=AutoscalingConfig(min_replicas=1, max_replicas=3, target_ongoing_requests=2),
        # The replica itself refuses predictions. In Serve's queue, health checks would wait behind them.
        max_ongoing_requests=parts.replica.max_waiting + 2 * parts.replica.max_batch + _OTHER_REQUESTS,
        # For a Serve config that limits Serve's own queue.
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        graceful_shutdown_timeout_s=parts.request_seconds + _DRAIN_MARGIN_SECONDS,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=5,
        # Its access log takes a fifth of the time of a small request. The metrics count the requests.
        logging_config=LoggingConfig(log_level=parts.log_level, enable_access_log=False),
    )
    return deployment.bind(parts, model_uri)


def _shadow(user_config: Mapping[str, Any] | None) -> str | None:  # pragma: no cover - runs in a Ray worker
    config = (user_config or {}).get("shadow")
    if config is None:
        return None
    if not isinstance(config, Mapping) or set(config) != {"model_uri"}:
        # An invalid URI, so that it is refused and reported like one.
        return "user_config.shadow"
    return str(config["model_uri"])


def _canary(user_config: Mapping[str, Any] | None) -> Canary | None:  # pragma: no cover - runs in a Ray worker
    """Return the canary of the configuration. Without a valid one, the champion answers everything."""
    config = (user_config or {}).get("canary")
    try:
        return None if config is None else Canary.parse(config)
    except InvalidSetting as error:
        logging.getLogger(__name__).warning("no canary, because user_config is wrong: %s", error)
        return None


def _threads() -> int:  # pragma: no cover - runs in a Ray worker
    """Return the number of threads for ONNX Runtime: the replica's CPUs, and at least one."""
    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))


def _log_as_serve_does(level: str) -> None:  # pragma: no cover - runs in a Ray worker
    """Send fmnist's log to Serve's handlers, so that both have one place and format."""
    ours, theirs = logging.getLogger("fmnist"), logging.getLogger("ray.serve")
    ours.handlers = theirs.handlers
    ours.setLevel(level)
    ours.propagate = False
