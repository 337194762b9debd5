"""Files in the working directory and a long TMPDIR do not affect a command."""

import pytest

from tests.integration.apps.command import Command
from tests.integration.apps.conftest import RECIPE, Trained, run_among_traps


def test_files_with_names_of_modules_are_never_imported(trained: Trained) -> None:
    assert trained.process.returncode == 0, "it ran among such files"


@pytest.mark.soak
def test_on_ray_files_with_names_of_modules_are_never_imported(
    command: Command, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = run_among_traps(command, tmp_path_factory, "train", "--compute", "ray", *RECIPE)
    assert done.returncode == 0, done.stderr
    assert command.only_run().info.status == "FINISHED"
