"""An HTTP service at a URL, reached with httpx over connections that are kept open, and what it answers."""

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

MAX_REPLY_BYTES = 2**24  # an answer to 1,000 images has less than a MiB
_DETAIL_SHOWN = 160
_Shape = TypeVar("_Shape")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a request, such as `GET /health`, and after how many seconds."""

    request: str
    status: int
    body: bytes
    seconds: float

    def expect(self, *statuses: int) -> Self:
        """Return this reply.

        Raises:
            UnexpectedReply: its status is none of these; the message has what the service said of it.
        """
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            reason = f" ({self.detail})" if self.detail else ""
            raise UnexpectedReply(f"{self.request} gave {self.status}{reason}, expected {wanted}")
        return self

    def read(self, shape: type[_Shape]) -> _Shape:
        """Return the body, a JSON object with the fields of a dataclass; others are passed over.

        Raises:
            UnexpectedReply: it is none.
        """
        try:
            return TypeAdapter(shape).validate_json(self.body, strict=True)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"])) or "the body"
            raise UnexpectedReply(f"{self.request}: {place}: {wrong['msg']}") from error

    @property
    def detail(self) -> str:
        """The start of what an error's document says of it; empty where it says nothing."""
        try:
            detail = json.loads(self.body)["detail"]
        except (ValueError, RecursionError, LookupError, TypeError):
            return ""
        if isinstance(detail, dict):
            # The health of a service that is not ready.
            detail = detail.get("reload_error") or detail.get("status")
        return str(detail or "")[:_DETAIL_SHOWN]


class HttpEndpoint:
    """Asks the service at `url`, which may end in a route prefix. A context, which closes its connections at the end.

    Args:
        api_key: sent with every request, save where `ask` is told not to.
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

    def ask(
        self, method: str, path: str, body: bytes = b"", content_type: str | None = None, *, key: bool = True
    ) -> Reply:
        """Send a request to a path below the service's URL, with or without the API key.

        Raises:
            StoreUnavailable: there is no answer in time.
            UnexpectedReply: the answer is too long, or packed.
        """
        request = f"{method} {path}" + (f" ({content_type})" if content_type else "")
        # A packed answer has no bound before it is unpacked.
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


def _read(response: httpx.Response, request: str) -> bytes:
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
    if not is_visible_ascii(key):
        raise InvalidSetting("the API key must be of visible ASCII characters, without spaces")
    return key
