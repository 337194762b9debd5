"""Sockets to listen on, and what is said if there is none."""

import socket
from typing import NoReturn

import pytest

from fmnist.adapters.listening import listen
from fmnist.domain.model.errors import InvalidSetting


def test_taken_port_is_named_once() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSetting) as refused:
            listen("127.0.0.1", port)
    assert str(refused.value) == (
        f"cannot listen on port {port} of 127.0.0.1: Address already in use; choose another port"
    )


def test_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InvalidSetting, match="port 80 of nowhere: Name or service not known; choose"):
        listen("nowhere", 80)


def test_host_that_is_no_name_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"cannot listen on port 80 of x{300}: "):
        listen("x" * 300, 80)
