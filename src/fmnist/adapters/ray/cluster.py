"""Joins a Ray cluster, or starts a small quiet one on this machine, and says what a worker may take of it."""

import atexit
import json
import logging
import math
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ray

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.ray.job import DriverPaths
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.errors import FmnistError, InvalidSetting, StoreUnavailable
from fmnist.domain.model.text import words_of

RETRIES = 3  # of work that was lost with a worker or a node

_OBJECT_STORE_BYTES = 512 * 2**20  # the dataset takes 43 MB; Ray's default is 30 % of the machine

_PROBE_SECONDS = 10
_RAY_SCRATCH = "RAY_TMPDIR"  # Ray's own
_SOCKET = "/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_LONGEST_SOCKET = 107  # bytes, on Linux
_PACKAGE = Path(__file__).parents[2]
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray's, set where `ray job submit` runs something

# Ray reads these when it starts. Whatever the caller has set stays.
_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # the default of 2 s holds up every report by as much
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def join_cluster(settings: ClusterSettings) -> None:
    """Connect this process to Ray, once; a connection that is there already is used.

    Workers of a cluster that is there already get the code that runs here, whatever they have installed.

    Raises:
        InvalidSetting: the address is that of a job server.
        StoreUnavailable: no cluster answers at the address.
    """
    if ray.is_initialized():
        return
    if (settings.address or "").startswith(("http://", "https://")):
        raise InvalidSetting(
            f"RAY_ADDRESS {settings.address} is where `ray job submit` sends jobs; to train on that cluster from here, "
            "name the head node's HOST:6379"
        )
    set_defaults(_ENVIRONMENT)
    if not settings.metrics:
        # Their exporter outlives each cluster but the first in a process: its threads go on after `ray.shutdown`.
        set_defaults({"RAY_enable_metrics_collection": "0"})
    options: dict[str, Any] = {}
    try:
        if settings.address:
            _probe(settings.address)
            options["runtime_env"] = _own_code()
        else:
            options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES, "_temp_dir": scratch()}
        if "://" not in (settings.address or ""):  # there, the cluster's own Python is the driver
            options["job_config"] = DriverPaths()
        with _signals_kept():
            ray.init(
                # Without an address Ray looks for one that an earlier `ray start` left behind.
                address=settings.address or "local",
                log_to_driver=settings.verbose or settings.forward_logs,
                logging_level=logging.INFO if settings.verbose else logging.ERROR,
                **options,
            )
    except Exception as error:  # Ray raises a plain one where its raylet does not start
        raise StoreUnavailable(_no_cluster(settings, error)) from error
    for name in ("ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.INFO if settings.verbose else logging.ERROR)


@contextmanager
def cluster_in_use(settings: ClusterSettings) -> Iterator[None]:
    """Translate Ray's errors inside of the block.

    Raises:
        FmnistError: what a task raised.
        StoreUnavailable: the cluster, or what was to work on it, is gone.
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
            f"the Ray cluster at {settings.address or 'this machine'} was lost: {reason}; see that it runs, and that "
            "its nodes have the memory that is needed"
        ) from error


def free_cpus() -> list[float]:
    """Return the CPUs of each node that nobody uses for sure; all of them where that leaves none to work with.

    Ray tells how many are in use, not on which node, so every node is taken to be the one.
    """
    nodes = node_cpus()
    used = sum(nodes) - float(ray.available_resources().get("CPU", 0))
    free = [max(0.0, cpus - used) for cpus in nodes]
    return free if sum(free) >= 1 else nodes


def node_cpus() -> list[float]:
    """Return the CPUs of each live node of the cluster."""
    return [float(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def cpus_per_worker(nodes: Sequence[float], workers: int) -> float:
    """Return the most CPUs that each of `workers` can have when no worker spans two nodes.

    Whole CPUs while there are enough of them, an equal share of all when there are more workers than CPUs. One each
    where there is none yet, and an autoscaler has to bring them.
    """
    if sum(nodes) < 1:
        return 1.0
    for cpus in range(math.floor(max(nodes)), 0, -1):
        if sum(math.floor(node / cpus) for node in nodes) >= workers:
            return float(cpus)
    return math.floor(sum(nodes) / workers * 1000) / 1000


def _own_code() -> dict[str, Any]:
    """Return the part of Ray's runtime environment that carries this very package; a job may have brought its own."""
    brought = json.loads(os.environ.get(_JOB, "{}")).get("runtime_env") or {}  # noqa: TID251 - Ray wrote it
    return {} if "py_modules" in brought else {"py_modules": [str(_PACKAGE)]}


def _no_cluster(settings: ClusterSettings, error: Exception) -> str:
    """Return what keeps us from a cluster, with advice for the kind of failure that it is."""
    reason = words_of(error)
    if settings.address:
        return f"no Ray cluster at {settings.address}: {reason}; check RAY_ADDRESS, or unset it to start a cluster here"
    place = os.environ.get(_RAY_SCRATCH) or tempfile.gettempdir()  # noqa: TID251 - Ray reads it
    if "AF_UNIX" in reason:
        most = _LONGEST_SOCKET - len(f"/ray{_SOCKET}")
        advice = f"{place} is too long for the names of sockets: name a path of at most {most} bytes in {_RAY_SCRATCH}"
    elif isinstance(error, OSError):
        advice = f"make room in {place} and see that it may be written, or name another short path in {_RAY_SCRATCH}"
    else:
        advice = f"see that there is memory, and room in {place}; what Ray logged is below {place}/ray/session_latest"
    return f"Ray does not start on this machine: {reason}; {advice}"


def scratch() -> str | None:
    """Return where a cluster of our own keeps its sockets and logs; None where the user has told Ray.

    Names of sockets are made of it, which an operating system wants to be short.
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
    """See that something listens, in seconds: Ray itself tries for minutes, and then ends the process."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what this process does with signals, and keep those to its whole group from what Ray starts.

    Ray's processes would end at once, before this one can end in order, which would then wait for them for a minute.
    So each is a group of its own. They inherit a blocked SIGHUP too, as Ray itself blocks SIGINT. A blocked SIGTERM
    would not do: Ray ends its processes with it.
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
    """Keep the process's own SIGTERM handler: Ray puts one in its place for good, which exits with code 15."""
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
