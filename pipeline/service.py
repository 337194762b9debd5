"""The service on this machine: a Git repository with the desired state, and a Ray cluster that follows it.

It replaces Argo CD and KubeRay. It listens on the loopback interface only, and runs until it is stopped.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from fmnist.adapters.git.command import git, is_local, source_name
from fmnist.adapters.git.remote import clone
from fmnist.domain.model.address import Address
from stack.services import HOST, Service, StackError, free_ports, ray_head
from stack.supervision import Supervisor, answers

_PORT = 8000


class LocalService:
    """The service of one state directory.

    Args:
        home: directory for all of its files.
        repository: path or URL of the Git repository that it follows.
        branch: branch of the repository.
        manifest: path of the RayService in the repository.
    """

    def __init__(self, home: Path, repository: Address, branch: str, manifest: str) -> None:
        self._home = home
        self.repository = repository
        self._branch = branch
        self._manifest = manifest
        self._record = home / "cluster.json"
        self._supervisor = Supervisor(home, os.environ)

    @property
    def url(self) -> str:
        """The URL of the service, whether it runs or not."""
        return f"http://{HOST}:{self._read()['port']}"

    def head(self) -> Service:
        """Return the Ray head of the service. A token keeps other users from running code on it."""
        record = self._read()
        variables = {**record["environment"], **_token(record)}
        return ray_head("service", record["gcs"], record["dashboard"], self._supervisor.links / "ray", variables)

    def begin(self, checkout: Path) -> None:
        """Create the repository from the checkout's manifest, if it is a missing local one."""
        if not is_local(self.repository) or Path(source_name(self.repository)).exists():
            return
        with tempfile.TemporaryDirectory() as scratch:
            work = Path(scratch)
            file = work / self._manifest
            file.parent.mkdir(parents=True)
            shutil.copy(checkout / self._manifest, file)
            git(work, "init", "--quiet", f"--initial-branch={self._branch}")
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message", f"Begin with {self._manifest}")
            clone(Address(str(work)), Path(source_name(self.repository)), "--bare")

    def follow(self) -> None:
        """Serve what the repository says. Start the cluster if it does not run.

        Raises:
            StoreUnavailable: the repository cannot be read.
            StackError: the manifest is missing, the port is taken, or Ray Serve refuses the manifest.
        """
        spec = self._wanted()
        (head,) = spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
        literal = {each["name"]: str(each["value"]) for each in head.get("env", []) if "value" in each}
        if self._supervisor.state(self.head()) != "RUNNING":
            if answers(f"tcp://{HOST}:{self._read()['port']}"):
                raise StackError(f"something else listens at {self.url} now: stop it, then run `make pipeline-serve`")
            dashboard, gcs = free_ports(2)  # the recorded ports may be taken now
            self._write({**self._read(), "environment": literal, "dashboard": dashboard, "gcs": gcs})
        self._supervisor.start(self.head())
        config = yaml.safe_load(spec["serveConfigV2"])
        config["http_options"] = {**config.get("http_options", {}), "host": HOST, "port": self._read()["port"]}
        file = self._home / "serve_config.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("serve")), "deploy", str(file)]
        command += ["--address", f"http://{HOST}:{self._read()['dashboard']}"]
        environment = {**os.environ, **_token(self._read())}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"Ray Serve refuses {file}: {done.stderr.strip()}")

    def stop(self) -> bool:
        """Stop the cluster and its service; return False if none ran."""
        there = self._record.exists() and self._supervisor.stop(self.head())
        self._supervisor.end()
        self._record.unlink(missing_ok=True)
        return there

    def _wanted(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as scratch:
            clone(self.repository, Path(scratch), "--depth=1", f"--branch={self._branch}")
            file = Path(scratch) / self._manifest
            if not file.is_file():
                raise StackError(f"there is no {self._manifest} on {self._branch} of the GitOps repository")
            spec: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
            return spec

    def _read(self) -> dict[str, Any]:
        """Return the ports, token and environment of the cluster. The first call chooses them."""
        if not self._record.exists():
            port, dashboard, gcs = free_ports(3)
            port = port if answers(f"tcp://{HOST}:{_PORT}") else _PORT
            ports = {"port": port, "dashboard": dashboard, "gcs": gcs}
            self._write({**ports, "token": secrets.token_hex(16), "environment": {}})
        record: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
        return record

    def _write(self, record: dict[str, Any]) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        self._record.touch(mode=0o600)
        self._record.write_text(json.dumps(record), encoding="utf-8")


def _token(record: dict[str, Any]) -> dict[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": str(record["token"])}
