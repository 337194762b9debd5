"""The local stack: its services in starting order, and their preparation.

Addresses and keys come from `.env.docker`, so that a shell that sources it finds the services.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from stack.services import HOST, ObjectStore, Service, StackError, git_server, ray_head, tracking_server
from stack.supervision import links

_MLFLOW_BUCKET = "mlflow"


class LocalStack:
    """The services of one state directory.

    Args:
        home: directory for all of their files.
        variables: contents of `.env.docker`.
    """

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        self._home = home
        self._variables = variables
        self._store = ObjectStore(
            _port(variables["AWS_ENDPOINT_URL"]), variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
        )

    def services(self) -> list[Service]:
        """Return the services in starting order."""
        return [
            self._store.service(self._home / "s3"),
            tracking_server(
                _port(self._variables["MLFLOW_TRACKING_URI"]),
                self._home / "mlflow",
                self._store,
                f"s3://{_MLFLOW_BUCKET}/artifacts",
            ),
            git_server(_port(self._variables["DVC_REPO_URL"]), self._home / "git"),
            ray_head(
                "ray",
                _port(f"tcp://{self._variables['RAY_ADDRESS']}"),
                _port(self._variables["RAY_API_SERVER_ADDRESS"]),
                links(self._home) / "ray",
                self._variables,
            ),
        ]

    def prepare(self, service: Service) -> None:
        """Create the buckets or the Git repository that clients need in a running service."""
        if service.name == "object-store":
            data = urlsplit(self._variables["DVC_REMOTE_URL"]).netloc
            checkpoints = self._variables["RAY_STORAGE_PATH"].partition("/")[0]
            self._store.make_buckets([data, checkpoints, _MLFLOW_BUCKET])
        elif service.name == "git":
            repository = self._home / "git" / urlsplit(self._variables["DVC_REPO_URL"]).path.lstrip("/")
            if not repository.exists():
                command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(repository)]
                # In a Git hook, these variables name another repository.
                outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
                subprocess.run(command, env=outside, check=True)


def _port(address: str) -> int:
    parts = urlsplit(address)
    if parts.hostname != HOST or not parts.port:
        raise StackError(f"{address} in .env.docker is not an address of the stack: expected {HOST} and a port")
    return parts.port
