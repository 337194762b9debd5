"""An HTTP service at a URL, reached with httpx over connections that are kept open."""

import re
import time
from typing import Self

import httpx

from fmnist.domain.model.addresses import Address, without_credentials
from fmnist.domain.model.endpoint import Reply, Request
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable

# As an HTTP header may hold it.
_KEY = re.compile(r"[\x21-\x7e]+")
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


class HttpEndpoint:
    """Asks the service at `url`, which may end in a route prefix. A context, which closes its connections at the end.

    Args:
        api_key: sent with every request that is authorized.
        timeout: seconds to wait for a connection, and then for each part of an answer.

    Raises:
        InvalidSetting: no usable http or https URL, or an API key that no header may hold.
    """

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 30.0) -> None:
        address = Address(url)
        self._url = _check_url(address)
        user, password = address.credentials() or (None, None)
        auth = None if user is None else httpx.BasicAuth(user, password or "")
        self._key = {} if api_key is None else {"authorization": f"Bearer {_check_key(api_key)}"}
        # A proxy that the environment names can reach no address of this machine.
        self._client = httpx.Client(timeout=timeout, auth=auth, mounts=dict.fromkeys(_LOOPBACK))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, request: Request) -> Reply:
        headers = {"content-type": request.content_type} if request.content_type else {}
        if request.authorized:
            headers |= self._key
        started = time.perf_counter()
        try:
            response = self._client.request(
                request.method, self._url + request.path, content=request.body or None, headers=headers
            )
        except httpx.TimeoutException as error:
            waited = time.perf_counter() - started
            raise StoreUnavailable(f"{request}: no answer within {waited:.1f} s") from error
        except httpx.RequestError as error:
            reason = without_credentials(str(error)) or type(error).__name__
            raise StoreUnavailable(f"{request}: {reason}") from error
        return Reply(request, response.status_code, response.content, time.perf_counter() - started)


def _check_url(address: Address) -> str:
    shown = str(address)
    try:
        parsed = httpx.URL(shown)
    except httpx.InvalidURL as error:
        raise InvalidSetting(f"{shown!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidSetting(f"{shown!r} is no URL of a service: expected one such as http://127.0.0.1:8000/prefix")
    if address.has_query:
        raise InvalidSetting(f"{shown!r} must end with the service's route prefix, without ? and #")
    return str(parsed).rstrip("/")


def _check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidSetting("the API key must be of visible ASCII characters, without spaces")
    return key
