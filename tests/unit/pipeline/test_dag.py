"""Tasks are walked by Argo's rules: which run, with what, which are passed over, and what ends a workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from pipeline.dag import Outcome, Status, Step, Walk
from pipeline.expressions import PipelineError
from pipeline.templates import Library

LEAF = """
    - name: say
      inputs: {parameters: [{name: word, value: nothing}]}
      container: {command: [say], args: ["{{inputs.parameters.word}}", "{{workflow.uid}}"]}
      outputs: {parameters: [{name: said, valueFrom: {path: /tmp/outputs/said}}]}
"""


def workflow(tasks: str, more: str = "", spec: str = "") -> Library:
    return Library.parse(f"""
kind: WorkflowTemplate
metadata: {{name: flow}}
spec:
  entrypoint: main
  {spec}
  templates:
    - name: main
      dag:
        tasks: {tasks}
{LEAF}{more}
""")


@dataclass
class Runner:
    """Runs a step by looking up how it is to end; each says its own first argument."""

    ends: Mapping[str, Outcome | list[Outcome]] = field(default_factory=dict)
    ran: list[tuple[str, Any]] = field(default_factory=list)
    told: dict[str, Status] = field(default_factory=dict)

    def __call__(self, step: Step) -> Outcome:
        body = step.body["container"]
        self.ran.append((step.name, body["args"]))
        end = self.ends.get(step.name, Outcome(Status.SUCCEEDED, {"said": body["args"][0]}))
        return end if isinstance(end, Outcome) else end.pop(0)

    def tell(self, name: str, outcome: Outcome, seconds: float) -> None:
        assert seconds >= 0
        self.told[name] = outcome.status

    def walk(self, library: Library, **given: str) -> Status:
        library.check("flow")
        return Walk(library, self, self.tell).workflow("flow", "u-1", given).status


FAILED = Outcome(Status.FAILED, message="no", code=1)
CHAIN = """
          - {name: first, template: say, arguments: {parameters: [{name: word, value: hello}]}}
          - name: second
            depends: first.Succeeded
            template: say
            arguments: {parameters: [{name: word, value: "{{tasks.first.outputs.parameters.said}} world"}]}
"""


def test_outputs_of_one_task_are_arguments_of_the_next() -> None:
    runner = Runner()
    assert runner.walk(workflow(CHAIN)) is Status.SUCCEEDED
    assert runner.ran == [("first", ["hello", "u-1"]), ("second", ["hello world", "u-1"])]


def test_failed_task_stops_what_depends_on_it_and_fails_the_workflow() -> None:
    runner = Runner({"first": FAILED})
    assert runner.walk(workflow(CHAIN)) is Status.FAILED
    assert runner.told == {"first": Status.FAILED, "second": Status.OMITTED}
    assert len(runner.ran) == 1


def test_failure_that_another_task_deals_with_is_none_of_the_workflow() -> None:
    tasks = CHAIN.replace("depends: first.Succeeded", "depends: first.Failed").replace(
        "{{tasks.first.outputs.parameters.said}}", "mended"
    )
    runner = Runner({"first": FAILED})
    assert runner.walk(workflow(tasks)) is Status.SUCCEEDED
    assert runner.told == {"first": Status.FAILED, "second": Status.SUCCEEDED}


def test_task_whose_condition_does_not_hold_is_skipped_and_no_failure() -> None:
    tasks = """
          - {name: asked, template: say, arguments: {parameters: [{name: word, value: "false"}]}}
          - {name: stage, depends: asked, when: "{{tasks.asked.outputs.parameters.said}} == true", template: say}
          - name: test
            depends: stage.Succeeded
            when: "{{tasks.stage.outputs.parameters.said}} == true"
            template: say
          - {name: end, depends: asked && (stage.Skipped || stage.Succeeded), template: say}
"""
    runner = Runner()
    assert runner.walk(workflow(tasks)) is Status.SUCCEEDED
    assert runner.told == {
        "asked": Status.SUCCEEDED,
        "stage": Status.SKIPPED,
        # Its condition names what there is none of: it is not looked at.
        "test": Status.OMITTED,
        "end": Status.SUCCEEDED,
    }


def test_nested_tasks_have_names_of_their_own_and_their_failure_counts() -> None:
    tasks = "\n          - {name: outer, template: inner}"
    inner = f"    - name: inner\n      dag:\n        tasks: {CHAIN}"
    runner = Runner()
    assert runner.walk(workflow(tasks, inner)) is Status.SUCCEEDED
    assert list(runner.told) == ["outer/first", "outer/second", "outer"]
    failing = Runner({"outer/second": FAILED})
    assert failing.walk(workflow(tasks, inner)) is Status.FAILED


def retried(policy: str) -> Library:
    return workflow(CHAIN, spec=f"templateDefaults: {{retryStrategy: {{limit: '2', {policy}}}}}")


@pytest.mark.parametrize(
    ("policy", "codes", "status", "attempts"),
    [
        ("retryPolicy: Always", [1, 1, 0], Status.SUCCEEDED, 3),
        ("retryPolicy: OnFailure", [1, 1, 1, 1], Status.FAILED, 3),
        ("retryPolicy: OnError", [1], Status.FAILED, 1),
        ("expression: asInt(lastRetry.exitCode) != 2", [1, 2], Status.FAILED, 2),
    ],
)
def test_step_is_tried_again_as_often_as_it_says(policy: str, codes: list[int], status: Status, attempts: int) -> None:
    ends = [Outcome(Status.FAILED if code else Status.SUCCEEDED, {"said": ""}, code=code) for code in codes]
    library, runner = retried(policy), Runner({"first": ends})
    # The DAG has the same defaults, and is not what this is about.
    main = library.documents["WorkflowTemplate", "flow"]["spec"]["templates"][0]
    main["retryStrategy"] = {"limit": 0}
    assert runner.walk(library) is status
    assert [name for name, _ in runner.ran].count("first") == attempts


def test_defaults_of_the_workflow_are_under_what_a_step_says_itself() -> None:
    defaults = {"container": {"env": [{"name": "A", "value": "default"}, {"name": "B", "value": "{{workflow.uid}}"}]}}
    library = workflow(CHAIN, spec=f"templateDefaults: {yaml.safe_dump(defaults, default_flow_style=True)}")
    say = library.documents["WorkflowTemplate", "flow"]["spec"]["templates"][1]
    say["container"]["env"] = [{"name": "A", "value": "own"}]
    seen: list[Any] = []

    def run(step: Step) -> Outcome:
        seen.append(step.body["container"]["env"])
        return Outcome(Status.SUCCEEDED, {"said": ""})

    Walk(library, run, lambda *_: None).workflow("flow", "u-1", {})
    assert seen[0] == [{"name": "A", "value": "own"}, {"name": "B", "value": "u-1"}]


def test_tasks_that_wait_for_each_other_are_refused_before_anything_runs() -> None:
    tasks = """
          - {name: a, depends: b, template: say}
          - {name: b, depends: a, template: say}
"""
    with pytest.raises(PipelineError, match=r"wait for each other: (a > b > a|b > a > b)"):
        workflow(tasks).check("flow")


PARAMETERS = "arguments: {parameters: [{name: a}, {name: b, value: x, enum: [x, y]}]}"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "parameter a has no value"),
        ({"a": "1", "c": "2"}, "flow has no parameter c: it has a, b"),
        ({"a": "1", "b": "z"}, "parameter b is 'z', expected one of x, y"),
    ],
)
def test_parameters_are_those_that_the_workflow_takes(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(PipelineError, match=complaint):
        Runner().walk(workflow(CHAIN, spec=PARAMETERS), **given)


def test_input_that_nobody_gives_is_refused() -> None:
    library = workflow(CHAIN)
    say = library.documents["WorkflowTemplate", "flow"]["spec"]["templates"][1]
    say["inputs"]["parameters"].append({"name": "more"})
    with pytest.raises(PipelineError, match="parameter more has no value"):
        Runner().walk(library)
