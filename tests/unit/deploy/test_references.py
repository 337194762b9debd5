"""What a manifest refers to exists: templates, parameters, outputs, ConfigMaps, Secrets, volumes, accounts."""

import re
from typing import Any

import pytest
import yaml

from tests.unit.deploy.manifests import (
    DEPLOY,
    ENTRIES,
    Document,
    Template,
    called,
    containers,
    documents,
    found_in,
    get,
    pods,
    ray_job,
    reached,
    spec,
    templates,
    variables,
)

# The names of the platform contract's "Pipeline inputs".
PIPELINE_INPUTS = {
    "dvc_data_version",
    "training_args",
    "training_image_tag",
    "serving_image_tag",
    "compute_type",
    "approval_mode",
    "comparison_metric",
    "comparison_higher_is_better",
    "comparison_threshold",
}
STATUSES = {"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned"}

every_template = pytest.mark.parametrize("template", templates(), ids=lambda template: template.name)


def ancestors(template: Template, task: Document) -> set[str]:
    by_name = {each["name"]: each for each in template.tasks}
    direct = set(re.findall(r"([\w-]+)\.\w+", task.get("depends", "")))
    assert direct <= by_name.keys(), f"{task['name']} depends on a task that does not exist"
    return direct.union(*(ancestors(template, by_name[name]) for name in direct))


def test_the_inputs_of_the_pipeline_are_those_of_the_contract() -> None:
    declared = [each["name"] for each in spec("WorkflowTemplate", "fmnist-pipeline")["arguments"]["parameters"]]
    assert sorted(declared) == sorted(PIPELINE_INPUTS)


@every_template
def test_every_task_passes_exactly_the_inputs_of_its_template(template: Template) -> None:
    for task in template.tasks:
        callee = called(template.home, task)
        given = {each["name"] for each in task.get("arguments", {}).get("parameters", [])}
        inputs = callee.parameters("inputs")
        needed = {name for name, each in inputs.items() if not each.keys() & {"value", "default", "valueFrom"}}
        assert needed <= given <= inputs.keys(), f"{template.name}: {task['name']} calls {callee.name}"


@every_template
def test_every_variable_is_defined(template: Template) -> None:
    inputs = {f"inputs.parameters.{name}" for name in template.parameters("inputs")}
    own = {key: value for key, value in template.body.items() if key != "dag"}
    used = variables(own)
    for task in template.tasks:
        named = variables(task)
        outputs = {
            f"tasks.{before['name']}.outputs.parameters.{name}"
            for before in template.tasks
            if before["name"] in ancestors(template, task)
            for name in called(template.home, before).parameters("outputs")
        }
        assert {name for name in named if name.startswith("tasks.")} <= outputs, f"{template.name}: {task['name']}"
        used |= {name for name in named if not name.startswith("tasks.")}
    of_the_run = {name for name in used if name.startswith("workflow.")}
    assert used - of_the_run <= inputs, f"{template.name} has no such input"
    assert inputs <= used, f"{template.name} does not use an input"
    declared = {
        each["name"] for entry in ENTRIES for each in spec("WorkflowTemplate", entry)["arguments"]["parameters"]
    }
    assert of_the_run <= {"workflow.name", "workflow.uid", *(f"workflow.parameters.{name}" for name in declared)}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_parameter_of_a_workflow_is_declared_and_used(entry: str) -> None:
    declared = {each["name"] for each in spec("WorkflowTemplate", entry)["arguments"]["parameters"]}
    used = {
        name for path in reached(entry) for name in variables(path[-1].body) if name.startswith("workflow.parameters.")
    }
    assert used == {f"workflow.parameters.{name}" for name in declared}


@every_template
def test_every_status_that_a_task_waits_for_exists_in_argo(template: Template) -> None:
    for task in template.tasks:
        named = re.findall(r"[\w-]+\.(\w+)", task.get("depends", ""))
        assert set(named) <= STATUSES
        assert bool(named) == ("depends" in task), "name the status, because a skipped task has no outputs"


def test_every_template_is_used() -> None:
    found = {path[-1].name for entry in ENTRIES for path in reached(entry)}
    assert found == {template.name for template in templates()}


def test_every_configmap_and_key_exists() -> None:
    everything: list[Any] = [*documents(), ray_job()]
    maps = {document["metadata"]["name"]: document for document in documents() if document["kind"] == "ConfigMap"}
    for reference in [*found_in(everything, "configMapRef")]:
        assert reference["name"] in maps
    enums = {
        f"{{{{workflow.parameters.{each['name']}}}}}": each["enum"]
        for each in spec("WorkflowTemplate", "fmnist-pipeline")["arguments"]["parameters"]
        if "enum" in each
    }
    for reference in found_in(everything, "configMapKeyRef"):
        found = maps[reference["name"]]
        assert set(enums.get(reference["key"], [reference["key"]])) <= found["data"].keys()
        assert found["metadata"]["labels"]["workflows.argoproj.io/configmap-type"] == "Parameter"
    for reference in found_in(everything, "artifactRepositoryRef"):
        assert reference["key"] in maps[reference["configMap"]]["data"]


def secret_keys() -> set[tuple[str, str, bool]]:
    artifacts = yaml.safe_load(get("ConfigMap", "fmnist-artifacts")["data"]["s3"])
    everything: list[Any] = [*documents(), ray_job()]
    references = [*found_in(everything, "secretKeyRef"), *artifacts["s3"].values()]
    return {(each["name"], each["key"], bool(each.get("optional"))) for each in references if isinstance(each, dict)}


def test_every_secret_is_documented_for_the_operator() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| (required|optional) \|", _readme(), re.MULTILINE)
    assert secret_keys() == {(name, key, need == "optional") for name, key, need in rows}


@pytest.mark.parametrize("name", containers())
def test_every_mount_has_its_volume(name: str) -> None:
    pod = pods().get(name) or spec("WorkflowTemplate", "fmnist-pipeline")
    mounted = {mount["name"] for mount in containers()[name]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_workflow_has_exactly_the_permissions_that_its_steps_need(entry: str) -> None:
    account = spec("WorkflowTemplate", entry)["serviceAccountName"]
    assert get("ServiceAccount", account)
    binding = get("RoleBinding", account)
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [("ServiceAccount", account)]
    rules = get("Role", binding["roleRef"]["name"])["rules"]
    granted = {
        (group, what): set(rule["verbs"]) for rule in rules for group in rule["apiGroups"] for what in rule["resources"]
    }
    made = {
        (ray_job()["apiVersion"].partition("/")[0], f"{ray_job()['kind'].lower()}s"): {"get", "create", "patch"},
        ("argoproj.io", "workflowtaskresults"): {"create", "patch"},
    }
    assert granted == made


def test_the_route_leads_to_the_service_that_kuberay_creates() -> None:
    (rule,) = spec("HTTPRoute", "fmnist")["rules"]
    (backend,) = rule["backendRefs"]
    assert backend["name"] == f"{get('RayService', 'fmnist')['metadata']['name']}-serve-svc"
    ports = {
        port["containerPort"] for pod in ("service head", "service replicas") for port in containers()[pod]["ports"]
    }
    assert backend["port"] in ports
    assert get("ConfigMap", "fmnist-parameters")["data"]["service_url"] == f"http://{backend['name']}:{backend['port']}"


def test_every_overlay_sets_the_gateway_and_the_host_name() -> None:
    route = spec("HTTPRoute", "fmnist")
    assert [each["name"] for each in route["parentRefs"]]
    assert route["hostnames"]


def _readme() -> str:
    return (DEPLOY / "README.md").read_text(encoding="utf-8")
