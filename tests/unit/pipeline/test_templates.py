"""What is not understood of a WorkflowTemplate is named, before anything runs."""

from typing import Any

import pytest
import yaml

from pipeline.expressions import PipelineError
from pipeline.templates import Library


def flow() -> dict[str, Any]:
    return {
        "kind": "WorkflowTemplate",
        "metadata": {"name": "flow"},
        "spec": {
            "entrypoint": "main",
            "templates": [
                {
                    "name": "main",
                    "dag": {"tasks": [{"name": "go", "templateRef": {"name": "steps", "template": "say"}}]},
                }
            ],
        },
    }


def steps() -> dict[str, Any]:
    template = {
        "name": "say",
        "container": {"command": ["say"], "image": "x", "resources": {}},
        "inputs": {"parameters": []},
    }
    return {"kind": "WorkflowTemplate", "metadata": {"name": "steps"}, "spec": {"templates": [template]}}


CONFIG = {"kind": "ConfigMap", "metadata": {"name": "types"}, "data": {"small": "2", "large": "8"}}


def library(*documents: dict[str, Any]) -> Library:
    return Library.parse(yaml.safe_dump_all([*documents, CONFIG, None]))


def test_what_only_a_cluster_has_a_use_for_is_no_hindrance() -> None:
    library(flow(), steps()).check("flow")


def broken(path: str, value: Any) -> Library:
    first, second = flow(), steps()
    places: dict[str, Any] = {
        "workflow": first["spec"],
        "task": first["spec"]["templates"][0]["dag"]["tasks"][0],
        "dag": first["spec"]["templates"][0]["dag"],
        "template": second["spec"]["templates"][0],
        "container": second["spec"]["templates"][0]["container"],
    }
    kind, _, key = path.partition(".")
    places[kind][key] = value
    return library(first, second)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("workflow.onExit", "main", "flow: onExit of a workflow is not understood here"),
        ("workflow.templateDefaults", {"timeout": "1h"}, "the templateDefaults of flow: timeout of a template"),
        ("task.withItems", [1], "flow > main > go: withItems of a task is not understood here"),
        ("task.depends", "come", "flow > main > go depends on come, which is no task"),
        ("task.depends", "come come", "come is too much"),
        ("task.template", "absent", ""),
        ("task.templateRef", {"name": "steps", "template": "absent"}, "WorkflowTemplate steps has no template absent"),
        ("task.templateRef", {"name": "absent", "template": "say"}, "there is no WorkflowTemplate absent: flow, steps"),
        ("task.templateRef", {"name": "flow", "template": "main"}, "a template that leads to itself never ends"),
        ("dag.target", "go", "flow > main: target of a dag is not understood here"),
        ("template.script", {}, "flow > main > say: script of a template is not understood here"),
        ("template.suspend", {}, "say has container and suspend to run, expected one thing"),
        ("template.retryStrategy", {"affinity": {}}, "say: affinity of a retryStrategy is not understood here"),
        ("template.inputs", {"artifacts": []}, "say, inputs: artifacts of a inputs is not understood here"),
        ("template.outputs", {"parameters": [{"name": "a", "valueFrom": {"event": "x"}}]}, "event of a valueFrom"),
        ("container.workingDir", "/", "say: workingDir of a container is not understood here"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(path: str, value: Any, complaint: str) -> None:
    if not complaint:
        broken(path, value).check("flow")  # templateRef counts
        return
    with pytest.raises(PipelineError) as refused:
        broken(path, value).check("flow")
    assert complaint in str(refused.value)


def test_values_come_from_the_caller_the_parameter_or_a_config_map() -> None:
    reference = {"configMapKeyRef": {"name": "types", "key": "{{workflow.parameters.type}}"}}
    declared = [{"name": "a", "value": "own"}, {"name": "b", "value": 3}, {"name": "c", "valueFrom": reference}]
    scope = {"workflow.parameters.type": "large"}
    assert library().values(declared, {"a": "given"}, scope) == {"a": "given", "b": "3", "c": "8"}
    assert library().values(declared, {"b": "given", "c": "given"}, scope) == {"a": "own", "b": "given", "c": "given"}
    assert library().replace("ConfigMap", "types", large="9").values(declared, {}, scope)["c"] == "9"
    with pytest.raises(PipelineError, match="ConfigMap types has no 'huge', only large, small"):
        library().values(declared, {}, {"workflow.parameters.type": "huge"})
