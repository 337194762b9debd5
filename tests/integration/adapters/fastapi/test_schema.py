"""The application against its own OpenAPI document: whatever is sent, it gets an answer that the document describes."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.adapters.fastapi.support import GreyServing, Service, grey_model

schemathesis.serializer.alias("application/x-npy", "application/octet-stream")

SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", Service(GreyServing(grey_model())).app)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@SCHEMA.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_document_describes(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


@SCHEMA.include(path_regex="/v2/models/").parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_so_is_every_answer_of_the_model_that_is_there(case: schemathesis.Case) -> None:
    there = {"name": "fashion-mnist-classifier", "version": "3"}
    case.path_parameters = {name: there[name] for name in case.path_parameters}
    case.call_and_validate(checks=CHECKS)
