"""API keys for the routes that cost something. A key is compared in constant time, and is never logged or shown."""

import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from fmnist.adapters.fastapi.problems import Problem

_bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="`Authorization: Bearer KEY`")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="key", description="`X-API-Key: KEY`")


def require_key(api_keys: Sequence[str]) -> list[Any]:
    """Return the dependencies of a route that any of the keys opens; none without keys, for then it is open to all."""
    if not api_keys:
        return []
    known = [key.encode() for key in api_keys]

    async def check(
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        header: Annotated[str | None, Security(_header)],
    ) -> None:
        # A header's characters stand for its bytes.
        given = [key.encode("latin-1") for key in (bearer and bearer.credentials, header) if key]
        # Every pair is compared, so that the time tells nothing of which key was how far right.
        if not sum(hmac.compare_digest(key, candidate) for key in known for candidate in given):
            detail = "an API key is needed: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'"
            raise Problem(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})

    return [Depends(check)]
