"""Sockets that servers listen on."""

import socket

from fmnist.domain.model.errors import InvalidSetting


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first address of `host`. `::` includes IPv4 where the system can do that.

    Raises:
        InvalidSetting: the address does not exist here, or is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, backlog=2048, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidSetting(f"cannot listen on port {port} of {host}: {reason}; choose another port") from error
