"""Puts an application below a route prefix, for a server that passes whole paths on."""

from starlette.types import ASGIApp, Receive, Scope, Send

from fmnist.adapters.fastapi.guard import REQUEST_ID_HEADER, request_id_of
from fmnist.adapters.fastapi.problems import Problem, problem_reply


def below(prefix: str, app: ASGIApp) -> ASGIApp:
    """Return `app` with all of its routes below `prefix`, which begins with a slash and ends with none, or is empty."""

    async def prefixed(scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "root_path": prefix}
        if scope["type"] == "lifespan" or scope["path"] == prefix or scope["path"].startswith(f"{prefix}/"):
            await app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope["state"] = {"request_id": request_id.decode()}
        # Closed, because nothing bounds the body of such a request.
        headers = {REQUEST_ID_HEADER.decode(): request_id.decode(), "connection": "close"}
        problem = Problem(404, "not_found", f"all routes are below {prefix}", headers)
        await problem_reply(scope, problem)(scope, receive, send)

    return prefixed if prefix else app
