"""Addresses of HTTP services, which httpx builds and parses: IPv6, names, ports and prefixes alike."""

import httpx

from fmnist.domain.model.address import Address, number_of
from fmnist.domain.model.errors import InvalidSetting


def address_of(host: str, port: int, prefix: str = "") -> str:
    """Return the URL at which this machine reaches what listens on `host`, without a slash at its end.

    What listens on every interface is reached by the loopback address of the same family.

    Raises:
        InvalidSetting: no URL can hold this host.
    """
    number = number_of(host)
    if number is not None and number.is_unspecified:
        host = "127.0.0.1" if number.version == 4 else "::1"
    try:
        url = httpx.URL(scheme="http", host=host, port=port, path=prefix or "/")
    except httpx.InvalidURL as error:
        raise InvalidSetting(f"{host!r} is no host to listen on: {error}") from error
    return str(url).rstrip("/")


def service_url(address: Address) -> httpx.URL:
    """Return the URL of a service, without the address's credentials.

    Raises:
        InvalidSetting: not http or https, no host, or more than a route prefix behind it.
    """
    text = str(address)
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidSetting(f"{text!r} is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidSetting(f"{text!r} is no URL of a service: expected one such as http://127.0.0.1:8000/prefix")
    if address.has_query:
        raise InvalidSetting(f"{text!r} must end with the service's route prefix, without ? and #")
    return url
