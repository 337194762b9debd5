"""Answers requests to `/docs` and `/ui`, and what the page `/ui` asks below it.

`/ui/model`, `/ui/samples` and `/ui/energy` need a key where there are keys. The pages themselves hold no secret.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fmnist.adapters.fastapi.documents import json_reply
from fmnist.adapters.fastapi.keys import check_key
from fmnist.adapters.fastapi.pages import files, model
from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import images_from_bytes
from fmnist.domain.model.errors import InvalidImages
from fmnist.domain.services.serving.load import ServedModel


class Pages:
    """The pages over one service."""

    def __init__(self, serving: Serving, settings: HttpSettings) -> None:
        self._serving = serving
        self._settings = settings
        self._one = asyncio.Lock()

    async def docs(self, request: Request) -> Response:
        """Answer a request for Swagger UI, or one of its files.

        Raises:
            HTTPException: no such file (404).
        """
        name = request.path_params.get("name")
        return files.page("docs.html") if name is None else files.file(request, "docs", name)

    async def ui(self, request: Request) -> Response:
        """Answer a request for the page, one of its files, or the model.

        Raises:
            HTTPException: no such file (404).
            Problem: no key (401), or no model yet (503).
        """
        match request.path_params.get("name"):
            case None:
                return files.page("ui.html", key="needed" if self._settings.api_keys else "none")
            case "":
                # Relative, because our own host and prefix may be others outside.
                return RedirectResponse("../ui")
            case "model":
                return _private(model.describe(self._model(request), self._settings.tracker_url))
            case "samples":
                return _private(model.samples(self._model(request)))
            case name:
                return files.file(request, "ui", str(name))

    async def energy(self, request: Request) -> Response:
        """Answer with the energy of one image of 784 bytes. The gate has checked the key.

        Raises:
            Problem: no model yet (503), or too many images wait (429).
            InvalidImages: not one image.
        """
        served = self._model(request)
        self._serving.check_room()
        images = images_from_bytes(await request.body())
        if len(images) != 1:
            raise InvalidImages(f"{len(images)} images, expected one")
        # One at a time, beside the queue of predictions, which has no logits to give.
        if self._one.locked():
            raise Problem(429, "too_many_requests", "another image is looked at", {"retry-after": "1"})
        async with self._one:
            return _private(await asyncio.to_thread(model.energy, served, images))

    def _model(self, request: Request) -> ServedModel:
        check_key(request.scope, self._settings.api_keys)
        served = self._serving.status().served
        if served is None:
            raise Problem(503, "not_ready", NO_MODEL)
        return served


def _private(document: object) -> Response:
    """Return a reply that no cache keeps, because others may have no key, and the model may change."""
    return json_reply(document, headers={"cache-control": "no-store"})
