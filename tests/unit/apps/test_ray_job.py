"""A Ray job runs its uploaded code. Any other process runs the installed package."""

import os
import sys
from pathlib import Path

import pytest

from fmnist.apps.ray_job import run_uploaded_code

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """Arguments and PYTHONPATH of the processes that would have replaced this one. The upload has the package."""
    calls: list[tuple[list[str], str]] = []
    monkeypatch.setattr(os, "execve", lambda _, words, variables: calls.append((words, variables["PYTHONPATH"])))
    monkeypatch.setattr(sys, "argv", ["train.py", "--seed", "7"])
    monkeypatch.setenv(_JOB, "{}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src/fmnist").mkdir(parents=True)
    return calls


def test_a_job_runs_its_upload_with_the_same_arguments(tmp_path: Path, started: list[tuple[list[str], str]]) -> None:
    run_uploaded_code("fmnist.apps.train")
    assert started == [([sys.executable, "-m", "fmnist.apps.train", "--seed", "7"], str(tmp_path / "src"))]


def test_a_process_that_is_no_job_is_not_replaced(
    started: list[tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(_JOB)
    run_uploaded_code("fmnist.apps.train")
    assert started == []


def test_a_job_without_the_package_runs_the_installed_one(tmp_path: Path, started: list[tuple[list[str], str]]) -> None:
    (tmp_path / "src/fmnist").rmdir()
    run_uploaded_code("fmnist.apps.train")
    assert started == []


def test_a_job_that_runs_its_upload_already_is_not_replaced_again(
    started: list[tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(run_uploaded_code.__code__.co_filename).parents[3])
    run_uploaded_code("fmnist.apps.train")
    assert started == []
