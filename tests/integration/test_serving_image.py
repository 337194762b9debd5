"""The serving environment, built with the Dockerfile's own commands, loads a model without torch."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.earlier.home import unpack

ROOT = Path(__file__).parents[2]
SCRIPT = """
import importlib.util, sys
import numpy, fmnist
assert not [name for name in ("torch", "lightning", "pip") if importlib.util.find_spec(name)]
classifier = fmnist.load_classifier("models:/prod.fashion-mnist-classifier/1")
assert len(classifier(numpy.zeros((1, 28, 28), "uint8"))) == 1
import fmnist.apps.containers.serve, fmnist.apps.containers.smoke
from fmnist.apps.serve import proxy_middleware
proxy_middleware()
"""


def commands(stage: str) -> list[str]:
    """Return the RUN commands of a stage, without their mounts."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (body,) = re.findall(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^RUN (?:--mount=\S+\s+)*(.+)$", body, re.MULTILINE)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_serving_environment_loads_a_model_without_torch(tmp_path: Path) -> None:
    build, package, venv, wheels = (tmp_path / name for name in ("build", "package", "opt", "wheels"))
    places = {"/opt/fmnist": venv, "/wheels": wheels, "/usr/local/bin/pip": "pip", "python -m": f"{sys.executable} -m"}
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TORCH_INDEX": ""}

    def run(directory: Path, *stages: str) -> None:
        for command in (command for stage in stages for command in commands(stage)):
            ours = re.sub("|".join(places), lambda place: str(places[place[0]]), command)
            subprocess.run(ours, shell=True, cwd=directory, env=environment, check=True)  # noqa: S602 - the Dockerfile's

    for directory in (build, package):
        directory.mkdir()
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, directory)
    run(build, "stub", "serving-dependencies")
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, package)
    shutil.copytree(ROOT / "src/fmnist", package / "src/fmnist")
    run(package, "package", "serving")

    home = unpack(tmp_path / "home")
    variables = {"PATH": os.defpath, "HOME": str(tmp_path), "FMNIST_HOME": str(home.path)}
    command = [venv / "bin/python", "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
