"""The servers of the serving benchmark: how each is started, asked and stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import serving_bentoml_setup as bentoml

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.data.normalization import Normalization

HERE = Path(__file__).parent
SUBJECTS_FILE = str(HERE / "serving_subjects.py")
START_SECONDS, STOP_SECONDS = 180, 60
POLL_SECONDS, SAMPLE_SECONDS = 0.02, 0.2

# Stand for the port and the model in a command.
PORT, MODEL = "PORT", "MODEL"

Body = Callable[[Images], bytes]


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


@dataclass(frozen=True)
class Server:
    """A server: its command and variables, its path, and the form of requests and answers."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/predict"
    json_body: Body = pixels_as_json
    classes: Callable[[Any], list[int]] = predicted_classes
    takes_octets: bool = False


def servers(normalization: Normalization, exported: Path) -> dict[str, Server]:
    """Return the servers by name. BentoML reads the model from the folder `exported`."""
    python = sys.executable
    return {
        "fmnist": _fmnist("local"),
        "ray": _fmnist("ray", RAY_SERVE_ENABLE_HA_PROXY="0"),
        "haproxy": _fmnist("ray", RAY_SERVE_ENABLE_HA_PROXY="1", RAY_SERVE_HAPROXY_NBTHREAD="1"),
        "plain": Server([python, SUBJECTS_FILE, "plain", PORT, MODEL]),
        "litserve": Server([python, str(HERE / "serving_litserve.py"), PORT, MODEL]),
        "bentoml": Server(
            [*bentoml.COMMAND, "--host", "127.0.0.1", "--port", PORT],
            {"MODEL_FOLDER": str(exported), "BENTOML_HOME": str(exported), "BENTOML_DO_NOT_TRACK": "true"},
            # Only lists of predictions can be answered from a batch.
            classes=lambda answer: predicted_classes({"predictions": answer}),
        ),
        "mlflow": Server(
            [python, SUBJECTS_FILE, "mlflow", PORT, MODEL],
            path="/invocations",
            json_body=inputs_as_json(normalization),
            classes=lambda answer: [int(np.argmax(row)) for row in answer["predictions"]],
        ),
    }


def _fmnist(compute: str, **environment: str) -> Server:
    command = [sys.executable, "-m", "fmnist", "serve", "--compute", compute, "--port", PORT, "--model", MODEL]
    return Server(command, environment, takes_octets=True)


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
    body, client = server.json_body(images), httpx.Client(timeout=START_SECONDS)
    with client, log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [{PORT: str(port), MODEL: model}.get(part, part) for part in server.command],
            cwd=log.parent,
            env={**environment, **server.environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        started = Running(process, port, f"http://127.0.0.1:{port}{server.path}")
        try:
            found = server.classes(_first_answer(started, client, body, log))
            started.start_seconds = time.monotonic() - began
            if found != list(classes):
                sys.exit(f"{process.args!r} answers {found}, expected {list(classes)}: it cannot be compared")
            yield started
        finally:
            started.stop()


@dataclass
class Running:
    """A started server. `start_seconds` is the time from its command to its first answer."""

    process: "subprocess.Popen[bytes]"
    port: int
    url: str
    start_seconds: float = 0
    peak_mib: float = 0

    def listens(self) -> bool:
        """Return whether its port accepts connections. Cheaper than a request."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def processes(self) -> list[psutil.Process]:
        """Return the server's process, then its children."""
        try:
            leader = psutil.Process(self.process.pid)
            return [leader, *leader.children(recursive=True)]
        except (psutil.NoSuchProcess, FileNotFoundError):
            return []

    def replicas(self) -> int:
        """Return the current number of Ray Serve replicas."""
        return sum("ServeReplica" in _title(each) for each in self.processes())

    @contextmanager
    def memory_sampled(self) -> Iterator[None]:
        """Sample the memory of all processes into `peak_mib`. Pages that processes share count once (PSS)."""
        done = threading.Event()

        def sample() -> None:
            while not done.wait(SAMPLE_SECONDS):
                self.peak_mib = max(self.peak_mib, sum(_pss(each) for each in self.processes()) / 2**20)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            yield
        finally:
            done.set()
            sampler.join()

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
        for each in family:
            # Of a process that is just ending, Linux may say that there is no such file.
            with suppress(psutil.Error, FileNotFoundError):
                each.wait(STOP_SECONDS)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _pss(process: psutil.Process) -> int:
    try:
        pss: int = process.memory_full_info().pss
    except (psutil.Error, FileNotFoundError):  # of a process that is just ending
        return 0
    return pss


def _first_answer(started: Running, client: httpx.Client, body: bytes, log: Path) -> Any:
    until = time.monotonic() + START_SECONDS
    last: object = None
    while time.monotonic() < until and started.process.poll() is None:
        try:
            if started.listens():
                answer = client.post(started.url, content=body, headers={"Content-Type": "application/json"})
                if answer.is_success:
                    return answer.json()
                last = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code in (400, 422):
                    break
        except httpx.HTTPError as error:
            last = error
        time.sleep(POLL_SECONDS)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
    sys.exit("\n".join([*lines, f"{started.process.args!r} did not start: {last}"]))
