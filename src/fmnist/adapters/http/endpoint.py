"""An HTTP service at a URL, reached with httpx over connections that are kept open."""

import time
from typing import Self

import httpx

from fmnist.adapters.http.address import service_url
from fmnist.domain.model.addresses import Address, is_loopback, without_credentials
from fmnist.domain.model.endpoint import Reply, Request, is_api_key
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable, UnexpectedReply

MAX_REPLY_BYTES = 2**24  # an answer to 1,000 images has less than a MiB


class HttpEndpoint:
    """Asks the service at `url`, which may end in a route prefix. A context, which closes its connections at the end.

    Args:
        api_key: sent with every request that is authorized.
        timeout: seconds to wait for a connection, and then for each part of an answer.
        direct: use no proxy, whatever the environment names; always so for the loopback interface.

    Raises:
        InvalidSetting: no usable http or https URL, an API key that no header may hold, or proxies or certificates of
            the environment that cannot be used.
    """

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 30.0, direct: bool = False) -> None:
        address = Address(url)
        parsed = service_url(address)
        self._url = str(parsed).rstrip("/")
        user, password = address.credentials() or (None, None)
        auth = None if user is None else httpx.BasicAuth(user, password or "")
        self._key = {}
        if api_key is not None:
            key = _check_key(api_key)
            # User and password take the other header, for a proxy before the service.
            self._key = {"authorization": f"Bearer {key}"} if auth is None else {"x-api-key": key}
        self._client = _client(parsed, auth, timeout, direct=direct or is_loopback(parsed.host))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, request: Request) -> Reply:
        # A packed answer has no bound before it is unpacked.
        headers = {"accept-encoding": "identity"}
        if request.content_type:
            headers["content-type"] = request.content_type
        if request.authorized:
            headers |= self._key
        started = time.perf_counter()
        try:
            with self._client.stream(
                request.method, self._url + request.path, content=request.body or None, headers=headers
            ) as response:
                body = _read(response, request)
        except httpx.TimeoutException as error:
            waited = time.perf_counter() - started
            raise StoreUnavailable(f"{request}: no answer within {waited:.1f} s") from error
        except httpx.RequestError as error:
            reason = without_credentials(str(error)) or type(error).__name__
            raise StoreUnavailable(f"{request}: {reason}") from error
        return Reply(request, response.status_code, body, time.perf_counter() - started)


def _client(url: httpx.URL, auth: httpx.BasicAuth | None, timeout: float, *, direct: bool) -> httpx.Client:
    """Make the client; of the environment it reads no more than this URL needs, for anything else may be broken."""
    try:
        trusted = httpx.create_ssl_context(trust_env=url.scheme == "https")
    except OSError as error:
        raise InvalidSetting(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error}; correct or unset it"
        ) from error
    try:
        return httpx.Client(auth=auth, verify=trusted, timeout=timeout, trust_env=not direct)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise InvalidSetting(
            f"the proxies of the environment cannot be used: {without_credentials(str(error))}; correct or unset "
            "ALL_PROXY, HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in capitals or not"
        ) from error


def _read(response: httpx.Response, request: Request) -> bytes:
    if (encoding := (response.headers.get("content-encoding") or "identity").lower()) != "identity":
        raise UnexpectedReply(
            f"{request}: the answer is packed ({encoding!r}), and was asked for as it is (Accept-Encoding: identity); "
            "switch compression off in the service, or in the proxy before it"
        )
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > MAX_REPLY_BYTES:
            raise UnexpectedReply(f"{request}: the answer has more than {MAX_REPLY_BYTES} bytes; check the URL")
    return bytes(body)


def _check_key(key: str) -> str:
    if not is_api_key(key):
        raise InvalidSetting("the API key must be of visible ASCII characters, without spaces")
    return key
