"""Messages about failures of MLflow: what is wrong, and which part to check."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import InvalidProxyURL, InvalidURL

from fmnist.adapters.mlflow import connection as connection_module
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.errors import unavailable
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable
from stack.services import HOST, free_ports, tracking_server
from tests.integration.services import new_object_store, running

FILE = f"/api/2.0/mlflow-artifacts/artifacts/1/{'b' * 32}/artifacts/data/{'long' * 40}.onnx"
SERVER = f"http://{HOST}:5000"


@pytest.mark.soak
def test_advice_names_the_artifact_store_if_the_server_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (port,) = free_ports(1)
    with running(tracking_server(port, tmp_path, new_object_store(), "s3://mlflow/artifacts"), tmp_path):
        tracker = MlflowTracker(MlflowConnection(Address(f"http://{HOST}:{port}")))
        run_id = tracker.start("run", {})
        with pytest.raises(StoreUnavailable) as caught:
            tracker.log_artifact(run_id, "a.json", b"{}")
    assert str(caught.value) == (
        f"MLflow at http://{HOST}:{port} fails on run '{run_id}': ResponseError('too many 500 error responses'); "
        "check the server's artifact store; the server's log tells the cause"
    )


def exhausted(cause: str) -> str:
    """Return MLflow's message for a request that failed after all retries."""
    pool = f"HTTPConnectionPool(host='{HOST}', port=5000)"
    return (
        f"API request to {SERVER}{FILE} failed with exception {pool}: "
        f"Max retries exceeded with url: {FILE} (Caused by {cause})"
    )


CHECK_SERVER = "check MLFLOW_TRACKING_URI, and that the server runs"
CHECK_STORE = "check the server's artifact store"


@pytest.mark.parametrize(
    ("said", "cause", "advice"),
    [
        (exhausted("NewConnectionError('[Errno 111] Connection refused')"), "Connection refused", CHECK_SERVER),
        (
            exhausted("ReadTimeoutError('Read timed out. (read timeout=60)')"),
            "(read timeout=60)",
            f"{CHECK_STORE}, or set MLFLOW_HTTP_REQUEST_TIMEOUT to more seconds;",
        ),
        (
            "The following failures occurred while downloading one or more artifacts from models:/m:\n##### a #####\n"
            + exhausted("ResponseError('too many 503 error responses')"),
            "too many 503 error responses",
            CHECK_STORE,
        ),
        (
            f"502 Server Error: Bad Gateway for url: {SERVER}{FILE}. Response text: no upstream",
            "502 Server Error: Bad Gateway. Response text: no upstream",
            CHECK_STORE,
        ),
        (f"API request to {SERVER}/api failed with timeout exception not in 8 s", ": not in 8 s", CHECK_SERVER),
    ],
)
def test_cause_is_shown_after_an_address_of_any_length(said: str, cause: str, advice: str) -> None:
    message = str(unavailable(SERVER, "run 'b'", MlflowException(said)))
    assert cause in message
    assert advice in message
    assert "mlflow-artifacts" not in message


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (MlflowException("API request to endpoint /api failed with error code 407 != 200. Response body: ''"), "check"),
        (MlflowException(f"503 Server Error: for url: {SERVER}/health"), f"{CHECK_SERVER}; check"),
        (InvalidProxyURL("Please check proxy URL"), "check"),
        (InvalidURL("Failed to parse: http://a@b/c@d"), "check"),
    ],
)
def test_proxy_is_named_if_it_may_be_the_cause(monkeypatch: pytest.MonkeyPatch, said: Exception, advice: str) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    message = str(unavailable(Address("http://mlflow.invalid:5000"), "run 'b'", said))
    assert f"; {advice} http_proxy, which names the proxy http://proxy:3128; list mlflow.invalid in" in message


@pytest.mark.parametrize("uri", ["http://:5000", "http://mlflow.invalid:99999", "http://*.invalid"])
def test_proxy_is_not_blamed_for_a_wrong_address_of_the_server(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    with pytest.raises(StoreUnavailable) as caught:
        MlflowConnection(Address(uri)).client()
    assert str(caught.value).endswith("; correct MLFLOW_TRACKING_URI")


@pytest.mark.parametrize(
    ("variable", "proxy", "shown"),
    [
        ("HTTP_PROXY", "http://me:hidden@127.0.0.1:1", ", which names the proxy http://127.0.0.1:1"),
        ("http_proxy", "me:hidden@127.0.0.1:1", ", which names the proxy http://127.0.0.1:1"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", ", which names the proxy socks5://127.0.0.1:1"),
        ("HTTP_PROXY", "http://:3128", ", which names the proxy http://:3128"),
        ("HTTP_PROXY", "http://a@b/c@d", ""),
    ],
)
def test_proxy_that_fails_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, shown: str
) -> None:
    monkeypatch.setitem(connection_module._PROBE, "max_retries", 0)
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(StoreUnavailable) as caught:
        MlflowConnection(Address("http://mlflow.invalid:5000")).client()
    advice = f"; check {variable}{shown}; list mlflow.invalid in NO_PROXY to reach it without a proxy"
    assert str(caught.value).endswith(advice)
    assert "hidden" not in str(caught.value)
