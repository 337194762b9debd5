"""What `make` prints and removes in any environment. The commands that it runs are fakes."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A fake fmnist, which records its calls. It has no model before it has trained.
FMNIST = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$1" in
train) touch "$CALLS.trained" ;;
predict) test -e "$CALLS.trained" || { echo "error: no model" >&2; exit 2; } ;;
esac
"""
Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Run a target in a checkout whose environment has fake commands; return the output."""
    checkout, programs = tmp_path / "checkout", tmp_path / "checkout/.venv/bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    (programs / "fmnist").write_text(FMNIST)
    (programs / "fmnist").chmod(0o755)
    (programs / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "python").chmod(0o755)
    (checkout / ".venv/.installed").touch()

    def run(target: str, **variables: str) -> str:
        bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            ["make", target],
            cwd=checkout,
            env={**bare, "CALLS": str(tmp_path / "calls"), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("variables", "last"),
    [
        ({}, "mlflow ui --backend-store-uri sqlite:///{checkout}/.fmnist/mlflow.db"),
        ({"FMNIST_HOME": "my state"}, "mlflow ui --backend-store-uri 'sqlite:///{checkout}/my state/mlflow.db'"),
        ({"FMNIST_HOME": "h\r"}, "mlflow ui --backend-store-uri sqlite:///{checkout}/h/mlflow.db"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////a/b.db"}, "mlflow ui --backend-store-uri sqlite:////a/b.db"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////a/$b c.db"}, "mlflow ui --backend-store-uri 'sqlite:////a/$b c.db'"),
        (
            {"MLFLOW_TRACKING_URI": "postgresql://me:hidden@host/db"},
            'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"',
        ),
        ({"MLFLOW_TRACKING_URI": "http://me:hidden@host:5000"}, "runs and models are at http://host:5000"),
    ],
)
def test_demo_prints_the_command_or_the_url_that_shows_its_runs(
    make: Make, tmp_path: Path, variables: dict[str, str], last: str
) -> None:
    said = make("demo", **variables)
    assert said.splitlines()[-1].strip() == last.format(checkout=tmp_path / "checkout")
    assert "hidden" not in said


def test_second_demo_shows_the_model_of_the_first_one(make: Make, tmp_path: Path) -> None:
    make("demo")
    make("demo")
    trained = [call for call in (tmp_path / "calls").read_text().splitlines() if call == "train"]
    assert trained == ["train"]


@pytest.mark.parametrize("given", ["my state", "it's", "-rf", "a\r"])
def test_clean_removes_the_state_and_nothing_else(make: Make, tmp_path: Path, given: str) -> None:
    checkout = tmp_path / "checkout"
    kept = [checkout / name for name in ("my", "state", "rf", "keep")]
    for directory in [*kept, checkout / given.strip() / "runs"]:
        directory.mkdir(parents=True)
    make("clean", FMNIST_HOME=given)
    left = {path.name for path in checkout.iterdir()}
    assert left == {"Makefile", "pyproject.toml", "constraints.txt", *(path.name for path in kept)}
