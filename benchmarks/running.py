"""Runs the subjects of the training benchmark, one at a time, each in its own process."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fmnist.apps.settings import Settings

HERE = Path(__file__).parent
TIME_LIMIT_SECONDS = 10800  # the contract's recipe needs long to 90 % on a shared machine

Run = dict[str, Any]


def run(environment: dict[str, str], *subject: str) -> Run:
    """Run one subject and return what it measured."""
    name, *arguments = subject
    command = [sys.executable, str(HERE / "subjects.py"), name, str(time.time()), *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_SECONDS
    )
    if done.returncode:
        sys.exit(f"{' '.join(subject)} failed:\n{done.stderr}")
    measured: Run = json.loads(done.stdout.splitlines()[-1])
    print(f"{datetime.now(UTC):%X}  {' '.join(subject)}: {json.dumps(measured)}", flush=True)
    return measured


def environment_of_subjects(home: str) -> dict[str, str]:
    """Build the data if needed, and return an environment with `home` as state directory, and the real data."""
    settings = Settings.load()
    if settings.dvc_repo_url is None:
        subprocess.run([sys.executable, "-m", "fmnist", "data", "build"], check=True)
    data = {"DVC_REPO_URL": settings.data_repo.reveal(), "DVC_REMOTE_URL": settings.data_remote_url}
    return {
        **os.environ,
        **{name: value for name, value in data.items() if value},
        "FMNIST_HOME": home,
        "FMNIST_PRESET": "fast",
    }
