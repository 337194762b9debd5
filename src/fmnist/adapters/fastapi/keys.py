"""API keys of the prediction routes. A key must be compared in constant time, and never logged or shown."""

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
    """Return whether a request has one of the keys in its headers, or no key is needed."""
    if not api_keys:
        return True
    headers = Headers(scope=scope)
    scheme, credentials = get_authorization_scheme_param(headers.get("authorization"))
    # Starlette decodes header bytes as Latin-1.
    given = [
        key.encode("latin-1")
        for key in (credentials if scheme.lower() == "bearer" else None, headers.get("x-api-key"))
        if key
    ]
    # Compare every pair, so that the time does not depend on which key matches.
    return sum(hmac.compare_digest(key.encode(), candidate) for key in api_keys for candidate in given) > 0


def check_key(scope: Scope, api_keys: Sequence[str]) -> None:
    """Check the key of a request that the gate admits without one, because it has no body.

    Raises:
        Problem: no key, or an unknown one (401).
    """
    if not may_predict(scope, api_keys):
        raise key_needed()


def key_needed() -> Problem:
    """Return the error for a request without a key, or with an unknown one."""
    detail = "an API key is needed: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'"
    return Problem(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer", "connection": "close"})


def documented_keys(api_keys: Sequence[str]) -> list[Any]:
    """Return dependencies that only describe the keys in the OpenAPI document. The gate checks the keys before."""
    return [Security(_bearer), Security(_header)] if api_keys else []
