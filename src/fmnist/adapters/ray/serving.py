"""The Ray Serve deployment `FashionMNISTClassifier`: it batches requests and keeps its replica's model up to date.

A bad configuration or a store that is down must never stop a replica: Serve would start another one that fails in the
same way. The status holds the error, and the current model keeps serving.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.schema import LoggingConfig

from fmnist.adapters.ray.serving_metrics import ServingMetrics
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ModelServing, ReloadObserver, ServingStatus

DEPLOYMENT = "FashionMNISTClassifier"

_RETRY_SECONDS = 15.0
# Before it stops, a replica answers accepted requests: this margin, on top of a request's time limit, sends the answer.
_DRAIN_MARGIN_SECONDS = 10.0
# Without a wait, Serve makes a batch of every single request, even if more are queued.
_BATCH_WAIT_SECONDS = 0.002

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaParts:
    """The parts from which a replica builds itself on its node. Picklable, and without connections.

    Attributes:
        serving: makes the domain's service from the application's name, the number of ONNX Runtime's threads, and an
            observer of reloads.
        http: makes the ASGI application of a replica.
        max_images: most images in one batch, and so in one request.
        request_seconds: time limit of a request.
        poll_seconds: seconds between two checks whether an alias has moved; None is never.
        log_level: level of fmnist's own log.
    """

    serving: Callable[[str, int, ReloadObserver], ModelServing]
    http: Callable[["Replica"], Any]
    max_images: int
    request_seconds: float
    poll_seconds: float | None
    log_level: str


class Replica:  # pragma: no cover - runs in a Ray worker
    """One replica: the service for `create_app`, as a deployment class of Ray Serve."""

    def __init__(self, parts: ReplicaParts, model_uri: str | None) -> None:
        _log_as_serve_does(parts.log_level)
        self._parts = parts
        self._default_uri = model_uri
        self._metrics = ServingMetrics()
        self._serving = parts.serving(serve.get_replica_context().app_name, _threads(), self._metrics.reload)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._answer = serve.batch(
            self._answer_batch,
            max_batch_size=parts.max_images,
            batch_wait_timeout_s=_BATCH_WAIT_SECONDS,
            batch_size_fn=lambda requests: sum(map(len, requests)),
        )
        self._reload: asyncio.Task[None] | None = None
        self._watch = asyncio.get_running_loop().create_task(self._keep_up())

    def __serve_build_asgi_app__(self) -> Any:
        return self._parts.http(self)

    async def reconfigure(self, user_config: Mapping[str, Any] | None, rank: Any) -> None:
        """Load and serve the model that the configuration names. `rank` makes Serve call this without a configuration.

        Serve sends no request to a replica while this runs. So a replica with a model loads the next one in the
        background. One without a model waits here until the first load has succeeded or failed.
        """
        del rank
        self._reload = asyncio.get_running_loop().create_task(
            asyncio.to_thread(self._serving.deploy, self._desired(user_config))
        )
        if self._serving.current is None:
            await self._reload

    def status(self) -> ServingStatus:
        return self._serving.status

    async def answer(self, images: Images) -> tuple[ServedModel, Probabilities]:
        answered: tuple[ServedModel, Probabilities] = await self._answer(images)
        return answered

    async def _answer_batch(self, requests: list[Images]) -> list[tuple[ServedModel, Probabilities]]:
        model = self._serving.current
        if model is None:
            raise StoreUnavailable("no model serves yet")
        started = time.perf_counter()
        images = requests[0] if len(requests) == 1 else np.concatenate(requests)
        probabilities = await asyncio.get_running_loop().run_in_executor(
            self._executor, model.prediction.probabilities, images
        )
        self._metrics.batch(model, len(requests), probabilities, 1000 * (time.perf_counter() - started))
        ends = np.cumsum([len(request) for request in requests])
        return [(model, rows) for rows in np.split(probabilities, ends[:-1])]

    async def _keep_up(self) -> None:
        """Poll the alias, and repeat a load that failed for a temporary reason."""
        poll_seconds = self._parts.poll_seconds
        pause = poll_seconds or _RETRY_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                await asyncio.to_thread(self._serving.poll, poll_seconds)
            except Exception:
                logger.exception("checking for a newer model failed; the next check is in %s s", pause)

    def _desired(self, user_config: Mapping[str, Any] | None) -> str | None:
        config = user_config or {}
        if unknown := set(config) - {"model_uri"}:
            # Returned as an invalid URI, so that it is refused and reported like one.
            return f"user_config.{min(unknown)}"
        uri = config.get("model_uri") or self._default_uri
        return None if uri is None else str(uri)


def application(parts: ReplicaParts, model_uri: str | None) -> Any:
    """Return the Serve application, with default options that a Serve config file may override.

    `model_uri` is the model to serve if `user_config` names none; None is the newest version.
    """
    ingress = serve.ingress()(Replica)
    deployment = serve.deployment(
        ingress,
        name=DEPLOYMENT,
        user_config={"model_uri": model_uri},
        # Fractions, so that three replicas fit on a laptop's two cores.
        ray_actor_options={"num_cpus": 0.5},
        autoscaling_config=AutoscalingConfig(min_replicas=1, max_replicas=3, target_ongoing_requests=2),
        max_ongoing_requests=32,
        max_queued_requests=64,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        graceful_shutdown_timeout_s=parts.request_seconds + _DRAIN_MARGIN_SECONDS,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=5,
        logging_config=LoggingConfig(log_level=parts.log_level),
    )
    return deployment.bind(parts, model_uri)


def _threads() -> int:  # pragma: no cover - runs in a Ray worker
    """Return the number of threads for ONNX Runtime: the replica's CPUs, and at least one."""
    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))


def _log_as_serve_does(level: str) -> None:  # pragma: no cover - runs in a Ray worker
    """Send fmnist's log to Serve's handlers, so that both have one place and format."""
    ours, theirs = logging.getLogger("fmnist"), logging.getLogger("ray.serve")
    ours.handlers = theirs.handlers
    ours.setLevel(level)
    ours.propagate = False
    # Serve's warning about `max_batch_size` compares images with requests, so it does not apply here.
    theirs.addFilter(lambda record: not record.getMessage().startswith("`max_batch_size`"))
