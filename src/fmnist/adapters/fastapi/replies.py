"""JSON as it leaves the service: quickly, and with nothing validated that this service made itself."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response


def json_reply(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response; dataclasses become objects, and C-contiguous arrays lists."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, media_type="application/json")
