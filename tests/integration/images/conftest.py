"""What a container of an image would find: its environment, variables and commands, in a directory of the test's."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.testing.data import toy_splits
from images.install import requirements
from tests.dockerfile import ROOT, context, variables
from tests.integration.images.environment import link_environment
from tests.integration.support import make_dvc_registry

PATIENCE_SECONDS = 300
EXTRAS = {"training": "train", "serving": "serve"}


@dataclass(frozen=True)
class Image:
    """An image's commands, run on the environment `venv` with `home` as its user's directory."""

    target: str
    venv: Path
    home: Path
    registry: RegistrySettings

    @property
    def environment(self) -> dict[str, str]:
        """The image's own variables and none of the machine's, with its directories where the test has them."""
        given = variables(self.target)
        places = {"/opt/fmnist": str(self.venv), "/home/ray": str(self.home)}
        for place, ours in places.items():
            given = {name: value.replace(place, ours) for name, value in given.items()}
        registry = {"DVC_REPO_URL": self.registry.repo.reveal(), "DVC_REMOTE_URL": str(self.registry.remote_url)}
        return {**given, **registry, "HOME": str(self.home), "PATH": f"{given['PATH']}:{os.defpath}"}

    def start(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command, cwd=self.home, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *command: str) -> str:
        """Run it, and return all that it said; it has to succeed."""
        process = self.start(*command)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, said
        return said


@pytest.fixture(scope="session")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Docker is sent, where the stages of the Dockerfile have it."""
    directory = tmp_path_factory.mktemp("build")
    for path in context(ROOT):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, directory / path)
    return directory


@pytest.fixture(scope="session")
def wheels(installer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheels")
    subprocess.run([sys.executable, "images/install.py", "wheel", str(directory)], cwd=installer, check=True)
    return directory


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    return make_dvc_registry(tmp_path_factory.mktemp("registry"), {"1.0.0": toy_splits(160, 50, 50)})


# pip downloads gigabytes for the second.
SLOW = (pytest.mark.soak, pytest.mark.timeout(3600))


@pytest.fixture(scope="session", params=["linked", pytest.param("installed", marks=SLOW)])
def images(
    request: pytest.FixtureRequest,
    installer: Path,
    wheels: Path,
    registry: RegistrySettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Image]:
    """Both images, with one home: what the first trains the second serves."""
    home, made = tmp_path_factory.mktemp("home"), {}
    for target, extra in EXTRAS.items():
        venv = tmp_path_factory.mktemp(target) / "environment"
        install = [sys.executable, "images/install.py"]
        if request.param == "installed":
            subprocess.run([*install, "dependencies", extra, str(venv)], cwd=installer, check=True)
        else:
            link_environment(venv, requirements(installer, extra))
        subprocess.run([*install, "package", str(wheels), str(venv)], cwd=installer, check=True)
        made[target] = Image(target, venv, home, registry)
    return made


@pytest.fixture(scope="session")
def trained(images: dict[str, Image]) -> str:
    """The URI of a model that the training image made."""
    flags = ("--compute", "local", "--batch-size", "8", "--lr", "0.02", "--max-epochs", "3")
    said = images["training"].run("fmnist", "train", *flags)
    (line,) = [line for line in said.splitlines() if line.startswith("model ")]
    return line.split()[1]
