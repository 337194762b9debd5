"""The servers of the serving benchmark: how each is started, asked and stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.data.normalization import Normalization

HERE = Path(__file__).parent
SUBJECTS_FILE = str(HERE / "serving_subjects.py")
START_SECONDS, STOP_SECONDS = 180, 60
POLL_SECONDS = 0.5

Body = Callable[[Images], bytes]


@dataclass(frozen=True)
class Server:
    """A server: its command for a port and a model, its path, and the form of requests and answers."""

    command: Callable[[int, str], list[str]]
    path: str
    json_body: Body
    classes: Callable[[Any], list[int]]
    takes_octets: bool = False


def pixels_as_json(images: Images) -> bytes:
    return json.dumps({"images": images.reshape(len(images), -1).tolist()}, separators=(",", ":")).encode()


def inputs_as_json(normalization: Normalization) -> Body:
    """MLflow's own server takes the inputs of the network: normalized floats."""

    def body(images: Images) -> bytes:
        inputs = np.round(normalization.apply(images).astype(np.float64), 4)
        return json.dumps({"inputs": inputs.tolist()}, separators=(",", ":")).encode()

    return body


def predicted_classes(answer: Any) -> list[int]:
    return [each["class_id"] for each in answer["predictions"]]


def servers(normalization: Normalization) -> dict[str, Server]:
    python = sys.executable
    return {
        "plain": Server(
            lambda port, model: [python, SUBJECTS_FILE, "plain", str(port), model],
            "/predict",
            pixels_as_json,
            predicted_classes,
        ),
        "fmnist": Server(
            lambda port, model: [python, "-m", "fmnist", "serve", "--port", str(port), "--model", model],
            "/predict",
            pixels_as_json,
            predicted_classes,
            takes_octets=True,
        ),
        "litserve": Server(
            lambda port, model: [python, str(HERE / "serving_litserve.py"), str(port), model],
            "/predict",
            pixels_as_json,
            predicted_classes,
        ),
        "mlflow": Server(
            lambda port, model: [python, SUBJECTS_FILE, "mlflow", str(port), model],
            "/invocations",
            inputs_as_json(normalization),
            lambda answer: [int(np.argmax(row)) for row in answer["predictions"]],
        ),
    }


@contextmanager
def running(
    server: Server, model: str, images: Images, classes: Sequence[int], environment: Mapping[str, str], log: Path
) -> Iterator["Running"]:
    """Start the server, yield it when it answers `images` with `classes`, and stop it and its children at the end.

    It runs in the directory of `log`, which gets its output. The end of `log` is shown if it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(port, model),
            cwd=log.parent,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = Running(process, f"http://127.0.0.1:{port}{server.path}")
    try:
        found = _first_answer(started, server, images, log)
        if found != list(classes):
            sys.exit(f"{process.args!r} answers {found}, expected {list(classes)}: it cannot be compared")
        yield started
    finally:
        started.stop()


@dataclass(frozen=True)
class Running:
    """A started server."""

    process: "subprocess.Popen[bytes]"
    url: str

    def processes(self) -> list[psutil.Process]:
        """Return the server's process, then its children."""
        try:
            leader = psutil.Process(self.process.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def replicas(self) -> int:
        """Return the current number of Ray Serve replicas."""
        return sum("ServeReplica" in _title(each) for each in self.processes())

    def stop(self) -> None:
        """Terminate the server, then kill the processes that are left."""
        family = self.processes()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self.process.args!r} did not end within {STOP_SECONDS} s and is killed", file=sys.stderr)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=STOP_SECONDS)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _first_answer(started: Running, server: Server, images: Images, log: Path) -> list[int]:
    until = time.monotonic() + START_SECONDS
    last: object = None
    while time.monotonic() < until and started.process.poll() is None:
        try:
            answer = httpx.post(
                started.url,
                content=server.json_body(images),
                headers={"Content-Type": "application/json"},
                timeout=START_SECONDS,
            )
            if answer.is_success:
                return server.classes(answer.json())
            last = f"{answer.status_code} {answer.text[:200]}"
            if answer.status_code in (400, 422):
                break
        except httpx.HTTPError as error:
            last = error
        time.sleep(POLL_SECONDS)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
    sys.exit("\n".join([*lines, f"{started.process.args!r} did not start: {last}"]))
