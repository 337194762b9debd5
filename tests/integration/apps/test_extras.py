"""A command whose extra is not installed names what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

# Python code that hides the packages in its first argument.
WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
from fmnist.__main__ import main
main(sys.argv[2:])
"""
NO_SETTINGS = "dotenv,pydantic_settings,dependency_injector,mlflow,ray,torch,dvc"


@pytest.mark.parametrize(
    ("missing", "arguments", "complaint"),
    [
        (f"typer,rich,{NO_SETTINGS}", ["--help"], "the fmnist command needs typer"),
        (f"typer,rich,{NO_SETTINGS}", ["train"], "the fmnist command needs typer"),
        (NO_SETTINGS, ["train"], "error: this command needs dotenv"),
        ("dependency_injector", ["train"], "error: this command needs dependency_injector"),
        ("dependency_injector", ["predict", "--split", "test"], "error: this command needs dependency_injector"),
    ],
)
def test_command_without_its_extra_says_what_to_install(
    tmp_path: Path, missing: str, arguments: list[str], complaint: str
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == f"{complaint}: pip install 'fmnist[all]'\n"
    assert list(tmp_path.iterdir()) == []
