"""`GET /drift`: how the recent traffic differs from the model's `val` split. It needs a key where there are keys."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from fmnist.adapters.fastapi.documents import ErrorDocument, Numbers, json_reply
from fmnist.adapters.fastapi.keys import documented_keys, key_needed, may_predict
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.sketch import EDGES, LIMIT, Statistic


class StatisticDocument(TypedDict):
    """A statistic of the images or answers. Bin i counts the images from edge i to edge i + 1.

    `distance` is the Jensen-Shannon distance of the two histograms. `chance` is the distance that images like those of
    the reference rarely exceed. Both are null without a reference or without images, and so is `reference`.
    """

    distance: float | None
    chance: float | None
    drifted: bool
    edges: Numbers
    window: Sequence[int]
    reference: Sequence[int] | None


class ExpectedAccuracy(TypedDict):
    """The accuracy that the confidences promise, with its 95 % interval. `limit` says where this fails."""

    value: float
    low: float
    high: float
    limit: str


class DriftDocument(TypedDict):
    """The window of recent traffic of the model that serves, from all replicas.

    `verdict` is `ok`, `drifted`, or `unknown` for the given `reason`. `since` and `until` are the first and the last
    minute with an image.
    """

    model_uri: str
    verdict: str
    reason: str | None
    images: int
    since: str | None
    until: str | None
    reference_images: int | None
    expected_accuracy: ExpectedAccuracy | None
    statistics: dict[str, StatisticDocument]


def drift_route(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the route over `serving`."""
    router = APIRouter(tags=["service"], dependencies=documented_keys(settings.api_keys))
    problems: dict[int | str, dict[str, Any]] = {503: {"model": ErrorDocument}}
    if settings.api_keys:
        problems[401] = {"model": ErrorDocument}

    @router.get("/drift", summary="Recent traffic", responses={200: {"model": DriftDocument}, **problems})
    async def drift(request: Request) -> Response:
        if not may_predict(request.scope, settings.api_keys):
            raise key_needed()
        return json_reply(_document(await serving.drift()))

    return router


def _document(drift: Drift) -> DriftDocument:
    window, expected = drift.window, None
    if window.sketch.images:
        value, low, high = window.sketch.expected_accuracy()
        expected = ExpectedAccuracy(value=value, low=low, high=high, limit=LIMIT)
    return {
        "model_uri": drift.model_uri,
        "verdict": drift.verdict,
        "reason": drift.reason,
        "images": window.sketch.images,
        "since": _time(window.since),
        "until": _time(window.until),
        "reference_images": drift.reference.images if drift.reference else None,
        "expected_accuracy": expected,
        "statistics": {str(statistic): _statistic(drift, statistic) for statistic in Statistic},
    }


def _statistic(drift: Drift, statistic: Statistic) -> StatisticDocument:
    found = drift.distances.get(statistic)
    return {
        "distance": found.value if found else None,
        "chance": found.chance if found else None,
        "drifted": found.drifted if found else False,
        "edges": EDGES[statistic],
        "window": drift.window.sketch.counts[statistic],
        "reference": drift.reference.counts[statistic] if drift.reference else None,
    }


def _time(minute: int | None) -> str | None:
    return None if minute is None else datetime.fromtimestamp(60 * minute, UTC).isoformat(timespec="minutes")
