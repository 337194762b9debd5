"""Every manifest is valid for its cluster, down to the name of each field: a typo is an error."""

import gzip
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hera.workflows.models import WorkflowTemplate
from jsonschema import Draft202012Validator

from tests.unit.deploy.manifests import BASE, OVERLAY, ROOT, Document, documents, get, ray_job

SCHEMAS = ROOT.parent / "shared" / "schemas"
CUSTOM = {"RayJob": "ray.io.v1", "RayService": "ray.io.v1", "WorkflowTemplate": "argoproj.io.v1alpha1"}
ROUTE = "HTTPRoute"  # there is no schema for it; test_service.py checks its content
DIRECTORIES = (BASE, OVERLAY)


def strict(schema: Any) -> Any:
    """Refuse unknown fields of every object whose fields the schema lists."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    if isinstance(inner.get("properties"), dict) and not inner.get("x-kubernetes-preserve-unknown-fields"):
        inner.setdefault("additionalProperties", False)
    return inner


def complaints(document: Document) -> list[str]:
    kind = document["kind"]
    schema = json.loads(gzip.decompress((SCHEMAS / f"{kind}.{CUSTOM[kind]}.schema.json.gz").read_bytes()))
    schema["properties"]["metadata"] = {"type": "object"}
    return [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(strict(schema)).iter_errors(document)
    ]


def of_kinds(*kinds: str) -> list[Any]:
    return [
        pytest.param(document, id=f"{directory} {document['kind']} {document['metadata']['name']}")
        for directory in DIRECTORIES
        for document in documents(directory)
        if document["kind"] in kinds
    ]


CORE = sorted({document["kind"] for document in documents()} - {*CUSTOM, ROUTE})
custom_resources = pytest.mark.skipif(
    not SCHEMAS.is_dir(),
    reason=f"custom resources are NOT checked: there are no schemas at {Path('..', *SCHEMAS.parts[-2:])}",
)


@custom_resources
@pytest.mark.parametrize("document", of_kinds(*CUSTOM))
def test_custom_resources_are_valid_for_their_operators(document: Document) -> None:
    assert complaints(document) == []


@custom_resources
@pytest.mark.parametrize("compute_type", get("ConfigMap", "fmnist-compute-types")["data"])
def test_the_training_job_of_every_compute_type_is_valid_for_kuberay(compute_type: str) -> None:
    assert complaints(ray_job(compute=get("ConfigMap", "fmnist-compute-types")["data"][compute_type])) == []


@custom_resources
def test_the_strict_schemas_catch_a_typo() -> None:
    job = ray_job()
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParam"] = {}
    assert "'rayStartParam' was unexpected" in str(complaints(job))


@pytest.mark.parametrize("document", of_kinds(*CORE))
def test_core_resources_are_valid_for_kubernetes(document: Document) -> None:
    kubernetes_validate.validate(dict(document), kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("document", of_kinds("WorkflowTemplate"))
def test_argo_knows_every_field_of_a_workflow(document: Document) -> None:
    understood = WorkflowTemplate.model_validate(document)
    assert understood.model_dump(exclude_none=True, by_alias=True, mode="json") == document
