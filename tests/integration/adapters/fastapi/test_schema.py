"""The application against its own OpenAPI document: every request gets an answer that the document describes."""

from dataclasses import replace

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model

schemathesis.serializer.alias("application/x-npy", "application/octet-stream")

KEY = "the-key"
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", Service(GreyServing(grey_model())).app)
KEYED = schemathesis.openapi.from_asgi(
    "/openapi.json", Service(GreyServing(grey_model()), replace(SETTINGS, api_keys=(KEY,))).app
)
GUARDED = KEYED.include(func=lambda context: "security" in context.operation.definition.raw)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@SCHEMA.parametrize()
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_the_document_describes_every_answer(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


@SCHEMA.include(path_regex="/v2/models/").parametrize()
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_the_document_describes_every_answer_of_the_existing_model(case: schemathesis.Case) -> None:
    there = {"name": "fashion-mnist-classifier", "version": "3"}
    case.path_parameters = {name: there[name] for name in case.path_parameters}
    case.call_and_validate(checks=CHECKS)


@GUARDED.parametrize()
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
def test_the_document_describes_every_answer_to_a_request_with_a_key(case: schemathesis.Case) -> None:
    response = case.call_and_validate(headers={"authorization": f"Bearer {KEY}"}, checks=CHECKS)
    assert response.status_code != 401


@GUARDED.parametrize()
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
def test_without_a_key_the_only_answer_is_401(case: schemathesis.Case) -> None:
    response = case.call_and_validate(checks=CHECKS)
    # Some cases use a method that no route has.
    assert response.status_code == 401 if case.method == "POST" else 405
