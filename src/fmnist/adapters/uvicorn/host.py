"""Runs the service in this process. The server has a thread of its own, so that signals reach the main thread."""

import threading
from typing import Any

import uvicorn

from fmnist.adapters.fastapi.prefix import below
from fmnist.adapters.fastapi.replica import Replica
from fmnist.adapters.listening import listen
from fmnist.adapters.uvicorn.protocol import BoundedHttp
from fmnist.domain.model.errors import StoreUnavailable

# Longer than the idle time of most load balancers and connection pools, which then close first.
_KEEP_ALIVE_SECONDS = 90
# Open requests get their own time limit, and this margin for the answer.
_STOP_MARGIN_SECONDS = 10


class LocalHost:
    """The service in this process.

    Args:
        application: the ASGI application over `replica`.
        request_seconds: time limit of a request.
    """

    def __init__(
        self,
        replica: Replica,
        application: Any,
        *,
        host: str,
        port: int,
        prefix: str,
        request_seconds: float,
    ) -> None:
        self._replica = replica
        self._application = application
        self._address = host, port
        self._prefix = prefix
        self._request_seconds = request_seconds

    def start(self, model_uri: str | None) -> None:
        """Load a model, or the newest version for None, and answer requests. Those that come earlier wait.

        If the model does not load, the service answers that it is not ready.

        Raises:
            InvalidSetting: the address cannot be listened on.
        """
        listening = listen(*self._address)
        self._replica.deploy(model_uri)
        self._replica.keep_up()
        self._server = uvicorn.Server(
            uvicorn.Config(
                below(self._prefix, self._application),
                loop="uvloop",
                http=BoundedHttp,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(self._request_seconds) + _STOP_MARGIN_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="server")
        self._thread.start()

    def wait(self) -> None:
        """Wait for an interrupt.

        Raises:
            StoreUnavailable: the server has ended on its own.
        """
        self._thread.join()
        raise StoreUnavailable("the server has ended: its log has the reason")

    def stop(self) -> None:
        """Refuse new connections, answer open requests, and end."""
        self._server.should_exit = True
        self._thread.join()
