"""`python -m stack`: what it starts answers, to this machine alone; it mends what died, and leaves nothing running."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from stack.services import ObjectStore, free_ports

ROOT = Path(__file__).parents[3]
SERVICES = ["object-store", "mlflow", "git", "ray"]
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@dataclass
class Stack:
    """The command, with a state directory and ports of its own."""

    home: Path
    env_file: Path
    variables: dict[str, str]

    def __call__(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stack", command, "--env-file", str(self.env_file)],
            cwd=ROOT,
            env={**os.environ, "FMNIST_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def processes(self) -> dict[str, int]:
        records = json.loads((self.home / "stack/processes.json").read_text())
        return {name: record["pid"] for name, record in records.items()}

    @property
    def families(self) -> list[psutil.Process]:
        parents = [psutil.Process(pid) for pid in self.processes.values()]
        return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    s3, mlflow, git, ray, dashboard = free_ports(5)
    moved = {"9000": s3, "5000": mlflow, "9418": git, "6379": ray, "8265": dashboard}
    text = (ROOT / ".env.docker").read_text()
    for port, other in moved.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
    env_file = tmp_path / ".env.docker"
    env_file.write_text(text)
    lines = [line.partition("=") for line in text.splitlines() if line and not line.startswith("#")]
    command = Stack(tmp_path / "home", env_file, {name: value for name, _, value in lines})
    yield command
    command("stop")


def test_stack_starts_on_loopback_alone_is_mended_and_ends_without_a_trace(stack: Stack) -> None:
    scratches = set(Path(tempfile.gettempdir()).glob("ray-of-stack-*"))
    assert stack("status").returncode == 1

    done = stack("start")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[:4]] == [[name, "started"] for name in SERVICES]
    assert stack("status").returncode == 0

    family = stack.families
    listening = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= LOOPBACK
    secret = stack.variables["AWS_SECRET_ACCESS_KEY"]
    assert not [process for process in family if secret in " ".join(process.cmdline())], "anyone may see a command line"

    store = ObjectStore(
        int(stack.variables["AWS_ENDPOINT_URL"].rpartition(":")[2]), stack.variables["AWS_ACCESS_KEY_ID"], secret
    )
    buckets = {bucket["Name"] for bucket in store.client().list_buckets()["Buckets"]}
    assert buckets == {"dvcstore", "mlflow", "ray-results"}
    store.client().put_object(Bucket="dvcstore", Key="kept", Body=b"over a restart")
    refs = subprocess.run(["git", "ls-remote", stack.variables["DVC_REPO_URL"]], capture_output=True, check=False)
    assert (refs.returncode, refs.stdout) == (0, b"")

    before = stack.processes
    os.kill(before["object-store"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before["object-store"])], timeout=10)
    status = stack("status")
    assert status.returncode == 1
    assert "down" in status.stdout.splitlines()[0]
    assert stack("start").stdout.splitlines()[0].split()[1] == "started"
    assert {name for name, pid in stack.processes.items() if pid != before[name]} == {"object-store"}
    assert store.client().get_object(Bucket="dvcstore", Key="kept")["Body"].read() == b"over a restart"

    family = stack.families
    assert stack("stop").returncode == 0
    assert [process for process in family if process.is_running()] == []
    assert [line.split(maxsplit=1)[1] for line in stack("stop").stdout.splitlines()] == ["did not run"] * 4
    logs = stack.home / "stack/logs"
    assert {f"{name}.log" for name in SERVICES} <= {path.name for path in logs.iterdir()}
    assert (logs / "ray-session/gcs_server.out").stat().st_size > 0
    assert set(Path(tempfile.gettempdir()).glob("ray-of-stack-*")) == scratches


def test_port_of_somebody_else_is_left_alone(stack: Stack) -> None:
    port = int(stack.variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
    theirs = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with theirs:
        assert theirs.stdout is not None
        theirs.stdout.readline()  # it says that it serves
        done = stack("start")
        assert (done.returncode, theirs.poll()) == (1, None)
        assert f"error: object-store: something else listens on 127.0.0.1:{port}" in done.stderr
        theirs.terminate()
