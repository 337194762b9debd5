"""A service as a process: started with its log in a file, waited for until it answers, and ended with all its children.

It gets a session of its own, and so do all that come from it.
"""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
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


def family(pid: int) -> list[psutil.Process]:
    """Return what runs of a service: the process that was started, unless it is gone, and then all that came from it.

    They are known by their session, which is named after that process for as long as any of them lives: who is killed
    takes no child along, and an orphan has no parent that one could ask.
    """
    session = [each for each in psutil.process_iter() if _session(each) == pid and is_alive(each)]
    session.sort(key=lambda each: each.pid != pid)
    found = dict.fromkeys(session)
    for member in session:
        with suppress(psutil.NoSuchProcess):
            found |= dict.fromkeys(member.children(recursive=True))
    return list(found)


def stop(process: psutil.Process, patience: float = 30) -> None:
    """End a service that was started in order, and by force whatever of it is there after `patience` seconds."""
    # It is waited for itself, not by another name: it may be a child of ours.
    stop_family(process.pid, [process if each == process else each for each in family(process.pid)], patience)
    psutil.wait_procs([process], timeout=0)  # where it had ended before, nobody has waited for it yet


def stop_family(pid: int, members: Sequence[psutil.Process], patience: float = 30) -> None:
    """Do as `stop` does, for a process that may be gone already: then its orphans are told one by one."""
    told = [each for each in members if each.pid == pid] or members
    for each in told:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, left = psutil.wait_procs(told, timeout=patience)
    _, left = psutil.wait_procs(members, timeout=0 if left else 3)
    for survivor in left:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(left, timeout=5)


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None
