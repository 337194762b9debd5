"""JSON responses. They are encoded fast and not validated, because this service made their content."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response


def json_reply(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response. Dataclasses become objects, and C-contiguous arrays become lists."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, media_type="application/json")
