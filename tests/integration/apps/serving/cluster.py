"""A service on its own Ray cluster, started like `ray start` and `serve deploy` do, over real HTTP."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.integration.apps.command import Command
from tests.integration.apps.serving.host import PATIENCE_SECONDS, Host, free_port, wait_until
from tests.integration.apps.serving.models import uri

APPLICATION = "fmnist"


@dataclass
class Cluster(Host):
    """A Ray cluster of one node with a dashboard. It serves one application, which is deployed by configuration."""

    command: Command
    address: str
    port: int
    dashboard: int
    exporter: int
    session: Path
    deployed: tuple[object, ...] | None = None

    def deploy(self, model_uri: str | None, wait: bool = True, arguments: str | None = None, **options: Any) -> None:
        """Deploy like `serve deploy` with a file. `options` are those of the deployment."""
        one = {"autoscaling_config": None, "num_replicas": 1}
        deployment = {"name": "FashionMNISTClassifier", "user_config": {"model_uri": model_uri}, **one, **options}
        config = {
            "http_options": {"host": "127.0.0.1", "port": self.port, "request_timeout_s": 60},
            "applications": [
                {
                    "name": APPLICATION,
                    "route_prefix": "/",
                    "import_path": "fmnist.apps.serve:app_builder",
                    "args": {"model_uri": arguments} if arguments else {},
                    "deployments": [deployment],
                }
            ],
        }
        answer = httpx.put(f"{self._api}", json=config, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        self.deployed = (model_uri, arguments, options)
        if wait:
            wait_until(self._running, "the application runs")

    def choose(self, version: int) -> str:
        self.deploy(uri(version))
        return uri(version)

    def remove(self) -> None:
        """Remove the application, like `serve deploy` with a file without it. The proxy stays."""
        self.deployed = None
        httpx.put(self._api, json={"applications": []}, timeout=60, trust_env=False).raise_for_status()

    def still_serves(self, model_uri: str) -> bool:
        """Return whether the last deployment was of this model, without options, and the model serves."""
        return self.deployed == (model_uri, None, {}) and self.serves(model_uri)

    def delete(self) -> None:
        self.deployed = None
        httpx.delete(self._api, timeout=PATIENCE_SECONDS, trust_env=False)

    def processes(self) -> list[psutil.Process]:
        """Return the processes of this cluster's replicas."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            title = " ".join(process.info["cmdline"] or ())
            ours = (process.info["environ"] or {}).get("FMNIST_HOME") == str(self.command.home)
            if "ServeReplica" in title and ours:
                found.append(process)
        return found

    def replica_logs(self) -> list[Path]:
        """Return the log of each replica that there is or was."""
        return list(self.session.glob("session_latest/logs/serve/replica_*.log"))

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.replica_logs())

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.exporter}/metrics", timeout=60, trust_env=False).text

    @property
    def _api(self) -> str:
        return f"http://127.0.0.1:{self.dashboard}/api/serve/applications/"

    def _running(self) -> bool:
        answer = httpx.get(self._api, timeout=60, trust_env=False).json()
        application = answer["applications"].get(APPLICATION, {})
        assert application.get("status") != "DEPLOY_FAILED", application
        return bool(application.get("status") == "RUNNING")


@contextmanager
def cluster(
    command: Command, directory: Path, cpus: int = 4, variables: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Start a cluster with these variables in its environment, and stop all of its processes at the end."""
    gcs, dashboard, exporter, port = (free_port() for _ in range(4))
    arguments = [
        *("start", "--head", "--block", f"--port={gcs}", f"--num-cpus={cpus}", f"--temp-dir={directory}"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *("--dashboard-agent-listen-port=0", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1"),
        *(f"--metrics-export-port={exporter}", "--disable-usage-stats"),
    ]
    environment = {
        **command.environment,
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "fmnist.apps.serve:proxy_middleware",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "LOG_LEVEL": "DEBUG",  # logs each request
        "RAY_AUTH_MODE": "disabled",  # it listens only on loopback, for some minutes
        **(variables or {}),
    }
    log = directory / "ray.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), *arguments],
            cwd=command.home,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or _answers(dashboard), "Ray's dashboard answers")
        assert process.poll() is None, log.read_text()
        with closing(Cluster(command, f"127.0.0.1:{gcs}", port, dashboard, exporter, directory)) as started:
            yield started
    finally:
        # Killed, because an orderly stop of Ray takes half a minute.
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)
        process.wait()


def _answers(dashboard: int) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{dashboard}/api/serve/applications/", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200
