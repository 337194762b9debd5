"""Runs the real command in separate processes, with a small real registry and a temporary state directory."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mlflow import MlflowClient
from mlflow.entities import Run

from fmnist.adapters.dvc.settings import RegistrySettings

PATIENCE_SECONDS = 400  # a training run takes 30 s on two idle cores, and several times that on busy ones
# Variables that may be set on a test machine, but not on a laptop.
_FOREIGN = re.compile(
    r"(DVC|FMNIST|MLFLOW|RAY|AWS|ARGO|DOCKER_IMAGE|GIT|OTEL)_.*|ENVIRONMENT|LOG_LEVEL|COLUMNS|FORCE_COLOR|TTY_COMPATIBLE"
)


@dataclass
class Command:
    """`fmnist`, started in `home`, its state directory too. `variables` are added to a minimal environment."""

    home: Path
    registry: RegistrySettings
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        bare = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
        ours = {
            "FMNIST_HOME": str(self.home),
            "DVC_REPO_URL": self.registry.repo.reveal(),
            "DVC_REMOTE_URL": str(self.registry.remote_url),
        }
        return {**bare, **ours, **self.variables}

    def run(self, *arguments: str, module: str = "fmnist") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run with --json, and return the parsed stdout."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> "Started":
        process = subprocess.Popen(
            [sys.executable, "-m", "fmnist", *arguments],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Started(process)

    @property
    def client(self) -> MlflowClient:
        uri = f"sqlite:///{self.home}/mlflow.db"
        return MlflowClient(uri, registry_uri=uri)

    def runs(self) -> list[Run]:
        """Return every run of the state directory, newest first, or none if there is no tracker file."""
        if not (self.home / "mlflow.db").exists():
            return []
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        return list(self.client.search_runs(experiments))

    def only_run(self) -> Run:
        (run,) = self.runs()
        return run

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        return [(value.step, value.value) for value in self.client.get_metric_history(run_id, metric)]

    def versions(self) -> list[Any]:
        return list(self.client.search_model_versions())


@dataclass
class Started:
    """A running command."""

    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    def wait_for(self, words: str) -> None:
        """Read stderr up to the first line with these words."""
        for line in self._stderr:
            self.said.append(line)
            if words in line:
                return
        raise AssertionError(f"it ended with {self.process.wait()} before it said {words!r}: {''.join(self.said)}")

    def send(self, *signals: signal.Signals) -> None:
        for number in signals:
            self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end, and return the exit code and all of stderr."""
        try:
            _, rest = self.process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, "".join([*self.said, rest])

    @property
    def _stderr(self) -> IO[str]:
        assert self.process.stderr is not None
        return self.process.stderr
