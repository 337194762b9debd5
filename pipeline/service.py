"""The service on this machine: a Git repository that says what it is to run, and a Ray cluster that follows it.

It takes the part of Argo CD and KubeRay, on the loopback interface alone, and stays until it is stopped.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from fmnist.adapters.git.command import git, is_local, source_name
from fmnist.adapters.git.remote import clone
from fmnist.domain.model.addresses import Address
from fmnist.domain.model.errors import StoreUnavailable
from pipeline.expressions import PipelineError
from pipeline.steps import literal_environment
from stack.process import answers, start, wait_until_healthy
from stack.record import ProcessRecord
from stack.services import HOST, free_ports, ray_head, ray_scratch

_PORT = 8000


class LocalService:
    """What serves the models of one state directory.

    Args:
        home: everything that it keeps is below it.
        repository: path or URL of the Git repository that it follows.
        branch: of it.
        manifest: path in it, of the RayService.
    """

    def __init__(self, home: Path, repository: Address, branch: str, manifest: str) -> None:
        self._home = home
        self.repository = repository
        self._branch = branch
        self._manifest = manifest
        self._record = home / "service.json"
        self.scratch = ray_scratch("pipeline", home)

    @property
    def url(self) -> str:
        """Where it answers, or will when it is started."""
        return f"http://{HOST}:{self._read()['port']}"

    @property
    def runs(self) -> bool:
        """Whether there is a cluster that answers."""
        noted = self._read()
        record = ProcessRecord.read(noted)
        head, _ = record.find() if record else (None, [])
        return head is not None and answers(f"tcp://{HOST}:{noted['dashboard']}")

    def begin(self, manifests: Path) -> None:
        """Make the repository where there is to be one on this machine, with the RayService as it is in a checkout."""
        if not is_local(self.repository) or Path(source_name(self.repository)).exists():
            return
        with _checkout() as work:
            file = work / self._manifest
            file.parent.mkdir(parents=True)
            shutil.copy(manifests / self._manifest, file)
            git(work, "init", "--quiet", f"--initial-branch={self._branch}")
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message", f"Begin with {self._manifest}")
            clone(Address(str(work)), Path(source_name(self.repository)), "--bare")

    def follow(self) -> None:
        """Bring into service what the repository says, on a cluster that is started if there is none."""
        with _checkout() as work:
            clone(self.repository, work, "--depth=1", f"--branch={self._branch}")
            file = work / self._manifest
            if not file.is_file():
                raise PipelineError(f"there is no {self._manifest} on {self._branch} of the GitOps repository")
            spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        if not self.runs:
            (head,) = spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
            self._start(literal_environment(head))
        config = yaml.safe_load(spec["serveConfigV2"])
        config["http_options"] = {**config.get("http_options", {}), "host": HOST, "port": self._read()["port"]}
        file = self._home / "serve_config.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("serve")), "deploy", str(file)]
        command += ["--address", f"http://{HOST}:{self._read()['dashboard']}"]
        done = subprocess.run(command, env={**os.environ, **self._token()}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PipelineError(f"Ray Serve refuses {file}, see {self.scratch}: {done.stderr.strip()}")

    def stop(self) -> bool:
        """End the cluster with all that it serves; return False when there was none."""
        there = self._end()
        self._record.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return there

    def _start(self, variables: Mapping[str, str]) -> None:
        self._end()
        if answers(f"tcp://{HOST}:{self._read()['port']}"):
            raise PipelineError(f"something else listens at {self.url} by now: end it, and `make pipeline-serve`")
        dashboard, gcs = free_ports(2)
        service = ray_head(gcs, dashboard, self.scratch, {**variables, **self._token()})
        log = self._home / "ray.log"
        process = start(service, log)
        record = {**asdict(ProcessRecord.of(process)), "dashboard": dashboard}
        # Noted before it is waited for: a start that is broken off leaves nothing that `stop` does not know.
        self._record.write_text(json.dumps(self._read() | record), encoding="utf-8")
        wait_until_healthy(service, process, log)

    def _token(self) -> dict[str, str]:
        """Return what opens the cluster, for nobody else's code is to run on it."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": str(self._read()["token"])}

    def _end(self) -> bool:
        """End what runs of the cluster, be its head gone or not; return whether anything did."""
        record = ProcessRecord.read(self._read())
        return record is not None and record.stop()

    def _read(self) -> dict[str, Any]:
        """Return what is noted of the cluster; its port is settled when it is first asked for."""
        if self._record.exists():
            record: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
            return record
        (port,) = free_ports(1)
        record = {"port": port if answers(f"tcp://{HOST}:{_PORT}") else _PORT, "token": secrets.token_hex(16)}
        self._home.mkdir(parents=True, exist_ok=True)
        self._record.touch(mode=0o600)
        self._record.write_text(json.dumps(record), encoding="utf-8")
        return record


@contextmanager
def _checkout() -> Iterator[Path]:
    """Yield an empty directory for a checkout of the GitOps repository, and tell what Git refuses as the pipeline's."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            yield Path(scratch)
        except StoreUnavailable as error:
            raise PipelineError(f"the GitOps repository cannot be used: {error}") from error
