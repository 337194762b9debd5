"""The services of the stack, each as a command. This module starts nothing."""

import os
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import boto3
from botocore.config import Config

HOST = "127.0.0.1"
# Without this, Ray replaces 127.0.0.1 and listens on all interfaces. Its own meaning is a cluster on Windows or macOS.
# Drivers that join need the same value.
RAY_ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_OBJECT_STORE_BYTES = 512 * 2**20  # the dataset takes 43 MB; Ray's default is 30 % of the machine


class StackError(Exception):
    """A service cannot run. The message is for a person."""


@dataclass(frozen=True, slots=True)
class Service:
    """How to run a service.

    Attributes:
        name: name of the service, of its program in supervisord.conf and of its log file.
        command: command that stays in the foreground, and ends on SIGTERM.
        address: `http://...`, which answers with a status below 500, or `tcp://HOST:PORT`, which accepts connections.
        home: directory for its files.
        environment: variables to add to the caller's. Secrets go here: everybody can read a command line.
        patience: seconds until it must answer.
    """

    name: str
    command: tuple[str, ...]
    address: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: float = 120

    def replace_process(self) -> NoReturn:
        """Replace this process by the service."""
        self.home.mkdir(parents=True, exist_ok=True)
        os.execvpe(self.command[0], self.command, {**os.environ, **self.environment})  # noqa: S606 - no shell


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """An S3 store: its port and its keys."""

    port: int
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def endpoint_url(self) -> str:
        """The URL of the store."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for clients of S3."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def service(self, data: Path) -> Service:
        """Return SeaweedFS in one process, with its data in a directory. Its inner ports are any free ones."""
        inner = ["master", "volume", "filer", "admin"]
        names = [f"{part}.port{kind}" for part in inner for kind in ("", ".grpc")]
        names += ["s3.port.grpc", "s3.port.iceberg", "s3.port.lance"]
        ports = [f"-{name}={port}" for name, port in zip(names, free_ports(len(names)), strict=True)]
        return Service(
            name="object-store",
            command=(
                *(_beside_python("weed"), "-logtostderr", "mini", f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}"),
                *(f"-s3.port={self.port}", *ports),
                *("-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
            ),
            address=f"{self.endpoint_url}/healthz",
            home=data,
            environment={
                "AWS_ACCESS_KEY_ID": self.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            },
        )

    def client(self) -> Any:
        """Return a boto3 client of the store."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name="us-east-1",
            config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 5}),
        )

    def make_buckets(self, names: Iterable[str]) -> None:
        """Create the buckets that do not exist."""
        client = self.client()
        there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in names:
            if name not in there:
                client.create_bucket(Bucket=name)


def tracking_server(port: int, home: Path, store: ObjectStore, artifacts: str) -> Service:
    """Return MLflow with its records in sqlite below `home`, and its artifacts at the `s3://` address `artifacts`.

    Clients send artifacts to the server, and need no key of the store.
    """
    return Service(
        name="mlflow",
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}", "--artifacts-destination", artifacts),
        ),
        address=f"http://{HOST}:{port}/health",
        home=home,
        environment={
            **store.environment,
            "MLFLOW_S3_ENDPOINT_URL": store.endpoint_url,
            # The job workers would cost a gigabyte and half a minute, for features that are not used here.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )


def git_server(port: int, directory: Path) -> Service:
    """Return Git's own server for the repositories in a directory. Anyone on this machine can read and push."""
    return Service(
        name="git",
        command=(
            *("git", "daemon", f"--listen={HOST}", f"--port={port}", "--reuseaddr", "--verbose"),
            *("--export-all", "--enable=receive-pack", f"--base-path={directory}", str(directory)),
        ),
        address=f"tcp://{HOST}:{port}",
        home=directory,
    )


def ray_head(name: str, port: int, dashboard_port: int, directory: Path, variables: Mapping[str, str]) -> Service:
    """Return a Ray cluster of one node, with dashboard and job server. Jobs and workers inherit `variables`.

    `directory` needs a short path, because Ray makes sockets below it.
    """
    # If another cluster on this machine had the default port, jobs would be refused without a reason.
    (agent_port,) = free_ports(1)
    return Service(
        name=name,
        command=(
            *(_beside_python("ray"), "start", "--head", "--block", "--disable-usage-stats"),
            *(f"--node-ip-address={HOST}", f"--port={port}", f"--temp-dir={directory}"),
            *("--include-dashboard=true", f"--dashboard-host={HOST}", f"--dashboard-port={dashboard_port}"),
            f"--dashboard-agent-listen-port={agent_port}",
            f"--object-store-memory={_OBJECT_STORE_BYTES}",
        ),
        address=f"http://{HOST}:{dashboard_port}/api/version",
        home=directory,
        environment={
            **variables,
            **RAY_ON_LOOPBACK,
            "RAY_ADDRESS": "",  # do not join another cluster
            "RAY_worker_niceness": "0",  # as on the clusters that fmnist starts
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # there is no other node to drain to
            # A job that calls `python` needs the one of this environment.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        },
    )


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback interface that are free now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _beside_python(program: str) -> str:
    path = Path(sys.executable).parent / program
    if not path.exists():
        raise StackError(f"{program} is not in {path.parent}: run make setup")
    return str(path)
