"""The binary tensor extension of the Open Inference Protocol: a body is a JSON object, and after it bytes of tensors.

A header has the length of the JSON object. Without that header, the whole body is JSON.
https://github.com/triton-inference-server/server, `docs/protocol/extension_binary_data.md`
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi.documents import json_reply
from fmnist.adapters.fastapi.formats import JSON, OCTETS, media_type_of
from fmnist.adapters.fastapi.problems import Problem

EXTENSION = "binary_tensor_data"
LENGTH_HEADER = "Inference-Header-Content-Length"


def check_content_type(request: Request) -> None:
    """Refuse a body that is neither JSON nor JSON and tensors. Some clients of the protocol send no content type.

    Raises:
        Problem: another content type, or bytes without the header that says where the JSON object ends.
    """
    media_type = media_type_of(request.headers.get("content-type", JSON))
    if media_type not in (JSON, OCTETS):
        detail = f"content-type must be {JSON}, or {OCTETS} with binary tensors"
        raise Problem(415, "unsupported_media_type", detail)
    if media_type == OCTETS and LENGTH_HEADER not in request.headers:
        detail = f"{OCTETS} needs the header {LENGTH_HEADER}: the length of the JSON object, which the tensors follow"
        raise Problem(400, "malformed_header", detail)


def split_body(body: bytes, length: str | None) -> tuple[bytes, memoryview]:
    """Return the JSON object of a body, and the bytes of the tensors as a view of the body.

    Args:
        body: the whole body.
        length: the header's value, or None without the header.

    Raises:
        Problem: the header is no number of bytes, or the body has less.
    """
    if length is None:
        return body, memoryview(b"")
    # Python refuses to parse thousands of digits.
    is_number = length.isascii() and length.isdigit() and len(length) <= 18
    if not is_number or int(length) > len(body):
        detail = f"{LENGTH_HEADER} must be a number of bytes, at most the {len(body)} bytes of the body"
        raise Problem(400, "malformed_header", detail)
    return body[: int(length)], memoryview(body)[int(length) :]


def mixed_reply(document: object, tensors: Sequence[bytes]) -> Response:
    """Return a response: the JSON object, and after it the bytes of its binary tensors. Without any, it is JSON."""
    reply = json_reply(document)
    if not tensors:
        return reply
    headers = {LENGTH_HEADER: str(len(reply.body))}
    return Response(b"".join((reply.body, *tensors)), headers=headers, media_type=OCTETS)
