"""Environments that a process cannot change after its start: its interpreter and its streams."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def run(line: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["/bin/bash", "-c", line.replace("fmnist", f"'{sys.executable}' -m fmnist")],
        cwd=cwd,
        env={**bare, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("fmnist --help; fmnist train --help", ASCII),
        ("fmnist --help", {"COLUMNS": "\u00b2", "TERMINAL_WIDTH": "x"}),
        ("fmnist --help; fmnist --version", {"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}),
        ("unset PATH HOME; fmnist --help", {}),
        ("umask 777; ulimit -n 20; fmnist --help", {"TMPDIR": "/nonexistent", "HOME": "/nonexistent"}),
    ],
    ids=["ascii", "widths", "strict interpreter", "nothing", "limits"],
)
def test_help_works_in_odd_environments(tmp_path: Path, line: str, variables: dict[str, str]) -> None:
    done = run(line, tmp_path, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_command_names_its_deleted_working_directory(tmp_path: Path) -> None:
    done = run("mkdir gone; cd gone; rmdir ../gone; fmnist data versions", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == ("error: the working directory no longer exists: change to another one")
