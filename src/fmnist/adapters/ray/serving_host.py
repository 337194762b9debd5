"""Runs a Ray Serve application for this process, and stops it without losing a request."""

import logging
import signal
from collections.abc import Callable
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.listening import listen
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

_APPLICATION = "fmnist"
# The proxy waits longer than the service, because the service's own timeout message says more.
_PROXY_MARGIN_SECONDS = 5.0
# A variable of Ray Serve, which its proxy reads when the cluster starts.
_PROXY_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


class RayHost:
    """The service on a Ray cluster.

    Args:
        application: makes the Serve application from the URIs of a model and its shadow.
        cluster: the cluster to join, or to start.
        request_seconds: time limit of a request. The proxy's own limit is a few seconds longer.
        proxy: import path of the function that returns the proxy's middleware.
    """

    def __init__(
        self,
        application: Callable[[str | None, str | None], Any],
        *,
        cluster: ClusterSettings,
        request_seconds: float,
        proxy: str,
    ) -> None:
        self._application = application
        self._cluster = cluster
        self._request_seconds = request_seconds
        self._proxy = proxy
        self._runs = False

    def start(self, model_uri: str | None, *, host: str, port: int, prefix: str, shadow_uri: str | None = None) -> None:
        """Join or start a cluster, listen, and return when the first replica is ready.

        Raises:
            InvalidSetting: the address cannot be listened on, or Ray Serve runs on the cluster already.
            StoreUnavailable: there is no cluster, or the application did not start.
        """
        if self._cluster.address is None:
            # Check at once that the address is free. Serve's proxy would report it after half a minute, in many lines.
            listen(host, port).close()
        set_defaults({_PROXY_CALLBACK: self._proxy})
        join_cluster(self._cluster)
        if serve.status().proxies:
            # Its address cannot change, and an application of this name may be another user's service.
            raise InvalidSetting(
                "Ray Serve runs on this cluster already, and its address cannot be changed: deploy with `serve "
                "deploy`, or unset RAY_ADDRESS to serve here"
            )
        level = "INFO" if self._cluster.verbose else "WARNING"
        logging.getLogger("ray.serve").setLevel(level)
        seconds = self._request_seconds + _PROXY_MARGIN_SECONDS
        serve.start(
            http_options=HTTPOptions(host=host, port=port, request_timeout_s=seconds),
            logging_config=LoggingConfig(log_level=level),
        )
        try:
            serve.run(self._application(model_uri, shadow_uri), name=_APPLICATION, route_prefix=prefix or "/")
        except RuntimeError as error:
            raise StoreUnavailable(f"Ray Serve did not start the service: {error}") from error
        self._runs = True

    def wait(self) -> None:
        """Wait for an interrupt."""
        signal.pause()  # pragma: no cover - runs in a child process

    def stop(self) -> None:
        """Stop the application after its requests are answered. Stop the cluster only if `start` started it.

        Do nothing if the application does not run: Ray stops a cluster of its own when the process ends.
        """
        if not self._runs:
            return
        serve.delete(_APPLICATION)
        if self._cluster.address is not None:
            # Only now, because it stops the proxy at once and closes its connections.
            serve.shutdown()
        ray.shutdown()
