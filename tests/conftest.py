"""Settings of all suites: how hypothesis generates examples, and how processes divide the tests."""

import os
import signal
import time
from types import FrameType
from typing import Any, NoReturn

import psutil
import pytest
from hypothesis import settings

# The same examples at every run, so that a failure repeats. `--hypothesis-profile=explore` generates new ones.
settings.register_profile("steady", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("steady")

# Several processes train at once. Busy waiting of torch's threads would double the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A suite in the background inherits an ignored SIGINT, which would change the tests of interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# An interrupted suite stops what it started.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Run all integration tests of a folder in one process, because they share models and clusters."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return path.rpartition("/")[0] if path.startswith("tests/integration/") else path

    def end_all(number: int, frame: FrameType | None) -> NoReturn:
        for process in psutil.Process().children():
            process.terminate()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, end_all)
    return ByFolder(config, log)


_processes: list[Any] = []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    _processes.append(node)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Let the processes of an interrupted suite stop what they started. xdist would kill them after some seconds.

    A signal to this process does not reach them.
    """
    now = time.monotonic()
    tell, deadline = now + 10, now + 120
    while exitstatus == pytest.ExitCode.INTERRUPTED and time.monotonic() < deadline:
        if not (busy := [process for process in _processes if not process._down]):
            break
        if time.monotonic() > tell:
            tell = deadline  # only once
            for process in busy:
                process.gateway._io.popen.terminate()
        time.sleep(0.1)  # between two checks
