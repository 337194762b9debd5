"""`POST /predict`: takes images in any accepted format, and returns the class of each."""

import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi.descriptions import PREDICT, images_body, predict_responses
from fmnist.adapters.fastapi.documents import ImagePrediction, Predictions, json_reply, preparation_of
from fmnist.adapters.fastapi.formats import ImageFormats
from fmnist.adapters.fastapi.keys import documented_keys
from fmnist.adapters.fastapi.predict_query import PredictQuery
from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel


class _DirectRoute(APIRoute):
    """A route that FastAPI only documents: its endpoint takes the request and returns the response.

    Dependency injection and validation by FastAPI would take a quarter of the time of a small request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def predict_route(serving: Serving, settings: HttpSettings, formats: ImageFormats) -> APIRoute:
    """Return the route over `serving`."""

    async def predict(request: Request) -> Response:
        started = time.perf_counter()
        query = PredictQuery.of(request)
        media_type = formats.check(request.headers.get("content-type"))
        if serving.status().served is None:
            raise Problem(503, "not_ready", NO_MODEL)
        serving.check_room()  # before the body is decoded, which may cost more than the model
        images, prepared = await formats.read(media_type, await request.body(), query.left_out)
        model, rows = await serving.answer(images, request.state.request_id)
        serving.note(request.state.request_id, model, rows)
        document = Predictions(
            predictions=_predictions(model, rows, query),
            model_uri=model.version.uri,
            timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
            processing_time_ms=round(1000 * (time.perf_counter() - started), 3),
        )
        if prepared is not None:
            document["preparation"] = preparation_of(prepared)
        return json_reply(document)

    return _DirectRoute(
        "/predict",
        predict,
        methods=["POST"],
        tags=["prediction"],
        summary="Classify images",
        description=PREDICT,
        operation_id="predict_predict",
        dependencies=documented_keys(settings.api_keys),
        responses=predict_responses(settings),
        openapi_extra={"parameters": PredictQuery.documented(), "requestBody": images_body(settings.max_images)},
    )


def _predictions(model: ServedModel, rows: Probabilities, query: PredictQuery) -> list[ImagePrediction]:
    names = model.prediction.info.class_names
    documents: list[ImagePrediction] = [
        {"class_id": label, "class_name": names[label], "confidence": confidence}
        # Converted to Python numbers all at once, because one by one takes longer than the rest of the request.
        for label, confidence in zip(rows.argmax(axis=1).tolist(), rows.max(axis=1).tolist(), strict=True)
    ]
    if query.top_k is not None:
        for document, ranking in zip(documents, model.prediction.rank(rows, query.top_k), strict=True):
            document["top_k"] = ranking
    if query.probabilities:
        for document, row in zip(documents, rows, strict=True):
            document["probabilities"] = row
    return documents
