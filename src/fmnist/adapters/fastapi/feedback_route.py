"""`POST /feedback`: takes the true classes of answered images. Either all of a request count, or none."""

from typing import Annotated, NotRequired

from fastapi import APIRouter
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from fmnist.adapters.fastapi.descriptions import Responses, problem_responses
from fmnist.adapters.fastapi.documents import ErrorDocument, json_reply
from fmnist.adapters.fastapi.json_bodies import parse_object
from fmnist.adapters.fastapi.keys import documented_keys
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.traffic.feedback import Refusal, TrueClass

_MOST_LABELS = 1000
_RETRY_SECONDS = "5"
_DESCRIPTION = """
Tells the true classes of images that the service answered. An image is named by the `x-request-id` of its answer, and
by its index in the request. The first label of an image counts. An id of two answers takes no feedback.
"""
_PROBLEMS = {
    404: "An answer is unknown, forgotten, or given by another replica in the last seconds (with `Retry-After`).",
    409: "Two answers have this id.",
    503: "The place of the feedback does not answer (with `Retry-After`).",
}


_STRICT = ConfigDict(extra="forbid", strict=True)


class ToldClass(TypedDict):
    """The true class of an image: the `x-request-id` of its answer, and its index in the request, by default 0."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    request_id: str
    index: NotRequired[Annotated[int, Field(ge=0)]]
    class_id: Annotated[int, Field(ge=0, lt=len(CLASS_NAMES))]


class Labels(TypedDict):
    """True classes. Either all of them count, or none."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    labels: Annotated[list[ToldClass], Field(min_length=1, max_length=_MOST_LABELS)]


_LABELS = TypeAdapter(Labels)
_SCHEMA = _LABELS.json_schema()
# A reference would not be valid inside of the OpenAPI document.
_SCHEMA["properties"]["labels"]["items"] = _SCHEMA.pop("$defs")["ToldClass"]
_EXAMPLE = {"labels": [{"request_id": "0f8fad5bd9cb469fa16570867728950e", "index": 0, "class_id": 9}]}
_BODY = {"required": True, "content": {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}}}


class Labelled(TypedDict):
    """How many labels count from now on, and how many do not, because their image had one."""

    accepted: int
    ignored: int


def feedback_route(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the route over `serving`."""
    router = APIRouter(tags=["service"], dependencies=documented_keys(settings.api_keys))
    problems: Responses = {status: {"model": ErrorDocument, "description": text} for status, text in _PROBLEMS.items()}

    @router.post(
        "/feedback",
        summary="Tell true classes",
        description=_DESCRIPTION,
        responses={**problem_responses(settings), **problems, 200: {"model": Labelled}},
        openapi_extra={"requestBody": _BODY},
    )
    async def feedback(request: Request) -> Response:
        outcome = await serving.label(_true_classes(await request.body()))
        place = f"labels[{outcome.position}]"
        if outcome.refusal is Refusal.UNKNOWN:
            detail = f"{place}: no such answer; one of the last seconds may be known in {_RETRY_SECONDS} s"
            raise Problem(404, "unknown_answer", detail, {"retry-after": _RETRY_SECONDS})
        if outcome.refusal is Refusal.REPEATED_ID:
            raise Problem(409, "repeated_id", f"{place}: two answers have this request id, so it takes no feedback")
        return json_reply(Labelled(accepted=outcome.accepted, ignored=outcome.ignored))

    return router


def _true_classes(body: bytes) -> list[TrueClass]:
    try:
        labels = _LABELS.validate_python(parse_object(body, _MOST_LABELS))["labels"]
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        detail = f"{'.'.join(map(str, wrong['loc'])) or 'the body'}: {wrong['msg']}"
        raise Problem(422, "invalid_body", detail) from error
    return [TrueClass(each["request_id"], each.get("index", 0), each["class_id"]) for each in labels]
