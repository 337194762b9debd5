"""One library builds and parses URLs, so every host that can be listened on can also be reached."""

import ipaddress
import socket
import threading

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fmnist.adapters.http.address import address_of, service_url
from fmnist.adapters.http.endpoint import HttpEndpoint
from fmnist.domain.model.address import Address, number_of
from fmnist.domain.model.errors import InvalidSetting

PORTS = st.integers(1, 65535)
PREFIXES = st.sampled_from(["", "/fashion", "/a/b"])


@given(st.ip_addresses(), PORTS, PREFIXES)
def test_url_of_an_ip_address_parses_back_to_it(number: ipaddress.IPv4Address, port: int, prefix: str) -> None:
    known = number_of(str(number))
    assume(known is not None and not known.is_unspecified)  # also ::ffff:0.0.0.0
    text = address_of(str(number), port, prefix)
    url = service_url(Address(text))
    assert ipaddress.ip_address(url.host) == number
    assert (url.port or 80, url.path) == (port, prefix or "/")
    assert not text.endswith("/")


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,8}){0,2}\.?", fullmatch=True), PORTS, PREFIXES)
def test_url_of_a_host_name_parses_back_to_it(name: str, port: int, prefix: str) -> None:
    url = service_url(Address(address_of(name, port, prefix)))
    assert (url.host, url.port or 80, url.path) == (name, port, prefix or "/")


@given(st.text(min_size=1), PORTS)
def test_any_other_host_gives_a_url_or_is_refused(host: str, port: int) -> None:
    try:
        text = address_of(host, port)
    except InvalidSetting:
        return
    assert httpx.URL(text).scheme == "http"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - shown, not bound to
        ("::", "http://[::1]:8000"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_a_server_on_all_interfaces_is_shown_by_its_loopback_url(host: str, url: str) -> None:
    assert address_of(host, 8000) == url


def test_service_on_ipv6_can_be_reached() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        with HttpEndpoint(address_of("::", listening.getsockname()[1])) as endpoint:
            assert endpoint.ask("GET", "/").body == b"ok"
        thread.join()
