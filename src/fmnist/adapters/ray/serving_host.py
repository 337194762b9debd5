"""Runs a Serve application in this process's name, and takes it down without losing a request."""

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
# The service's own answer to what takes too long says more than the proxy's.
_PROXY_MARGIN_SECONDS = 5.0
# Ray Serve's own, read by its proxy when the cluster starts.
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
        request_seconds: that a request may take; the proxy gives up some seconds later than the service itself does.
        proxy: the import path of what returns the proxy's middleware.

    Raises:
        InvalidSetting: nobody can listen there, or the cluster serves something already.
        StoreUnavailable: no cluster, or the application did not start.
    """
    if cluster.address is None:
        _see_that_it_is_free(host, port)
    set_defaults({_PROXY_CALLBACK: proxy})
    join_cluster(cluster)
    if serve.status().proxies:
        # Its address is settled, and an application of this name may be somebody's service.
        raise InvalidSetting(
            "Ray Serve runs on this cluster already, at an address of its own: deploy there with `serve deploy`, or "
            "unset RAY_ADDRESS"
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
    """Take down what `start` started when its requests are answered; the cluster ends only if it is our own."""
    serve.delete(_APPLICATION)
    if cluster.address is not None:
        # Not before: it ends the proxy at once, connections and all.
        serve.shutdown()
    ray.shutdown()


def _see_that_it_is_free(host: str, port: int) -> None:
    """Find out in a moment what Serve's proxy would say after half a minute, in pages."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidSetting(f"cannot listen on port {port} of {host}: {reason}; choose another") from error
