"""Files in the working directory and a long TMPDIR do not affect a command."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.apps.command import PATIENCE_SECONDS, Command
from tests.integration.apps.conftest import RECIPE

TRAP = "raise AssertionError('a file of the working directory was imported')\n"
NAMES = ("dvc", "fmnist", "mlflow", "numpy", "pyarrow", "random", "ray", "socket", "torch", "sitecustomize")


@pytest.mark.parametrize("compute", ["local", pytest.param("ray", marks=pytest.mark.soak)])
def test_files_with_names_of_modules_are_never_imported(
    command: Command, tmp_path_factory: pytest.TempPathFactory, compute: str
) -> None:
    for name in NAMES:
        (command.home / f"{name}.py").write_text(TRAP)
    long = tmp_path_factory.mktemp("a-long-name-" * 9)
    done = subprocess.run(
        [Path(sys.executable).parent / "fmnist", "train", "--compute", compute, *RECIPE],
        cwd=command.home,
        env={**command.environment, "TMPDIR": str(long)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert command.only_run().info.status == "FINISHED"
