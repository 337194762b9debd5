"""API keys protect only the prediction routes. A request with a wrong key learns nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.fastapi.keys import may_predict
from tests.unit.adapters.fastapi.support import INFER, SETTINGS, GreyServing, Service, greys

PREDICTING = ("/predict", "/explain", "/feedback", INFER, INFER.replace("/infer", "/versions/3/infer"))


@pytest.fixture(scope="module")
def guarded(shared_serving: GreyServing) -> Service:
    return Service(shared_serving, replace(SETTINGS, api_keys=("first-key", "second-key", "schlüssel")))


@pytest.mark.parametrize("path", PREDICTING)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer first-ke"},
        {"authorization": "Bearer first-key2"},
        {"authorization": "Basic first-key"},
        {"authorization": "first-key"},
        {"x_api_key": "wrong"},
        {"x_api_key": ""},
        {"x_api_key": "\xff\xfe"},
        {"x_api_key": "Bearer first-key"},
    ],
)
def test_without_a_key_nothing_is_predicted(
    guarded: Service, serving: GreyServing, path: str, headers: dict[str, str]
) -> None:
    reply = guarded.post(path, b"secret body", **headers)
    assert reply.problem == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "first-key" not in reply.detail
    assert serving.asked == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first-key"},
        {"authorization": "bearer second-key"},
        {"x_api_key": "first-key"},
        {"x_api_key": "second-key"},
        {"x_api_key": "schlüssel".encode().decode("latin-1")},
        {"x_api_key": "first-key", "authorization": "Basic of-a-proxy"},
        {"x_api_key": "wrong", "authorization": "Bearer first-key"},
    ],
)
def test_any_key_is_accepted_in_either_header(guarded: Service, headers: dict[str, str]) -> None:
    assert guarded.post("/predict", greys(1).tobytes(), "application/octet-stream", **headers).status == 200


HEADER_NAMES = st.sampled_from([b"authorization", b"x-api-key", b"x-other", b"cookie"])
HEADER_VALUES = st.binary(max_size=30) | st.sampled_from(
    [b"Bearer", b"Bearer  ", b"bearer key", b"Basic the-key", b"the-ke"]
)


@given(st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=5))
def test_a_key_in_another_header_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert not may_predict({"type": "http", "headers": headers}, ("the-long-key-that-nobody-guesses",))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), st.booleans())
def test_a_key_of_visible_ascii_is_accepted_in_either_header(key: str, bearer: bool) -> None:
    header = (b"authorization", b"Bearer " + key.encode()) if bearer else (b"x-api-key", key.encode())
    assert may_predict({"type": "http", "headers": [header]}, ("another", key))


def test_request_without_a_key_gets_no_other_error_than_401(guarded: Service) -> None:
    assert guarded.post("/predict?top_k=0", b"", "text/plain").status == 401
    assert guarded.post("/v2/models/other/infer").status == 401


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/live", "/health/ready", "/info", "/docs", "/ui", "/v2", "/v2/health/ready"]
)
def test_health_and_information_need_no_key(guarded: Service, path: str) -> None:
    assert guarded.get(path).status == 200


def test_keys_are_documented_only_if_the_service_has_keys(guarded: Service, service: Service) -> None:
    document = guarded.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {(scheme["type"], scheme.get("scheme"), scheme.get("name")) for scheme in schemes.values()} == {
        ("http", "bearer", None),
        ("apiKey", None, "X-API-Key"),
    }
    guarded_routes = {
        path for path, methods in document["paths"].items() for route in methods.values() if "security" in route
    }
    assert guarded_routes == {
        "/canary",
        "/drift",
        "/feedback",
        "/explain",
        "/predict",
        "/shadow",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}/infer",
    }
    assert "401" in document["paths"]["/predict"]["post"]["responses"]
    opened = service.get("/openapi.json").json()
    assert "securitySchemes" not in opened["components"]
    assert "401" not in opened["paths"]["/predict"]["post"]["responses"]


def test_keys_are_not_shown_with_the_settings() -> None:
    assert "first-key" not in repr(replace(SETTINGS, api_keys=("first-key",)))
