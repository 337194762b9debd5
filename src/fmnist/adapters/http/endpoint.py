"""A client for an HTTP service at a URL, with httpx and connections that stay open."""

import json
import time
from dataclasses import dataclass
from typing import Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from fmnist.adapters.http.address import service_url
from fmnist.domain.model.address import Address, is_loopback, without_credentials
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable, UnexpectedReply
from fmnist.domain.model.text import is_visible_ascii

MAX_REPLY_BYTES = 2**24  # an answer to 1,000 images has less than 1 MiB
_DETAIL_SHOWN = 160
_Shape = TypeVar("_Shape")


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request, such as `GET /health`, and the seconds that it took."""

    request: str
    status: int
    body: bytes
    seconds: float

    def expect(self, *statuses: int) -> Self:
        """Return this reply.

        Raises:
            UnexpectedReply: it has another status. The message includes the service's reason.
        """
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            reason = f" ({self.detail})" if self.detail else ""
            raise UnexpectedReply(f"{self.request} returned {self.status}{reason}, expected {wanted}")
        return self

    def read(self, shape: type[_Shape]) -> _Shape:
        """Return the body as a dataclass. It must be a JSON object with these fields; others are ignored.

        Raises:
            UnexpectedReply: it is not such an object.
        """
        try:
            return TypeAdapter(shape).validate_json(self.body, strict=True)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"])) or "the body"
            raise UnexpectedReply(f"{self.request}: {place}: {wrong['msg']}") from error

    @property
    def detail(self) -> str:
        """The start of the reason in an error document, or an empty text."""
        try:
            detail = json.loads(self.body)["detail"]
        except (ValueError, RecursionError, LookupError, TypeError):
            return ""
        if isinstance(detail, dict):
            # The health document of a service that is not ready.
            detail = detail.get("reload_error") or detail.get("status")
        return str(detail or "")[:_DETAIL_SHOWN]


class HttpEndpoint:
    """A client for the service at `url`, which may end with a route prefix. As a context, it closes its connections.

    Args:
        api_key: sent with every request, unless `ask` gets `key=False`.
        timeout: seconds to wait for a connection, and then for each part of an answer.
        direct: ignore the environment's proxies. The loopback interface never uses a proxy.

    Raises:
        InvalidSetting: the URL is not a usable http or https URL; or the API key does not fit into a header; or a
            proxy or certificate of the environment cannot be used.
    """

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 30.0, direct: bool = False) -> None:
        address = Address(url)
        parsed = service_url(address)
        self._url = str(parsed).rstrip("/")
        user, password = address.credentials() or (None, None)
        auth = None if user is None else httpx.BasicAuth(user, password or "")
        self._key = {}
        if api_key is not None:
            if not is_visible_ascii(api_key):
                raise InvalidSetting("the API key must have only visible ASCII characters, without spaces")
            # User and password need the `authorization` header, for a proxy in front of the service.
            self._key = {"authorization": f"Bearer {api_key}"} if auth is None else {"x-api-key": api_key}
        self._client = _client(parsed, auth, timeout, direct=direct or is_loopback(parsed.host))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(
        self, method: str, path: str, body: bytes = b"", content_type: str | None = None, *, key: bool = True
    ) -> Reply:
        """Send a request to a path below the service's URL, with or without the API key.

        Raises:
            StoreUnavailable: there is no answer in time.
            UnexpectedReply: the answer is too long, or compressed.
        """
        request = f"{method} {path}" + (f" ({content_type})" if content_type else "")
        # The size of a compressed answer is not known before it is decompressed.
        headers = {"accept-encoding": "identity"} | (self._key if key else {})
        if content_type:
            headers["content-type"] = content_type
        started = time.perf_counter()
        try:
            with self._client.stream(method, self._url + path, content=body or None, headers=headers) as response:
                answer = _read(response, request)
        except httpx.TimeoutException as error:
            waited = time.perf_counter() - started
            raise StoreUnavailable(f"{request}: no answer within {waited:.1f} s") from error
        except httpx.RequestError as error:
            reason = without_credentials(str(error)) or type(error).__name__
            raise StoreUnavailable(f"{request}: {reason}") from error
        return Reply(request, response.status_code, answer, time.perf_counter() - started)


def _client(url: httpx.URL, auth: httpx.BasicAuth | None, timeout: float, *, direct: bool) -> httpx.Client:
    """Make the client. It reads only those environment variables that this URL needs, because others may be broken."""
    try:
        trusted = httpx.create_ssl_context(trust_env=url.scheme == "https")
    except OSError as error:
        raise InvalidSetting(
            f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}; correct or unset the variable"
        ) from error
    try:
        return httpx.Client(auth=auth, verify=trusted, timeout=timeout, trust_env=not direct)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise InvalidSetting(
            f"the proxies of the environment cannot be used: {without_credentials(str(error))}; correct or unset "
            "ALL_PROXY, HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in upper and lower case"
        ) from error


def _read(response: httpx.Response, request: str) -> bytes:
    if (encoding := (response.headers.get("content-encoding") or "identity").lower()) != "identity":
        raise UnexpectedReply(
            f"{request}: the answer is compressed ({encoding!r}), expected none (Accept-Encoding: identity); "
            "turn off compression in the service, or in the proxy in front of it"
        )
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > MAX_REPLY_BYTES:
            raise UnexpectedReply(f"{request}: the answer has more than {MAX_REPLY_BYTES} bytes; check the URL")
    return bytes(body)
