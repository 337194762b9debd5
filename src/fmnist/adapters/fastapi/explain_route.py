"""`POST /explain`: which parts of one image speak for its class. It costs as many images as it asks the model for."""

import time
from datetime import UTC, datetime

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi.descriptions import EXPLAIN, images_body, problem_responses
from fmnist.adapters.fastapi.documents import ImageExplanation, json_reply, preparation_of
from fmnist.adapters.fastapi.formats import ImageFormats
from fmnist.adapters.fastapi.keys import documented_keys
from fmnist.adapters.fastapi.predict_query import PictureQuery
from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import InvalidImages
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.explanation import Explanation, covered_copies
from fmnist.domain.services.serving.load import ServedModel

_RETRY_SECONDS = "1"


def explain_route(serving: Serving, settings: HttpSettings, formats: ImageFormats) -> APIRouter:
    """Return the route over `serving`."""
    router = APIRouter(tags=["prediction"], dependencies=documented_keys(settings.api_keys))

    @router.post(
        "/explain",
        summary="Explain a prediction",
        description=EXPLAIN,
        responses={**problem_responses(settings), 200: {"model": ImageExplanation}},
        openapi_extra={"parameters": PictureQuery.documented(), "requestBody": images_body(1)},
    )
    async def explain(request: Request) -> Response:
        started = time.perf_counter()
        query = PictureQuery.of(request)
        media_type = formats.check(request.headers.get("content-type"))
        if serving.status().served is None:
            raise Problem(503, "not_ready", NO_MODEL)
        serving.check_room()
        images, prepared = await formats.read(media_type, await request.body(), query.left_out)
        if len(images) != 1:
            raise InvalidImages(f"{len(images)} images, expected one: an explanation is of one image")
        model, rows = await _answer(serving, covered_copies(images[0]), settings.max_images)
        found = Explanation.of(rows)
        document = ImageExplanation(
            class_id=found.class_id,
            class_name=model.prediction.info.class_names[found.class_id],
            confidence=found.confidence,
            map=found.map,
            images=found.images,
            model_uri=model.version.uri,
            timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
            processing_time_ms=round(1000 * (time.perf_counter() - started), 3),
        )
        if prepared is not None:
            document["preparation"] = preparation_of(prepared)
        return json_reply(document)

    return router


async def _answer(serving: Serving, images: Images, most: int) -> tuple[ServedModel, Probabilities]:
    """Return the answers of one model for all images, at most `most` at a time, as if each were a request."""
    pieces = [images[start : start + most] for start in range(0, len(images), most)]
    answers = [await serving.answer(piece, is_traffic=False) for piece in pieces]
    model = answers[0][0]
    if any(other.version.uri != model.version.uri for other, _ in answers):
        detail = "another model began to serve meanwhile: try again"
        raise Problem(503, "model_changed", detail, {"retry-after": _RETRY_SECONDS})
    return model, np.concatenate([rows for _, rows in answers])
