"""A request times out soon if the server sends nothing, but not while the server is busy with a file."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.patience import PATIENCE, awaiting_files
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable

ANSWER = "MLFLOW_HTTP_REQUEST_TIMEOUT"
RUN = "b" * 32


class HealthyOnly(BaseHTTPRequestHandler):
    """Answers /health, and then nothing until `answer` is set. `asked` lists the requests."""

    answer: threading.Event
    asked: list[str]

    def do_GET(self) -> None:
        self._say({})

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.answer.wait(60)

    def log_message(self, *_: object) -> None:
        pass

    def _say(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class SlowWithFiles(HealthyOnly):
    """Knows one run, and answers an upload of its file only after two seconds."""

    def do_GET(self) -> None:
        info = {"run_id": RUN, "artifact_uri": f"mlflow-artifacts:/1/{RUN}/artifacts", "status": "RUNNING"}
        self._say({"run": {"info": info}})

    def do_PUT(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer.wait(2)
        self._say({})


@contextmanager
def serving(kind: type[HealthyOnly]) -> Iterator[tuple[MlflowTracker, list[str]]]:
    asked, answer = list[str](), threading.Event()
    handler = type("Handler", (kind,), {"asked": asked, "answer": answer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield MlflowTracker(MlflowConnection(Address(f"http://127.0.0.1:{server.server_port}"))), asked
        answer.set()
        server.shutdown()


def test_server_that_stops_answering_times_out_within_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name: os.environ.get(name) for name in PATIENCE} == PATIENCE
    monkeypatch.setenv(ANSWER, "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    with serving(HealthyOnly) as (tracker, asked), pytest.raises(StoreUnavailable, match="Read timed out"):
        tracker.log(RUN, metrics={"val_acc": 0.5})
    # The real values, which the test replaced by one second and by no wait between attempts.
    waits = sum(int(PATIENCE["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"]) * 2**retry for retry in range(1, len(asked) - 1))
    assert len(asked) * int(PATIENCE[ANSWER]) + waits <= 35


def test_slow_upload_of_a_file_does_not_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE, ANSWER, "1")
    monkeypatch.setenv(ANSWER, "1")
    with serving(SlowWithFiles) as (tracker, asked):
        tracker.log_artifact(RUN, "a.json", b"content")
    assert asked == ["content"]
    assert os.environ[ANSWER] == "1"


def test_uploads_of_other_threads_keep_the_longer_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ANSWER, PATIENCE[ANSWER])
    with awaiting_files():
        with awaiting_files():
            pass
        assert int(os.environ[ANSWER]) > int(PATIENCE[ANSWER])
    assert os.environ[ANSWER] == PATIENCE[ANSWER]


def test_timeout_that_the_user_set_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ANSWER, "3")
    with awaiting_files():
        assert os.environ[ANSWER] == "3"
    assert os.environ[ANSWER] == "3"
