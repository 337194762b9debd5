"""`POST /predict`: takes images in any accepted format, and returns the class of each."""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi.descriptions import PREDICT, predict_body, predict_responses
from fmnist.adapters.fastapi.documents import ImagePrediction, Predictions, json_reply
from fmnist.adapters.fastapi.formats import ImageFormats
from fmnist.adapters.fastapi.keys import documented_keys
from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel


def predict_route(serving: Serving, settings: HttpSettings, formats: ImageFormats) -> APIRouter:
    """Return the route over `serving`."""
    router = APIRouter(tags=["prediction"], dependencies=documented_keys(settings.api_keys))

    @router.post(
        "/predict",
        summary="Classify images",
        description=PREDICT,
        responses=predict_responses(settings),
        openapi_extra={"requestBody": predict_body(settings)},
    )
    async def predict(
        request: Request,
        top_k: Annotated[
            int | None,
            Query(ge=1, le=len(CLASS_NAMES), description="Number of classes to return per image, best first."),
        ] = None,
        probabilities: Annotated[  # noqa: FBT002 - FastAPI passes it by name
            bool, Query(description="Return the probability of every class, in the order of ids.")
        ] = False,
    ) -> Response:
        started = time.perf_counter()
        media_type = formats.check(request.headers.get("content-type"))
        if serving.status().served is None:
            raise Problem(503, "not_ready", NO_MODEL)
        serving.check_room()  # before the body is decoded, which may cost more than the model
        images = await formats.decode(media_type, await request.body())
        model, rows = await serving.answer(images)
        document = Predictions(
            predictions=_predictions(model, rows, top_k, probabilities=probabilities),
            model_uri=model.version.uri,
            timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
            processing_time_ms=round(1000 * (time.perf_counter() - started), 3),
        )
        return json_reply(document)

    return router


def _predictions(
    model: ServedModel, rows: Probabilities, top_k: int | None, *, probabilities: bool
) -> list[ImagePrediction]:
    ranked = model.prediction.rank(rows, top_k or 1)
    documents: list[ImagePrediction] = [
        {"class_id": best.class_id, "class_name": best.class_name, "confidence": best.confidence} for best, *_ in ranked
    ]
    if top_k is not None:
        for document, ranking in zip(documents, ranked, strict=True):
            document["top_k"] = ranking
    if probabilities:
        for document, row in zip(documents, rows, strict=True):
            document["probabilities"] = row
    return documents
