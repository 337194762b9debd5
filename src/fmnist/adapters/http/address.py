"""URLs of HTTP services. httpx builds and parses them, with IPv6 addresses, names, ports and prefixes."""

import httpx

from fmnist.domain.model.address import Address, number_of
from fmnist.domain.model.errors import InvalidSetting


def address_of(host: str, port: int, prefix: str = "") -> str:
    """Return the URL at which this machine reaches a server that listens on `host`, without a slash at its end.

    A server that listens on all interfaces is reached at the loopback address of the same family.

    Raises:
        InvalidSetting: the host cannot be part of a URL.
    """
    number = number_of(host)
    if number is not None and number.is_unspecified:
        host = "127.0.0.1" if number.version == 4 else "::1"
    try:
        url = httpx.URL(scheme="http", host=host, port=port, path=prefix or "/")
    except httpx.InvalidURL as error:
        raise InvalidSetting(f"{host!r} is not a host to listen on: {error}") from error
    return str(url).rstrip("/")


def service_url(address: Address) -> httpx.URL:
    """Return the URL of a service, without the address's credentials.

    Raises:
        InvalidSetting: it is not http or https, has no host, or has more than a route prefix after it.
    """
    text = str(address)
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidSetting(f"{text!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidSetting(
            f"{text!r} is not the URL of a service: expected, for example, http://127.0.0.1:8000/prefix"
        )
    if address.has_query:
        raise InvalidSetting(f"{text!r} must end with the service's route prefix, without ? and #")
    return url
