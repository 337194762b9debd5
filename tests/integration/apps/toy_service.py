"""The real HTTP application on loopback, with any model."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.batches import Watch
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Labelling, RealizedAccuracy, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ServingStatus

SETTINGS = HttpSettings(version="1.2.3", max_images=40)


class OneModel(Serving):
    """Serves one model, or none. A test may change it."""

    def __init__(self, model: ServedModel | None) -> None:
        self.model = model
        self.reload_error: str | None = None
        self.traffic = Sketch.joined([])
        self.realized: RealizedAccuracy | None = None
        self.trials = [CanaryReport()]

    def status(self) -> ServingStatus:
        return ServingStatus(desired="newest", served=self.model, reload_error=self.reload_error)

    def check_room(self) -> None:
        pass

    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> tuple[ServedModel, Probabilities]:
        assert self.model is not None
        return self.model, self.model.prediction.probabilities(images)

    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        pass

    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        raise AssertionError("this service takes no feedback")

    async def canary(self) -> CanaryReport:
        return self.trials.pop(0) if len(self.trials) > 1 else self.trials[0]

    async def shadow(self) -> ShadowReport:
        return ShadowReport()

    async def drift(self) -> Drift:
        assert self.model is not None
        window = TrafficWindow(self.traffic, None, None)
        return replace(Drift.of(self.model.version.uri, window, self.model.package.reference), realized=self.realized)


@contextmanager
def service(serving: Serving, settings: HttpSettings = SETTINGS) -> Iterator[str]:
    """Serve below the prefix /toy, and yield the URL."""
    app = Starlette(routes=[Mount("/toy", create_app(serving, settings))])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    # Early connections wait until the server accepts them.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/toy"
        finally:
            server.should_exit = True
            thread.join()
