"""The OpenAPI document is correct: its examples can be sent, and answers have the documented form."""

import json
from typing import Any

import pytest

from tests.unit.adapters.fastapi.support import Service


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return service.get("/openapi.json").json()


def test_every_format_is_described(document: Any) -> None:
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert list(content) == [
        "application/json",
        "application/octet-stream",
        "application/x-npy",
        "image/png",
        "image/jpeg",
    ]
    assert all(format_["schema"]["description"] for format_ in content.values())
    assert all(
        format_["schema"]["format"] == "binary" for kind, format_ in content.items() if kind != "application/json"
    )


def test_the_examples_can_be_tried_out(service: Service, document: Any) -> None:
    for path, posted in (
        ("/predict", "/predict"),
        ("/explain", "/explain"),
        ("/v2/models/{name}/infer", "/v2/models/fashion-mnist-classifier/infer"),
    ):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert service.post(posted, json.dumps(body).encode()).status == 200


def test_the_example_is_a_picture(document: Any) -> None:
    [image] = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]["images"]
    assert (len(image), {len(row) for row in image}) == (28, {28})
    assert len({pixel for row in image for pixel in row}) == 10
    assert all(pixel in range(256) for row in image for pixel in row)


@pytest.mark.parametrize("status", ["200", "400", "408", "413", "415", "422", "429", "503"])
def test_every_outcome_of_a_prediction_is_described(document: Any, status: str) -> None:
    for path in ("/predict", "/explain", "/v2/models/{name}/infer"):
        assert document["paths"][path]["post"]["responses"][status]["description"]


def test_binary_tensors_are_described_both_ways(document: Any) -> None:
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    for described in (infer["requestBody"], infer["responses"]["200"]):
        assert list(described["content"]) == ["application/json", "application/octet-stream"]
    assert [each["name"] for each in infer["parameters"]] == ["name", "Inference-Header-Content-Length"]
    assert list(infer["responses"]["200"]["headers"]) == ["Inference-Header-Content-Length"]


def test_only_our_own_schemas_are_documented(document: Any) -> None:
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    tags = {tag["name"] for tag in document["tags"]}
    assert all(set(route["tags"]) <= tags for methods in document["paths"].values() for route in methods.values())


def test_openapi_document_stays_small(service: Service) -> None:
    assert len(service.get("/openapi.json").body) < 60_000
