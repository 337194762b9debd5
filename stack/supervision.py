"""Runs services under `supervisord`, which starts, restarts and stops them, and keeps their logs.

A service counts as up when it answers. supervisord listens on a Unix socket that only its user can open.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from stack.services import Service, StackError

_ROOT = Path(__file__).resolve().parent.parent
_CONFIGURATION = Path(__file__).with_name("supervisord.conf")
_LOOK_SECONDS = 0.1
_LAST_LINES = 15
UP = {"STARTING", "RUNNING"}


class Supervisor:
    """The supervisord of one directory.

    Args:
        home: directory for logs and process id.
        environment: environment of supervisord and its services, from when supervisord starts.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._environment = environment
        self.logs = home / "logs"
        self.links = links(home)

    def start(self, service: Service) -> bool:
        """Start a service and wait until it answers; return False if it already runs.

        Raises:
            StackError: the service ends, does not answer in time, or its address is taken.
        """
        self._begin()
        state = self.state(service)
        if state in UP and answers(service.address):
            return False
        if state not in UP:
            self.stop(service)  # it may be waiting for its next restart
            self._refuse_taken(service)
            self._call("startProcess", service.name, False)  # noqa: FBT003 - XML-RPC has no keywords
        self._wait_until_up(service)
        return True

    def stop(self, service: Service) -> bool:
        """Stop a service; return False if it did not run."""
        state = self.state(service)
        if state in {*UP, "BACKOFF"}:
            self._call("stopProcess", service.name)
        elif state == "STOPPING":  # an earlier command was interrupted
            _wait(lambda: self.state(service) != "STOPPING", 60, f"{service.name} does not stop")
        return state in {*UP, "BACKOFF", "STOPPING"}

    def end(self) -> None:
        """End supervisord."""
        if self._answers():
            self._call("shutdown")
            _wait(lambda: not self._answers(), 30, "supervisord does not end")
        shutil.rmtree(self.links, ignore_errors=True)
        for session in sorted(self._home.glob("ray/session_2*"))[:-1]:  # the newest has the logs to read
            shutil.rmtree(session, ignore_errors=True)

    def state(self, service: Service) -> str:
        """Return supervisord's name for the state of a service; `STOPPED` if supervisord does not run."""
        return str(self._call("getProcessInfo", service.name)["statename"]) if self._answers() else "STOPPED"

    def log(self, service: Service) -> Path:
        """Return the log file of a service."""
        return self.logs / f"{service.name}.log"

    def _begin(self) -> None:
        if self._answers():
            return
        self.logs.mkdir(parents=True, exist_ok=True)
        self._make_links()
        path = os.pathsep.join([str(Path(sys.executable).parent), self._environment.get("PATH", os.defpath)])
        umask = os.umask(0o077)
        os.umask(umask)
        paths = {
            "STACK_HOME": str(self._home),
            "STACK_LINKS": str(self.links),
            "STACK_UMASK": f"{umask:03o}",
            "PATH": path,
        }
        command = [str(Path(sys.executable).with_name("supervisord")), "-c", str(_CONFIGURATION)]
        done = subprocess.run(
            command, cwd=_ROOT, env={**self._environment, **paths}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"supervisord does not start: {done.stderr.strip() or done.stdout.strip()}")
        _wait(self._answers, 30, f"supervisord does not answer; see {self.logs / 'supervisord.log'}")

    def _make_links(self) -> None:
        with suppress(FileExistsError):
            self.links.mkdir(mode=0o700)
        status = self.links.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise StackError(f"{self.links} is not a private directory of this user: remove it")
        (self._home / "ray").mkdir(exist_ok=True)
        link = self.links / "ray"
        link.unlink(missing_ok=True)
        link.symlink_to(self._home / "ray")

    def _wait_until_up(self, service: Service) -> None:
        deadline = time.monotonic() + service.patience
        first = self._pid(service)
        while not answers(service.address):
            if not first or self._pid(service) != first:
                self._give_up(service, "ended at once")
            if time.monotonic() > deadline:
                self._give_up(service, f"does not answer at {service.address} within {service.patience:.0f} s")
            time.sleep(_LOOK_SECONDS)

    def _pid(self, service: Service) -> int:
        return int(self._call("getProcessInfo", service.name)["pid"])

    def _give_up(self, service: Service, reason: str) -> NoReturn:
        self.stop(service)  # supervisord would restart it forever
        log = self.log(service)
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        raise StackError("\n".join([f"{service.name} {reason}; the end of {log}:", *last]))

    def _refuse_taken(self, service: Service) -> None:
        place = urlsplit(service.address).netloc
        if answers(f"tcp://{place}"):  # also if it does not speak HTTP
            raise StackError(
                f"{service.name}: something else listens on {place}; stop it first, such as `docker compose`, the "
                "stack of another FMNIST_HOME, or a process that was left over"
            )

    def _answers(self) -> bool:
        try:
            self._call("getState")
        except (OSError, HTTPException):
            return False
        return True

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self.links}/supervisor.sock")
        with closing(transport), ServerProxy("http://supervisor", transport=transport) as server:
            try:
                return getattr(server.supervisor, method)(*arguments)
            except Fault as fault:
                raise StackError(f"supervisord refuses {method} {arguments[:1]}: {fault.faultString}") from fault


def answers(address: str) -> bool:
    """Whether a service answers: `http://…` with a status below 500, or `tcp://HOST:PORT` with a connection."""
    parts = urlsplit(address)
    try:
        if parts.scheme == "tcp":
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
        else:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - an address of our own
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, HTTPException):
        return False
    return True


def links(home: Path) -> Path:
    """Return a directory with a short path for a state directory: the path of a socket has at most 107 bytes.

    It does not depend on TMPDIR or on the spelling of `home`. It holds supervisord's socket and a link to Ray's
    directory.
    """
    return Path("/tmp") / f"fmnist-{os.getuid()}-{sha256(os.fsencode(home.resolve())).hexdigest()[:8]}"  # noqa: S108 - `_make_links` checks it


def refuse_earlier(record: Path) -> None:
    """Refuse to run beside services of an earlier version, which supervisord does not know.

    Raises:
        StackError: `record`, the list of those services, exists.
    """
    if record.exists():
        raise StackError(f"an earlier version started services here: stop them with that version, then remove {record}")


def _wait(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StackError(complaint)
        time.sleep(_LOOK_SECONDS)
