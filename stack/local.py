"""The local stack: which services there are on this machine, what of them runs, and what they need before use.

Addresses and keys are those of `.env.docker`, so that whoever sources it finds what is started here.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from stack.process import Service, StackError, answers, start, wait_until_healthy
from stack.record import ProcessRecord
from stack.services import HOST, ObjectStore, git_server, ray_head, ray_scratch, tracking_server

_MLFLOW_BUCKET = "mlflow"


@dataclass(frozen=True, slots=True)
class State:
    """How a service stands: its process if it runs, how many are left of it if it does not, and whether it answers."""

    service: Service
    process: psutil.Process | None
    orphans: int
    healthy: bool
    log: Path


class LocalStack:
    """The services of one state directory.

    Args:
        home: everything that they keep is below it.
        variables: `.env.docker` as a mapping.
    """

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        self._home = home
        self._variables = variables
        self._records = home / "processes.json"
        self.logs = home / "logs"
        self._ray_logs = self.logs / "ray-session"
        self._ray_scratch = ray_scratch("stack", home)

    def start(self, service: Service) -> bool:
        """Start a service and wait until it can be used; return False when it ran already.

        Raises:
            StackError: it does not come up, or something else is at its address.
        """
        if self.state(service).healthy:
            self._prepare(service)  # a start that was broken off may have left that to us
            return False
        self._end(service)
        log = self._log(service)
        _refuse_taken(service)
        process = start(service, log)
        # Noted before it is waited for: a start that is broken off leaves nothing that `stop` does not know.
        self._note(service, process)
        wait_until_healthy(service, process, log)
        self._prepare(service)
        return True

    def stop(self, service: Service) -> bool:
        """End a service; return False when it did not run."""
        there = self._end(service)
        self._note(service, None)
        if service.name == "ray":
            self._keep_ray_logs()
        return there

    def state(self, service: Service) -> State:
        """Look how a service stands."""
        record = self._record_of(service)
        process, members = record.find() if record else (None, [])
        healthy = process is not None and answers(service.address)
        return State(service, process, 0 if process else len(members), healthy, self._log(service))

    def services(self) -> list[Service]:
        """Return the services in the order in which they are started."""
        store = self._store()
        return [
            store.service(self._home / "s3"),
            tracking_server(
                _port(self._variables["MLFLOW_TRACKING_URI"]),
                self._home / "mlflow",
                store,
                f"s3://{_MLFLOW_BUCKET}/artifacts",
            ),
            git_server(_port(self._variables["DVC_REPO_URL"]), self._home / "git"),
            ray_head(
                _port(f"tcp://{self._variables['RAY_ADDRESS']}"),
                _port(self._variables["RAY_API_SERVER_ADDRESS"]),
                self._ray_scratch,
                self._variables,
            ),
        ]

    def _store(self) -> ObjectStore:
        return ObjectStore(
            _port(self._variables["AWS_ENDPOINT_URL"]),
            self._variables["AWS_ACCESS_KEY_ID"],
            self._variables["AWS_SECRET_ACCESS_KEY"],
        )

    def _prepare(self, service: Service) -> None:
        if service.name == "object-store":
            data = urlsplit(self._variables["DVC_REMOTE_URL"]).netloc
            checkpoints = self._variables["RAY_STORAGE_PATH"].partition("/")[0]
            self._store().make_buckets([data, checkpoints, _MLFLOW_BUCKET])
        elif service.name == "git":
            repository = self._home / "git" / urlsplit(self._variables["DVC_REPO_URL"]).path.lstrip("/")
            if not repository.exists():
                command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(repository)]
                # What Git sets for a hook that runs us names another repository.
                outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
                subprocess.run(command, env=outside, check=True)
        elif service.name == "ray":
            self._remove_ray_logs()
            self._ray_logs.symlink_to(self._ray_scratch / "session_latest" / "logs")

    def _keep_ray_logs(self) -> None:
        """Bring what Ray has logged from its scratch to the other logs, and remove the scratch."""
        if self._ray_logs.is_symlink() and self._ray_logs.exists():
            logs = self._ray_logs.resolve()
            self._remove_ray_logs()
            shutil.copytree(logs, self._ray_logs, symlinks=True)
        shutil.rmtree(self._ray_scratch, ignore_errors=True)

    def _remove_ray_logs(self) -> None:
        if self._ray_logs.is_symlink():
            self._ray_logs.unlink()
        elif self._ray_logs.exists():
            shutil.rmtree(self._ray_logs)

    def _log(self, service: Service) -> Path:
        return self.logs / f"{service.name}.log"

    def _end(self, service: Service) -> bool:
        """End what runs of a service; return whether anything did."""
        record = self._record_of(service)
        return record is not None and record.stop()

    def _record_of(self, service: Service) -> ProcessRecord | None:
        return ProcessRecord.read(self._read_records().get(service.name, {}))

    def _note(self, service: Service, process: psutil.Process | None) -> None:
        records = self._read_records()
        records.pop(service.name, None)
        if process is not None:
            records[service.name] = asdict(ProcessRecord.of(process))
        self._home.mkdir(parents=True, exist_ok=True)
        self._records.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")

    def _read_records(self) -> dict[str, dict[str, Any]]:
        if not self._records.exists():
            return {}
        records: dict[str, dict[str, Any]] = json.loads(self._records.read_text(encoding="utf-8"))
        return records


def _port(address: str) -> int:
    parts = urlsplit(address)
    if parts.hostname != HOST or not parts.port:
        raise StackError(f"{address} in .env.docker is no address of the stack: expected {HOST} and a port")
    return parts.port


def _refuse_taken(service: Service) -> None:
    place = urlsplit(service.address).netloc
    if answers(f"tcp://{place}"):  # whatever it is, and whether it speaks HTTP or not
        raise StackError(
            f"{service.name}: something else listens on {place}; end it first "
            "(`docker compose down`, or the stack of another FMNIST_HOME)"
        )
