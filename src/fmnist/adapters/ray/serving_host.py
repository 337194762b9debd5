"""Starts a Ray Serve application for this process, and stops it without losing a request."""

import logging
import socket
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

_APPLICATION = "fmnist"
# The proxy waits longer than the service, because the service's own timeout message says more.
_PROXY_MARGIN_SECONDS = 5.0
# A variable of Ray Serve, which its proxy reads when the cluster starts.
_PROXY_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


def start(
    application: Any,
    *,
    cluster: ClusterSettings,
    host: str,
    port: int,
    route_prefix: str,
    request_seconds: float,
    proxy: str,
) -> None:
    """Join or start a cluster, listen, and return when the first replica is ready.

    Args:
        request_seconds: time limit of a request. The proxy's own limit is a few seconds longer.
        proxy: import path of the function that returns the proxy's middleware.

    Raises:
        InvalidSetting: the address cannot be listened on, or Ray Serve runs on the cluster already.
        StoreUnavailable: there is no cluster, or the application did not start.
    """
    if cluster.address is None:
        _see_that_it_is_free(host, port)
    set_defaults({_PROXY_CALLBACK: proxy})
    join_cluster(cluster)
    if serve.status().proxies:
        # Its address cannot change, and an application of this name may be another user's service.
        raise InvalidSetting(
            "Ray Serve runs on this cluster already, and its address cannot be changed: deploy with `serve deploy`, or "
            "unset RAY_ADDRESS to start a cluster here"
        )
    logging.getLogger("ray.serve").setLevel(logging.INFO if cluster.verbose else logging.WARNING)
    serve.start(
        http_options=HTTPOptions(host=host, port=port, request_timeout_s=request_seconds + _PROXY_MARGIN_SECONDS),
        logging_config=LoggingConfig(log_level="INFO" if cluster.verbose else "WARNING"),
    )
    try:
        serve.run(application, name=_APPLICATION, route_prefix=route_prefix)
    except RuntimeError as error:
        raise StoreUnavailable(f"Ray Serve did not start the service: {error}") from error


def stop(cluster: ClusterSettings) -> None:
    """Stop the application after its requests are answered. Stop the cluster only if `start` started it."""
    serve.delete(_APPLICATION)
    if cluster.address is not None:
        # Only now, because it stops the proxy at once and closes its connections.
        serve.shutdown()
    ray.shutdown()


def _see_that_it_is_free(host: str, port: int) -> None:
    """Check at once that the address is free. Serve's proxy would report it after half a minute, in many lines."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidSetting(f"cannot listen on port {port} of {host}: {reason}; choose another port") from error
