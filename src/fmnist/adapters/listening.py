"""Sockets that servers listen on."""

import os
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
        raise InvalidSetting(
            f"cannot listen on port {port} of {host}: {_reason(error)}; choose another port"
        ) from error


def _reason(error: OSError | UnicodeError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)  # Python adds the address to `strerror`
