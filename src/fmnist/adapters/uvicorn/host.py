"""Runs the service in this process. The server has a thread of its own, so that signals reach the main thread."""

import asyncio
import select
import socket
import sys
import threading
from typing import Any

import uvicorn

from fmnist.adapters.fastapi.prefix import below
from fmnist.adapters.fastapi.replica import Replica
from fmnist.adapters.listening import listen
from fmnist.adapters.uvicorn.protocol import EndingHttp
from fmnist.domain.model.errors import StoreUnavailable

# Longer than the idle time of most load balancers and connection pools, which then close first.
_KEEP_ALIVE_SECONDS = 90
# Open requests get their own time limit, and this margin for the answer.
_STOP_MARGIN_SECONDS = 10
# The thread of the model waits at most this time for the event loop. Python's default is 5 ms.
_SWITCH_SECONDS = 0.0005
# A flood of requests must not prevent the end.
_MOST_PASSES = 1000
# One pass accepts a connection, the next one adds it to the list, and another one reads its first bytes.
_QUIET_PASSES = 5


class _Server(uvicorn.Server):
    """A server that also answers requests which have arrived, but were not read yet, when it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._read_all(sockets or [])
        for server in self.servers:
            server.close()
        # uvicorn would forget a connection that was accepted, but is not in its list yet.
        await self._read_all([])
        await super().shutdown(sockets)

    async def _read_all(self, listening: list[socket.socket]) -> None:
        quiet = 0
        for _ in range(_MOST_PASSES):
            quiet = 0 if self._is_anything_unread(listening) else quiet + 1
            if quiet == _QUIET_PASSES:
                break
            await asyncio.sleep(0)  # one pass of the event loop, which reads

    def _is_anything_unread(self, listening: list[socket.socket]) -> bool:
        poll = select.poll()
        for each in listening:
            poll.register(each, select.POLLIN)
        for connection in self.server_state.connections:
            assert isinstance(connection, EndingHttp)
            if connection.is_idle:
                poll.register(connection.transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))


class LocalHost:
    """The service in this process.

    Args:
        application: the ASGI application over `replica`.
        request_seconds: time limit of a request.
    """

    def __init__(self, replica: Replica, application: Any, *, request_seconds: float) -> None:
        self._replica = replica
        self._application = application
        self._request_seconds = request_seconds
        # Not the thread's `join`: in Python 3.11, a signal that interrupts it makes a later `join` return at once.
        self._ended = threading.Event()
        self._server: _Server | None = None
        self._switch_seconds = sys.getswitchinterval()

    def start(self, model_uri: str | None, *, host: str, port: int, prefix: str, shadow_uri: str | None = None) -> None:
        """Load a model, or the newest version for None, and answer requests. Those that come earlier wait.

        A shadow is loaded later, while the model answers.

        If the model does not load, the service answers that it is not ready.

        Raises:
            InvalidSetting: the address cannot be listened on.
        """
        sys.setswitchinterval(_SWITCH_SECONDS)
        listening = listen(host, port)
        self._replica.deploy(model_uri, shadow_uri)
        self._replica.keep_up()
        server = _Server(
            uvicorn.Config(
                below(prefix, self._application),
                loop="uvloop",
                http=EndingHttp,
                ws="none",
                lifespan="auto",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(self._request_seconds) + _STOP_MARGIN_SECONDS,
            )
        )
        threading.Thread(target=self._run, args=(server, listening), name="server", daemon=True).start()
        self._server = server

    def wait(self) -> None:
        """Wait for an interrupt.

        Raises:
            StoreUnavailable: the server has ended on its own.
        """
        self._ended.wait()
        raise StoreUnavailable("the server has ended: its log has the reason")

    def stop(self) -> None:
        """Refuse new connections, answer open requests, and end. Without a server, do nothing."""
        if self._server is not None:
            self._server.should_exit = True
            self._ended.wait()
        sys.setswitchinterval(self._switch_seconds)

    def _run(self, server: uvicorn.Server, listening: socket.socket) -> None:
        try:
            server.run([listening])
        finally:
            self._ended.set()
