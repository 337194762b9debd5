"""A call fails in about a minute if the server accepts the request and then sends nothing."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fmnist.adapters.mlflow import TIME_LIMITS
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable


class HealthyOnly(BaseHTTPRequestHandler):
    """Answers /health, and then nothing until `answer` is set. `asked` lists the requests."""

    answer: threading.Event
    asked: list[str]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.answer.wait(60)

    def log_message(self, *_: object) -> None:
        pass


def test_server_that_stops_answering_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name: os.environ.get(name) for name in TIME_LIMITS} == TIME_LIMITS
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    asked, answer = list[str](), threading.Event()
    handler = type("Handler", (HealthyOnly,), {"asked": asked, "answer": answer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracker = MlflowTracker(MlflowConnection(Address(f"http://127.0.0.1:{server.server_port}")))
        with pytest.raises(StoreUnavailable, match="Read timed out"):
            tracker.log("b" * 32, metrics={"val_acc": 0.5})
        answer.set()
        server.shutdown()
    # The real values, which the test replaced by one second and by no wait between attempts.
    seconds, factor = (int(TIME_LIMITS[f"MLFLOW_HTTP_REQUEST_{name}"]) for name in ("TIMEOUT", "BACKOFF_FACTOR"))
    assert len(asked) * seconds + sum(factor * 2**retry for retry in range(1, len(asked) - 1)) <= 70
