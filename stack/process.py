"""A service as a process: started with its log in a file, waited for until it answers, and ended with all its children.

A process is known by its id and the time it was made at, so that a number that was given away again is nobody's.
"""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

_LOOK_SECONDS = 0.1
_LAST_LINES = 15


class StackError(Exception):
    """A service does not come up, or is not what the stack needs; the message is meant for a person."""


@dataclass(frozen=True, slots=True)
class Service:
    """What it takes to run a service.

    Attributes:
        name: as a person calls it, and its log file too.
        command: stays in the foreground, and ends on SIGTERM.
        address: answers when the service is up: `http://...` with a status below 500, `tcp://HOST:PORT` by listening.
        home: directory that it keeps things in; made before it starts.
        environment: is added to that of the caller. Secrets go here, for a command line is seen by everyone.
        patience: seconds until it has to answer.
    """

    name: str
    command: tuple[str, ...]
    address: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: float = 120


def start(service: Service, log: Path) -> psutil.Process:
    """Start the service in a session of its own, out of reach of the terminal's Ctrl-C; return its process."""
    for directory in (service.home, log.parent):
        directory.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return psutil.Popen(
            service.command,
            env={**os.environ, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_healthy(service: Service, process: psutil.Process, log: Path) -> None:
    """Return when the service answers.

    Raises:
        StackError: it ended, or does not answer in time; the message has the last lines of its log.
    """
    deadline = time.monotonic() + service.patience
    while is_alive(process):
        if answers(service.address):
            return
        if time.monotonic() > deadline:
            reason = f"does not answer at {service.address} within {service.patience:.0f} s"
            break
        time.sleep(_LOOK_SECONDS)
    else:
        reason = "ended at once"
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    raise StackError("\n".join([f"{service.name} {reason}; the end of {log}:", *last]))


def answers(address: str) -> bool:
    """Whether a service answers at its address."""
    parts = urlsplit(address)
    try:
        if parts.scheme == "tcp":
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
        else:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - an address of our own
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True


def is_alive(process: psutil.Process) -> bool:
    """Whether that very process still runs."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def stop(process: psutil.Process, patience: float = 30) -> None:
    """End the process in order, and by force whatever of it and its children is there after `patience` seconds."""
    if not is_alive(process):
        return
    # Children have to be listed while their parent lives: afterwards nobody knows whose they were.
    family = [process, *process.children(recursive=True)]
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    _, left = psutil.wait_procs([process], timeout=patience)
    _, left = psutil.wait_procs(family, timeout=0 if left else 3)
    for survivor in left:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(left, timeout=5)
