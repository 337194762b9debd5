"""`ray job submit --working-dir .` from a clean clone: the uploaded code runs, stops in order, and resumes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from fmnist.adapters.dvc.settings import RegistrySettings
from stack.services import HOST, free_ports, ray_head
from tests.integration.apps.command import Command
from tests.integration.services import running
from tests.integration.support import git

ROOT = Path(__file__).parents[3]
SECRET = "hunter2-of-the-cluster"  # noqa: S105 - not a real secret
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another-secret-of-the-cluster"}
EPOCHS = 16


@dataclass
class Jobs:
    """A cluster's job server, and a clone to submit from."""

    clone: Path
    address: str
    scratch: Path

    def ray(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [Path(sys.executable).parent / "ray", "job", *arguments],
            cwd=self.clone,
            env={**os.environ, **TOKEN, "RAY_ADDRESS": self.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop(self, name: str) -> None:
        """Stop the job like `ray job stop`, but at once."""
        headers = {"Authorization": f"Bearer {TOKEN['RAY_AUTH_TOKEN']}"}
        requests.post(f"{self.address}/api/jobs/{name}/stop", headers=headers, timeout=60).raise_for_status()

    def submit(self, name: str, *flags: str) -> "subprocess.Popen[str]":
        return self.ray(
            *("submit", "--submission-id", name, "--working-dir", ".", "--"),
            *("python", "-m", "fmnist.apps.train", *flags),
        )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the checkout in which every epoch logs which code trained and recorded it."""
    clone = tmp_path / "clone"
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    for path, old, new in (
        (
            "adapters/lightning/module.py",
            "].metrics(self).items()\n        }",
            "].metrics(self).items()\n        } | {'by_worker': 1}",
        ),
        ("domain/services/training/epoch_log.py", "metrics=metrics,", "metrics={**metrics, 'by_driver': 1},"),
    ):
        file = clone / "src/fmnist" / path
        changed = file.read_text().replace(old, new)
        assert changed != file.read_text()
        file.write_text(changed)
    return clone


@pytest.fixture
def jobs(command: Command, clone: Path, toy_registry: RegistrySettings) -> Iterator[Jobs]:
    """A separate cluster, whose nodes have the addresses and credentials of the services."""
    variables = {
        **{name: value for name, value in command.environment.items() if name.startswith(("FMNIST", "DVC"))},
        "AWS_SECRET_ACCESS_KEY": SECRET,
        **TOKEN,
    }
    port, dashboard_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as scratch:  # the names of sockets are short
        service = ray_head("ray", port, dashboard_port, Path(scratch), variables)
        with running(service, command.home):
            yield Jobs(clone, f"http://{HOST}:{dashboard_port}", Path(scratch))


@pytest.mark.soak
def test_job_runs_the_upload_and_resumes_after_a_stop(jobs: Jobs, command: Command) -> None:
    said: list[str] = []
    with jobs.submit("first", "--batch-size", "8", "--lr", "0.02", "--max-epochs", str(EPOCHS)) as job:
        for line in job.stdout or ():
            said.append(line)
            if f"epoch  2/{EPOCHS}" in line:
                jobs.stop("first")
    stopped = command.only_run()
    assert stopped.info.status == "KILLED", "".join(said)
    assert "terminated" in "".join(said)

    with jobs.submit("second", "--resume", stopped.info.run_id) as job:
        said.append(job.communicate()[0])
    assert job.returncode == 0, "".join(said)
    run = command.only_run()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in command.history(run.info.run_id, "by_worker")] == [*range(EPOCHS)]
    # The last value is that of the chosen weights.
    assert [step for step, _ in command.history(run.info.run_id, "by_driver")] == [*range(EPOCHS + 1)]
    assert [version.run_id for version in command.versions()] == [run.info.run_id]

    told = json.dumps([run.data.tags, run.data.params, "".join(said)])
    for session in jobs.scratch.glob("session_2*"):
        logs = [path.read_text(errors="replace") for path in (session / "logs").rglob("*") if path.is_file()]
        told += "".join(logs)
    with jobs.ray("list") as listed:
        told += listed.communicate()[0]
    assert "fmnist.apps.train" in told
    assert SECRET not in told
    assert TOKEN["RAY_AUTH_TOKEN"] not in told

    uploads = [*jobs.scratch.glob("session_2*/runtime_resources/working_dir_files/*/")]
    assert len(uploads) == 1, "the second job found the upload of the first"
    files = [path for path in uploads[0].rglob("*") if path.is_file()]
    assert not [path for path in files if {"tests", "docs", ".git"} & {*path.relative_to(uploads[0]).parts}]
    assert sum(path.stat().st_size for path in files) < 2**20
