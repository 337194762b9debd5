"""A state directory in which pipelines run, one after the other."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fmnist.domain.model.address import Address
from fmnist.testing.data import toy_splits
from pipeline.service import LocalService
from tests.integration.apps.command import Command
from tests.integration.support import git, make_dvc_registry

ROOT = Path(__file__).parents[3]
# Three epochs of 20 steps, in one process: the pipeline is tested here, and not the training.
TRAINING = "--compute local --batch-size 8 --lr 0.02 --max-epochs 3 --seed {}"


@dataclass(frozen=True)
class Done:
    """A finished command: its exit code and output."""

    code: int
    said: str

    @property
    def uid(self) -> str:
        (uid,) = re.findall(r"^logs and outputs of each step in .*/([0-9a-f-]{36})$", self.said, re.MULTILINE)
        return str(uid)

    @property
    def steps(self) -> dict[str, str]:
        """The outcome of each step that ran, in order."""
        return dict(re.findall(r"^([\w-]+) +(done|failed) +[\d.]+ s", self.said, re.MULTILINE))


@dataclass(frozen=True)
class Pipeline:
    """`python -m pipeline`, and the state that it leaves."""

    command: Command
    service: LocalService

    def __call__(self, *arguments: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=ROOT,
            env=self.command.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def run(self, *parameters: str, seed: int = 7) -> Done:
        given = [f"training_args={TRAINING.format(seed)}", *parameters]
        return self("run", *(word for parameter in given for word in ("-p", parameter)))

    def commits(self) -> list[str]:
        """Return the log of the GitOps repository, newest first."""
        return git(self.command.home / "gitops.git", "log", "--format=%s", "main").splitlines()


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    splits = {"1.0.0": toy_splits(160, 50, 200)}
    registry = make_dvc_registry(tmp_path_factory.mktemp("pipeline-data"), splits)
    home = tmp_path_factory.mktemp("pipeline")
    service = LocalService(home / "pipeline", Address(str(home / "gitops.git")), "main", "deploy/base/rayservice.yaml")
    yield Pipeline(Command(home, registry), service)
    service.stop()


@pytest.fixture(scope="session")
def first(pipeline: Pipeline) -> Done:
    """The very first pipeline, without a champion."""
    done = pipeline.run()
    assert done.code == 0, done.said
    return done
