"""Joins a Ray cluster, or starts a small one on this machine, and computes the CPUs of each worker."""

import atexit
import json
import logging
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.job_config import JobConfig

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.errors import FmnistError, InvalidSetting, StoreUnavailable
from fmnist.domain.model.text import words_of

RETRIES = 3  # for work that was lost with a worker or a node

_OBJECT_STORE_BYTES = 512 * 2**20  # the dataset takes 43 MB; larger data spill. Ray's default is 30 % of the machine

_PROBE_SECONDS = 10
_RAY_SCRATCH = "RAY_TMPDIR"  # a variable of Ray
_SOCKET = "/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_LONGEST_SOCKET = 107  # bytes, on Linux
_PACKAGE = Path(__file__).parents[2]
_JOB_SERVER = "a job server, for `ray job submit`"
# Ray Data and Ray Train need a process that is itself part of the cluster.
_OTHER_SERVERS = {"http": _JOB_SERVER, "https": _JOB_SERVER, "ray": "a server for Ray Client, which cannot train"}
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it in a process that `ray job submit` started

# Ray reads these when it starts. A variable that is already set wins.
_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # Ray's default delays every report by 2 s
    "RAY_worker_niceness": "0",  # Ray's default is 15, and on few cores its own processes then delay every step
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def join_cluster(settings: ClusterSettings) -> None:
    """Connect this process to Ray, unless it is connected already.

    Workers of an existing cluster get the code that runs here, and not their installed version.

    Raises:
        InvalidSetting: the address is that of a job server or of Ray Client.
        StoreUnavailable: no cluster answers at the address, or none starts here.
    """
    if ray.is_initialized():
        return
    scheme = (settings.address or "").partition("://")[0]
    if server := _OTHER_SERVERS.get(scheme):
        raise InvalidSetting(
            f"RAY_ADDRESS {settings.address} is {server}; to train on that cluster from here, set RAY_ADDRESS to the "
            "head node's HOST:6379"
        )
    set_defaults(_ENVIRONMENT)
    if not settings.metrics:
        # From a process's second cluster on, threads of the metrics exporter keep running after `ray.shutdown`.
        set_defaults({"RAY_enable_metrics_collection": "0"})
    options: dict[str, Any] = {"job_config": DriverPaths()}
    try:
        if settings.address:
            _probe(settings.address)
            options["runtime_env"] = _own_code()
        else:
            options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES, "_temp_dir": scratch()}
        with _signals_kept():
            ray.init(
                # "local", because without an address Ray would join a cluster of an earlier `ray start`.
                address=settings.address or "local",
                log_to_driver=settings.verbose or settings.forward_logs,
                logging_level=logging.INFO if settings.verbose else logging.ERROR,
                **options,
            )
    except Exception as error:  # Ray raises a plain Exception if its raylet does not start
        raise StoreUnavailable(_no_cluster(settings, error)) from error
    # Ray Data logs the error of a task with a long trace, before it raises it.
    for name, level in (("ray.data", logging.CRITICAL), ("ray.train", logging.ERROR)):
        logging.getLogger(name).setLevel(logging.INFO if settings.verbose else level)


@contextmanager
def cluster_in_use(settings: ClusterSettings) -> Iterator[None]:
    """Translate Ray's errors inside of the block.

    Raises:
        FmnistError: a task raised it.
        StoreUnavailable: the cluster, or a task or actor on it, was lost.
    """
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FmnistError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreUnavailable(
            f"the Ray cluster at {settings.address or 'this machine'} was lost: {reason}; check that it runs, and that "
            "its nodes have enough memory"
        ) from error


def free_cpus() -> list[float]:
    """Return the CPUs of each node that are certainly free, or all CPUs if fewer than one is.

    Ray tells how many CPUs are in use, but not on which node, so all of them are subtracted from every node.
    """
    nodes = node_cpus()
    used = sum(nodes) - float(ray.available_resources().get("CPU", 0))
    free = [max(0.0, cpus - used) for cpus in nodes]
    return free if sum(free) >= 1 else nodes


def cluster_gpus() -> float:
    """Return the GPUs of the cluster that this process has joined."""
    return float(ray.cluster_resources().get("GPU", 0))


def node_cpus() -> list[float]:
    """Return the CPUs of each live node of the cluster."""
    return [float(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def cpus_per_worker(nodes: Sequence[float], workers: int) -> float:
    """Return the most CPUs that each of `workers` can have. A worker must fit on one node.

    Whole CPUs if there are enough; an equal share if there are more workers than CPUs. One CPU if the cluster has none
    yet, because an autoscaler adds nodes.
    """
    if sum(nodes) < 1:
        return 1.0
    for cpus in range(math.floor(max(nodes)), 0, -1):
        if sum(math.floor(node / cpus) for node in nodes) >= workers:
            return float(cpus)
    return math.floor(sum(nodes) / workers * 1000) / 1000


class DriverPaths(JobConfig):  # type: ignore[misc]  # ray is not typed here
    """Lets workers import only from directories that this process imports from.

    Ray puts the working directory first on a worker's path. A user's file `mlflow.py` there would replace MLflow.
    """

    _py_driver_sys_path: list[str]

    def _serialize(self) -> str:  # after Ray has collected its directories, and before it sends them
        ours = {Path(entry).absolute() for entry in sys.path}
        self._py_driver_sys_path = [path for path in self._py_driver_sys_path if Path(path) in ours]
        serialized: str = super()._serialize()
        return serialized


def _own_code() -> dict[str, Any]:
    """Return the part of Ray's runtime environment that uploads this package, unless the job has its own."""
    brought = json.loads(os.environ.get(_JOB, "{}")).get("runtime_env") or {}  # noqa: TID251 - Ray wrote it
    return {} if "py_modules" in brought else {"py_modules": [str(_PACKAGE)]}


def _no_cluster(settings: ClusterSettings, error: Exception) -> str:
    """Return the message for a cluster that cannot be joined or started, with advice."""
    reason = words_of(error)
    if settings.address:
        return f"no Ray cluster at {settings.address}: {reason}; check RAY_ADDRESS, or unset it to start a cluster here"
    place = os.environ.get(_RAY_SCRATCH) or tempfile.gettempdir()  # noqa: TID251 - Ray reads it
    if "AF_UNIX" in reason:
        most = _LONGEST_SOCKET - len(f"/ray{_SOCKET}")
        advice = f"the path {place} is too long for sockets: set {_RAY_SCRATCH} to a path of at most {most} bytes"
    elif isinstance(error, OSError):
        advice = f"check that {place} has free space and is writable, or set {_RAY_SCRATCH} to another short path"
    else:
        advice = f"check the free memory, and the free space in {place}; Ray's logs are in {place}/ray/session_latest"
    return f"Ray does not start on this machine: {reason}; {advice}"


def scratch() -> str | None:
    """Return the folder for sockets and logs of a cluster that we start, or None if the user has set RAY_TMPDIR.

    It must be short, because the operating system limits the length of a socket's path.
    """
    if _RAY_SCRATCH in os.environ:  # noqa: TID251 - Ray reads it
        return None
    usual = f"{tempfile.gettempdir()}/ray"
    if len(os.fsencode(usual + _SOCKET)) <= _LONGEST_SOCKET:
        return usual
    private = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    atexit.register(_remove, private)
    return f"{private}/ray"


def _remove(scratch: str) -> None:
    ray.shutdown()
    shutil.rmtree(scratch, ignore_errors=True)


def _probe(address: str) -> None:
    """Check within seconds that something listens. Ray itself tries for minutes, and then ends the process."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep this process's signal handlers, and start Ray's processes so that signals to our group do not reach them.

    Otherwise a signal ends Ray's processes first, and this process waits for them for a minute. So each gets its own
    process group, and inherits a blocked SIGHUP. Ray itself blocks SIGINT. SIGTERM must stay unblocked, because Ray
    stops its processes with it.
    """
    services = ray._private.services  # noqa: SLF001 - there is no public way
    start, before = services.ConsolePopen, signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    services.ConsolePopen = partial(subprocess.Popen, process_group=0)
    try:
        with _sigterm_kept():
            yield
    finally:
        services.ConsolePopen = start
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep the process's own SIGTERM handler. Ray replaces it permanently with one that exits with code 15."""
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    except SystemExit as error:
        if error.code == signal.SIGTERM:
            handler(signal.SIGTERM, None)
        raise
    finally:
        signal.signal(signal.SIGTERM, handler)
