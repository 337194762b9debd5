"""Files in the working directory, a long TMPDIR and warnings as errors do not affect a command."""

import os
from pathlib import Path

import pytest

from tests.integration.apps.command import Command
from tests.integration.apps.conftest import RECIPE, Surroundings, Trained, run_in


def test_training_works_beside_files_with_names_of_modules(trained: Trained) -> None:
    assert trained.process.returncode == 0
    assert Path(trained.process.args[0]).name == "fmnist", "`python -m` would import the files"
    surroundings = trained.surroundings
    assert surroundings.directory == trained.command.home
    assert {"random.py", "torch.py", "mlflow.py"} <= {trap.name for trap in surroundings.traps}
    assert len(os.fsencode(surroundings.variables["TMPDIR"])) > 107, "too long for a socket"
    assert surroundings.variables["PYTHONWARNINGS"] == "error"


@pytest.mark.soak
def test_training_on_ray_works_beside_files_with_names_of_modules(
    command: Command, tmp_path_factory: pytest.TempPathFactory
) -> None:
    surroundings = Surroundings(command.home, tmp_path_factory.mktemp("a-long-name-" * 9))
    done = run_in(surroundings, command, "train", "--compute", "ray", *RECIPE)
    assert done.returncode == 0, done.stderr
    assert command.only_run().info.status == "FINISHED"
