"""What every suite shares: how hypothesis looks for counterexamples, and how processes share the tests out."""

import os
import signal
import time
from types import FrameType
from typing import Any, NoReturn

import psutil
import pytest
from hypothesis import settings

# The same examples at every run, so that a red suite stays red; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("steady", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("steady")

# Several processes train at once: torch's threads that wait busily for each other would cost twice the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A suite that was started in the background inherits an ignored SIGINT, which is none of what the tests are about.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A suite that is told to end ends what it started.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give all integration tests of a folder to one process: they share its models and clusters."""
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
    """Let the processes of an interrupted suite end what they started: xdist would kill them after some seconds.

    A signal to this process alone has not reached them.
    """
    now = time.monotonic()
    tell, deadline = now + 10, now + 120
    while exitstatus == pytest.ExitCode.INTERRUPTED and time.monotonic() < deadline:
        if not (busy := [process for process in _processes if not process._down]):
            break
        if time.monotonic() > tell:
            tell = deadline  # once
            for process in busy:
                process.gateway._io.popen.terminate()
        time.sleep(0.1)  # between two looks
