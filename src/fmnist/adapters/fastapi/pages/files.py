"""Answers with the files of the pages. They have one strict Content-Security-Policy, and load nothing from elsewhere.

Each file is read at its first request, and kept.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_OURS = Path(__file__).parent / "assets"
_SWAGGER = "fastapi_swagger"  # a package that carries the files of Swagger UI; its code is not imported
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Pictures of Swagger UI's style sheet are `data:`, and a preview of a chosen picture is `blob:`.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # A browser asks each time whether its copy is the newest, so that a page never mixes two releases.
    "cache-control": "no-cache",
}


def page(name: str, **values: str) -> Response:
    """Return a page, with the `values` of its attributes: `key="none"` replaces an empty `data-key`."""
    html = _content(_OURS / name).decode()
    for attribute, value in values.items():
        html = html.replace(f'data-{attribute}=""', f'data-{attribute}="{value}"')
    return Response(html, headers=_HEADERS, media_type="text/html")


def file(request: Request, folder: str, name: str) -> Response:
    """Return a file of one page.

    Raises:
        HTTPException: there is no such file (404).
    """
    path = _files(folder).get(name)
    if path is None:
        raise HTTPException(404)
    content = _content(path)
    headers = {**_HEADERS, "etag": _etag(path)}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers={**headers, "content-type": _TYPES[path.suffix]})


@cache
def _files(folder: str) -> dict[str, Path]:
    found = {path.name: path for path in (_OURS / folder).iterdir()}
    if folder == "docs":
        spec = find_spec(_SWAGGER)
        assert spec is not None
        assert spec.origin is not None
        resources = Path(spec.origin).parent / "resources"
        found |= {name: resources / name for name in ("swagger-ui-bundle.js", "swagger-ui.css")}
    return found


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _etag(path: Path) -> str:
    return f'"{hashlib.sha256(_content(path)).hexdigest()[:32]}"'
