"""A small registry, and one training run on it that several suites use."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.domain.model.address import Address
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.serving.load import ServedModel
from fmnist.testing.data import toy_splits
from tests.integration.apps.command import PATIENCE_SECONDS, Command
from tests.integration.apps.here import Here
from tests.integration.support import MANIFEST, ROOT, git, make_dvc_registry

# Three epochs of 20 steps. The second epoch is the best.
RECIPE = ("--batch-size", "8", "--lr", "0.02", "--max-epochs", "3", "--seed", "7")
TRAP = "raise AssertionError('a file of the working directory was imported')\n"
TRAPPED = ("dvc", "fmnist", "mlflow", "numpy", "pyarrow", "random", "ray", "socket", "torch", "sitecustomize")


@dataclass(frozen=True)
class Trained:
    """A finished training run: its command, its output, its JSON result, and the surroundings in which it ran."""

    command: Command
    process: CompletedProcess[str]
    result: Any
    surroundings: "Surroundings"


@dataclass(frozen=True)
class Surroundings:
    """Files with names of modules in the working directory, a long TMPDIR, and warnings as errors."""

    directory: Path
    temporary: Path

    @property
    def traps(self) -> list[Path]:
        return [self.directory / f"{name}.py" for name in TRAPPED]

    @property
    def variables(self) -> dict[str, str]:
        return {"TMPDIR": str(self.temporary), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def toy_registry(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    """1.0.0 with all splits, and 0.9.0 without a test split, like older versions. A test must not change it."""
    splits = {"0.9.0": toy_splits(160, 50, 0, seed=1), "1.0.0": toy_splits(160, 50, 50)}
    return make_dvc_registry(tmp_path_factory.mktemp("registry"), splits, legacy=["0.9.0"])


@pytest.fixture
def command(tmp_path: Path, toy_registry: RegistrySettings) -> Command:
    """A state directory for one test."""
    return Command(tmp_path, toy_registry)


@pytest.fixture(scope="session")
def trained(toy_registry: RegistrySettings, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An undisturbed `fmnist train` in a workflow. A test must not change it."""
    workflow = {"ARGO_WORKFLOW_UID": "workflow-7", "DOCKER_IMAGE_TAG": "sha-1234"}
    command = Command(tmp_path_factory.mktemp("trained"), toy_registry, workflow)
    local = ("train", "--compute", "local", "--run-name", "demo", *RECIPE, "--json")
    surroundings = Surroundings(command.home, tmp_path_factory.mktemp("a-long-name-" * 9))
    process = run_in(surroundings, command, *local)
    assert process.returncode == 0, process.stderr
    return Trained(command, process, json.loads(process.stdout), surroundings)


def run_in(surroundings: Surroundings, command: Command, *arguments: str) -> CompletedProcess[str]:
    """Run the installed script in these surroundings."""
    for trap in surroundings.traps:
        trap.write_text(TRAP)
    try:
        return subprocess.run(
            [Path(sys.executable).parent / "fmnist", *arguments],
            cwd=surroundings.directory,
            env={**command.environment, **surroundings.variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    finally:
        for trap in surroundings.traps:
            trap.unlink()


@pytest.fixture
def here(command: Command) -> Here:
    """The command with a state directory for one test."""
    return Here(command)


@pytest.fixture
def repository(command: Command) -> Path:
    """The default GitOps repository with the platform's own manifest."""
    work, bare = command.home / "work", command.home / "gitops.git"
    git(command.home, "init", "--quiet", "--initial-branch=main", str(work))
    (work / MANIFEST).parent.mkdir(parents=True)
    (work / MANIFEST).write_text((ROOT / MANIFEST).read_text())
    git(work, "add", "--all")
    git(work, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message", "Begin")
    git(command.home, "clone", "--quiet", "--bare", str(work), str(bare))
    return bare


@pytest.fixture
def there(trained: Trained) -> Here:
    """The command with the state directory of the finished run."""
    return Here(trained.command)


@pytest.fixture(scope="session")
def model(trained: Trained) -> ServedModel:
    """The trained model, loaded as a service does."""
    store = MlflowModelStore(MlflowConnection(tracking_uri=Address(f"sqlite:///{trained.command.home}/mlflow.db")))
    package = store.download(store.resolve(trained.result["model_uri"]))
    return ServedModel(package, Prediction(package.load()), degraded=None)
