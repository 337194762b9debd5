"""API keys for the routes that cost something. A key is compared in constant time, and is never logged or shown."""

import hmac
from collections.abc import Sequence
from typing import Any

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.types import Scope

from fmnist.adapters.fastapi.problems import Problem

_bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="`Authorization: Bearer KEY`")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="key", description="`X-API-Key: KEY`")


def may_predict(scope: Scope, api_keys: Sequence[str]) -> bool:
    """Return whether the headers of a request have one of the keys, or no key is asked for."""
    if not api_keys:
        return True
    headers = Headers(scope=scope)
    scheme, credentials = get_authorization_scheme_param(headers.get("authorization"))
    # A header's characters stand for its bytes.
    given = [
        key.encode("latin-1")
        for key in (credentials if scheme.lower() == "bearer" else None, headers.get("x-api-key"))
        if key
    ]
    # Every pair is compared, so that the time tells nothing of which key was how far right.
    return sum(hmac.compare_digest(key.encode(), candidate) for key in api_keys for candidate in given) > 0


def key_needed() -> Problem:
    """Say that a request has no key, or an unknown one."""
    detail = "an API key is needed: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'"
    return Problem(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer", "connection": "close"})


def documented_keys(api_keys: Sequence[str]) -> list[Any]:
    """Return what describes the keys in the OpenAPI document of a route; the gate has checked them by then."""
    return [Security(_bearer), Security(_header)] if api_keys else []
