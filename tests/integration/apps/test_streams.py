"""A program with a broken standard stream finishes its work and shows no traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Prints progress on stderr, creates a file as its work, and prints a result. Some locales cannot encode the é.
PROGRAM = """
import logging, os, sys
from pathlib import Path
from fmnist.apps.streams import guarded_streams
with guarded_streams():
    logging.basicConfig(level="INFO")
    logging.info("progress \\u00e9")
    sys.stderr.write("more " * 40_000 + "\\n")
    Path(sys.argv[1]).write_text("done")  # must not get the descriptor of a closed stream
    sys.stdin.read()
    sys.stdout.write("result \\u00e9\\n")
"""


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """The file that the program creates when its work is done."""
    path = tmp_path / "work"
    yield path
    assert path.read_text() == "done"


def run(work: Path, redirections: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" "$2" {redirections}', sys.executable, PROGRAM, str(work)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2> >(exec true)", "2>/dev/null </dev/null", "2>&- <&-"])
def test_broken_stderr_stops_neither_the_work_nor_the_result(work: Path, stderr: str) -> None:
    done = run(work, stderr)
    assert (done.returncode, done.stdout, done.stderr) == (0, "result \u00e9\n", "")


@pytest.mark.parametrize(
    ("stdout", "code", "message"),
    [
        ("| exec true", 141, ""),
        (">/dev/full", 1, "error: the result cannot be written to stdout: No space left on device\n"),
        (">&-", 0, ""),
    ],
)
def test_result_that_cannot_be_written_gives_no_traceback(work: Path, stdout: str, code: int, message: str) -> None:
    done = run(work, stdout)
    *_, last = done.stderr.splitlines(keepends=True)
    assert (done.returncode, "Traceback" in done.stderr, "Exception ignored" in done.stderr) == (code, False, False)
    assert last == message if message else last.startswith("more ")


def test_any_text_can_be_printed_in_any_locale(work: Path) -> None:
    done = run(work, "2>/dev/null", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "result \\xe9\n")
