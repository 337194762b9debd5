"""Translates MLflow's failures into the domain's errors. Every exception of an MLflow call must pass through here."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import InvalidUrlException, MlflowException
from requests import Request
from requests.exceptions import InvalidURL

from fmnist.adapters.environment import proxy_advice
from fmnist.domain.model.address import Address, without_credentials
from fmnist.domain.model.errors import FmnistError, InvalidSetting, StoreUnavailable

_LONGEST_REASON = 300
# requests, urllib3 and MLflow wrap the cause in text with addresses, which our message names already.
_CAUSE = re.compile(r"\(Caused by (?P<cause>.+)\)")
_NOISE = re.compile(r"^API request to \S+ failed with (?:timeout )?exception | for url: \S+?(?=\.?(?:\s|$))")
_STORE_FAILS = re.compile(r"\b5\d\d (?:error responses|Server Error)|Read timed out")
_PROXY_FAILS = re.compile(r"ProxyError|[Pp]roxy URL|SOCKS support|Proxy Authentication|\b407\b")
_DISTRUST = re.compile(r"CERTIFICATE|TLS .*certificate")
_NOT_ALLOWED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}


@contextmanager
def translated(tracking_uri: Address, what: str, missing: type[FmnistError] = StoreUnavailable) -> Iterator[None]:
    """Translate exceptions of MLflow inside of the block. `what` names the object of the calls in messages.

    Raises:
        FmnistError: `missing` when MLflow has no such object, `InvalidSetting` when it refuses a value,
            `StoreUnavailable` for everything else.
    """
    try:
        yield
    except FmnistError:
        raise
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
            raise missing(f"{what} is not in MLflow at {tracking_uri}: {reason(error)}") from error
        if error.error_code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}:
            raise InvalidSetting(f"MLflow at {tracking_uri} refuses {what}: {reason(error)}") from error
        raise unavailable(tracking_uri, what, error) from error
    except Exception as error:
        # MLflow does not catch exceptions of a store's driver: requests, SQLAlchemy, botocore, OSError and more.
        raise unavailable(tracking_uri, what, error) from error


def unavailable(tracking_uri: Address, what: str, error: Exception) -> StoreUnavailable:
    """Return the error for a store that fails, with advice for this kind of store and failure."""
    if isinstance(error, InvalidUrlException) and isinstance(error.__cause__, InvalidURL):
        error = error.__cause__  # it says what is wrong with the URL
    return StoreUnavailable(
        f"MLflow at {tracking_uri} fails on {what}: {reason(error)}; {_advice(tracking_uri, error)}"
    )


def _advice(tracking_uri: Address, error: Exception) -> str:
    if str(tracking_uri).startswith("sqlite:"):
        return "check that it is a database of MLflow, and that its folder and the artifact folder are writable"
    if getattr(error, "error_code", None) in _NOT_ALLOWED:
        return "check MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, and the permissions of that user"
    of_a_url = isinstance(error, InvalidURL)
    if of_a_url and not _can_be_asked(str(tracking_uri)):
        return "correct MLFLOW_TRACKING_URI"
    text, proxy = str(error), proxy_advice(str(tracking_uri))
    if proxy and (of_a_url or _PROXY_FAILS.search(text)):
        return proxy
    if _DISTRUST.search(text):
        return (
            "set REQUESTS_CA_BUNDLE or MLFLOW_TRACKING_SERVER_CERT_PATH to its CA certificate file; "
            "MLFLOW_TRACKING_INSECURE_TLS=true accepts any certificate"
        )
    if "/mlflow-artifacts/" in text and _STORE_FAILS.search(text):
        longer = ", or set MLFLOW_HTTP_REQUEST_TIMEOUT to more seconds" if "timed out" in text else ""
        return f"check the server's artifact store{longer}; the server's log tells the cause"
    return "; ".join(filter(None, ("check MLFLOW_TRACKING_URI, and that the server runs", proxy)))


def _can_be_asked(url: str) -> bool:
    try:
        Request("GET", url).prepare()
    except InvalidURL:
        return False
    return True


def reason(error: Exception) -> str:
    """Return the cause of an error, or else its first line, without credentials.

    Only the first line, because a server may answer with a whole HTML page.
    """
    if cause := _CAUSE.search(str(error)):
        words = cause["cause"]
    else:
        words = _NOISE.sub("", next(iter(str(error).splitlines()), "")) or type(error).__name__
    return without_credentials(words)[:_LONGEST_REASON]
