"""An application below a route prefix, for a server that passes whole paths on."""

import asyncio

import httpx
import pytest

from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.prefix import below
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, grey_model

APP = create_app(GreyServing(grey_model()), SETTINGS)


def get(prefix: str, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=below(prefix, APP))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_without_a_prefix_the_application_stays_as_it_is() -> None:
    assert below("", APP) is APP


@pytest.mark.parametrize("path", ["/fashion/health", "/fashion/", "/fashion"])
def test_routes_are_below_the_prefix(path: str) -> None:
    assert get("/fashion", path).status_code == 200


def test_links_have_the_prefix() -> None:
    assert get("/fashion", "/fashion/").json()["docs"] == "/fashion/docs"


@pytest.mark.parametrize("path", ["/health", "/fashionable/health", "/"])
def test_other_paths_are_not_found(path: str) -> None:
    answer = get("/fashion", path)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "all routes are below /fashion"
    assert answer.headers["connection"] == "close"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
