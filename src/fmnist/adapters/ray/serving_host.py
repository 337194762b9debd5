"""Runs a Serve application in this process's name, and takes it down without losing a request."""

import logging
import os
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from fmnist.adapters.ray.cluster import ClusterSettings, join_cluster

_APPLICATION = "fmnist"
# Ray Serve's own, read by its proxy when the cluster starts.
_PROXY_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


def start(
    application: Any, *, cluster: ClusterSettings, host: str, port: int, route_prefix: str, timeout: float, proxy: str
) -> None:
    """Join or start a cluster, listen, and return when the first replica is ready.

    `proxy` is the import path of what returns the proxy's middleware.

    Raises:
        StoreUnavailable: no cluster, or the application did not start.
    """
    os.environ.setdefault(_PROXY_CALLBACK, proxy)
    join_cluster(cluster)
    logging.getLogger("ray.serve").setLevel(logging.INFO if cluster.verbose else logging.WARNING)
    serve.start(
        http_options=HTTPOptions(host=host, port=port, request_timeout_s=timeout),
        logging_config=LoggingConfig(log_level="INFO" if cluster.verbose else "WARNING"),
    )
    serve.run(application, name=_APPLICATION, route_prefix=route_prefix)


def stop() -> None:
    """Take the application down when its requests are answered, and leave the cluster, which ends if it is our own."""
    # Not `serve.shutdown`: it ends the proxy at once, connections and all, and whatever else is served there.
    serve.delete(_APPLICATION)
    ray.shutdown()
