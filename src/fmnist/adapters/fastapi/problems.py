"""Error answers, as one small JSON object. It says what is wrong, and never repeats data of the request."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fmnist.adapters.fastapi.documents import json_reply
from fmnist.domain.model.errors import InvalidImages, StoreUnavailable

NO_MODEL = "no model is ready: see /health for the reason"


class Problem(Exception):
    """An error answer to a request.

    Attributes:
        status: status of the HTTP response.
        error_type: the kind of error in one word, for programs. It stays the same when the text changes.
        detail: one line for a person, or the health document of a service that is not ready.
        headers: additional headers of the response.
    """

    def __init__(self, status: int, error_type: str, detail: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.error_type = error_type
        self.detail = detail
        self.headers = headers


def problem_reply(scope: Scope, problem: Problem) -> Response:
    """Return the response to the request of `scope`. The Open Inference Protocol also needs the text as `error`."""
    content = {
        "detail": problem.detail,
        "error_type": problem.error_type,
        "request_id": scope["state"]["request_id"],
    }
    if is_inference_protocol(scope):
        content = {"error": problem.detail, **content}
    return json_reply(content, problem.status, problem.headers)


def is_inference_protocol(scope: Scope) -> bool:
    """Return whether a request is for a route of the Open Inference Protocol, below the application's prefix."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/v2" or path.startswith("/v2/")


async def _problem(request: Request, error: Exception) -> Response:
    return problem_reply(request.scope, _as_problem(error))


def _as_problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case InvalidImages():
            return Problem(422, "invalid_images", str(error))
        case StoreUnavailable():
            return Problem(503, "not_ready", NO_MODEL)
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            return Problem(error.status_code, phrase.lower().replace(" ", "_"), phrase, error.headers)
    raise AssertionError("PROBLEM_HANDLERS has only these types") from error


PROBLEM_HANDLERS: Mapping[int | type[Exception], Any] = dict.fromkeys(
    (Problem, InvalidImages, StoreUnavailable, HTTPException), _problem
)
