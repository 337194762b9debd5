"""Runs a Serve application in this process's name, and takes it down without losing a request."""

import logging
import os
import socket
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from fmnist.adapters.ray.cluster import ClusterSettings, join_cluster
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

_APPLICATION = "fmnist"
# Ray Serve's own, read by its proxy when the cluster starts.
_PROXY_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


def start(
    application: Any, *, cluster: ClusterSettings, host: str, port: int, route_prefix: str, timeout: float, proxy: str
) -> None:
    """Join or start a cluster, listen, and return when the first replica is ready.

    `proxy` is the import path of what returns the proxy's middleware.

    Raises:
        InvalidSetting: nobody can listen there.
        StoreUnavailable: no cluster, or the application did not start.
    """
    if cluster.address is None:
        _see_that_it_is_free(host, port)
    os.environ.setdefault(_PROXY_CALLBACK, proxy)
    join_cluster(cluster)
    logging.getLogger("ray.serve").setLevel(logging.INFO if cluster.verbose else logging.WARNING)
    serve.start(
        http_options=HTTPOptions(host=host, port=port, request_timeout_s=timeout),
        logging_config=LoggingConfig(log_level="INFO" if cluster.verbose else "WARNING"),
    )
    try:
        serve.run(application, name=_APPLICATION, route_prefix=route_prefix)
    except RuntimeError as error:
        raise StoreUnavailable(f"Ray Serve did not start the service: {error}") from error


def stop() -> None:
    """Take the application down when its requests are answered, and leave the cluster, which ends if it is our own."""
    # Not `serve.shutdown`: it ends the proxy at once, connections and all, and whatever else is served there.
    serve.delete(_APPLICATION)
    ray.shutdown()


def _see_that_it_is_free(host: str, port: int) -> None:
    """Find out in a moment what Serve's proxy would say after half a minute, in pages."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InvalidSetting(f"cannot listen on port {port} of {host}: {error.strerror}; choose another") from error
