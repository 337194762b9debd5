"""No environment breaks a command: it works or ends with one line, and commands that read create nothing."""

from pathlib import Path

import pytest

from fmnist.apps import terminal
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here

URI = "models:/a/1"
READS = [
    "data versions",
    "data show",
    "promote status",
    "promote history",
    f"promote trace {URI}",
    "promote compare",
    f"promote stage --model-uri {URI}",
    "promote test",
    "promote release",
    "promote rollback --reason WHY",
    "predict --split test",
    f"evaluate {URI}",
    "serve",
    f"serve --model {URI}",
    f"deploy --model-uri {URI}",
    "train --resume 0123456789abcdef0123456789abcdef",
]
ODD: dict[str, dict[str, str]] = {
    "no home directory": {"HOME": ""},
    "a home directory that is none": {"HOME": "/nonexistent", "MPLCONFIGDIR": "/nonexistent", "XDG_CONFIG_HOME": "/x"},
    "a level of the log": {"LOG_LEVEL": "trace"},
    "no directory for temporary files": {"TMPDIR": "/nonexistent/x"},
    "a width": {"COLUMNS": "\u00b2"},
    "a narrow terminal": {"COLUMNS": "1", "TERM": "dumb"},
    "a time zone": {"TZ": "Nowhere/\u00e9"},
    "a locale": {"LANG": "xx_YY", "LC_ALL": "xx_YY.latin"},
    "colours": {"FORCE_COLOR": "3", "NO_COLOR": "1"},
    "a long path": {"FMNIST_HOME": "x" * 300},
    "a longer path": {"FMNIST_HOME": "x" * 5000},
    "a file for a directory": {"FMNIST_HOME": "/dev/null"},
    "bytes that are no text": {"FMNIST_HOME": "\udcff", "DVC_REPO_URL": "\udcff", "FMNIST_API_KEYS": "\udcff"},
    "an address": {"MLFLOW_TRACKING_URI": "http://["},
    "a port": {"MLFLOW_TRACKING_URI": "http://h:99999"},
    "another kind of address": {"MLFLOW_TRACKING_URI": "databricks"},
    "a repository": {"DVC_REPO_URL": "--upload-pack=false"},
    "a transport": {"DVC_REPO_URL": "ext::false"},
    "numbers of vendors": {"OMP_NUM_THREADS": "x", "AWS_PROFILE": "nobody"},
}


@pytest.fixture(autouse=True)
def fresh_consoles() -> None:
    terminal.stdout.cache_clear()
    terminal.stderr.cache_clear()


@pytest.mark.parametrize("line", READS)
def test_command_that_only_reads_creates_nothing(here: Here, command: Command, line: str) -> None:
    code, _, err = here(*line.split(), FMNIST_HOME=f"{command.home}/h\r")
    assert "unexpected" not in err
    assert code in (0, 1, 2)
    assert list(command.home.iterdir()) == []


@pytest.mark.parametrize("environment", ODD)
@pytest.mark.parametrize("line", ["data versions", "promote status", "promote trace models:/a/1"])
def test_command_works_in_an_odd_environment_or_names_the_problem(
    here: Here, command: Command, line: str, environment: str
) -> None:
    code, out, err = here(*line.split(), **ODD[environment])
    assert code in (0, 1, 2)
    assert "unexpected" not in err
    assert "Traceback" not in err
    if code == 0:
        assert out
    else:
        assert err.splitlines()[-1].startswith("error: ")
    assert [path for path in command.home.iterdir() if path != Path(command.home, "tmp")] == []
