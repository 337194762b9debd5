"""`make pipeline` from nothing: the first model is served, the same again is refused, and what is served can be changed
and taken back without a lost request. The tests are one story, in this order.
"""

import json
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.apps.serving.server import Load, wait_until
from tests.integration.pipeline.conftest import Done, Pipeline

# It is most of a minute of processes that start, and several on a machine that has other things to do.
pytestmark = pytest.mark.timeout(1500)
PROD = "models:/prod.fashion-mnist-classifier"


def health(pipeline: Pipeline) -> Any:
    answer = httpx.get(f"{pipeline.service.url}/health", timeout=60, trust_env=False)
    return answer.json()


def serves(pipeline: Pipeline, version: int) -> bool:
    """Whether every one of some answers comes from this version; there are two replicas."""
    return all(health(pipeline).get("model_uri") == f"{PROD}/{version}" for _ in range(10))


def test_first_model_is_trained_promoted_deployed_and_tested(pipeline: Pipeline, first: Done) -> None:
    assert first.outcomes == {
        "resolve-data": "Succeeded",
        "train": "Succeeded",
        "compare": "Succeeded",
        "stage": "Succeeded",
        "test": "Succeeded",
        "wait-for-approval": "Skipped",
        "approve": "Omitted",
        "deliver/release": "Succeeded",
        "deliver/deploy": "Succeeded",
        "deliver/smoke-test": "Succeeded",
        "deliver": "Succeeded",
        "all": "Succeeded",
    }
    assert f"the service at {pipeline.service.url} stays" in first.said
    assert serves(pipeline, 1)
    assert pipeline.commits() == [f"Serve {PROD}/1", "Begin with deploy/base/rayservice.yaml"]
    tags = pipeline.command.only_run().data.tags
    assert (tags["argo_workflow_uid"], tags["docker_image_tag"], tags["dvc_data_version"]) == (
        first.uid,
        "local",
        "fashion-mnist-v1.0.0",
    )


def test_same_model_is_refused_and_the_service_stays_as_it_was(pipeline: Pipeline, first: Done) -> None:
    before = health(pipeline)
    again = pipeline.run()
    assert again.code == 0, again.said
    assert again.outcomes["compare"] == "Succeeded"
    assert again.outcomes["stage"] == "Skipped"
    assert {again.outcomes[name] for name in ("test", "approve", "deliver")} == {"Omitted"}
    assert "compare said no, and what is served stays: " in again.said
    assert len(pipeline.commits()) == 2
    after = health(pipeline)
    assert after["model_uri"] == f"{PROD}/1"
    assert after["uptime_seconds"] > 0
    assert after["status"] == before["status"] == "healthy"


def release_second(pipeline: Pipeline) -> None:
    """Leave the registry as a release of the second model does; comparing and testing it is not what this is about."""
    client = pipeline.command.client
    newest = max(int(version.version) for version in client.search_model_versions("name='ci.fashion-mnist-classifier'"))
    name = PROD.removeprefix("models:/")
    copy = client.copy_model_version(f"models:/ci.fashion-mnist-classifier/{newest}", name)
    client.set_registered_model_alias(name, "previous", "1")
    client.set_registered_model_alias(name, "champion", copy.version)


def test_upgrade_and_rollback_by_gitops_lose_no_request(pipeline: Pipeline, first: Done) -> None:
    release_second(pipeline)
    with Load(pipeline.service.url, connections=2) as load:
        wait_until(lambda: len(load.answers) > 5, "requests are answered")
        deployed = json.loads(pipeline.command.run("deploy", "--by", "A. Person", "--json").stdout)
        assert (deployed["model_uri"], deployed["replaced"]) == (f"{PROD}/2", f"{PROD}/1")
        assert pipeline("serve").code == 0
        wait_until(lambda: serves(pipeline, 2), "the second model serves")

        back = pipeline("run", "fmnist-rollback", "-p", "by=A. Person", "-p", "reason=a test")
        assert back.code == 0, back.said
        assert back.outcomes == dict.fromkeys(["rollback", "deploy", "smoke-test", "all"], "Succeeded")
        wait_until(lambda: serves(pipeline, 1), "the first model serves again")
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {f"{PROD}/1", f"{PROD}/2"}
    assert pipeline.commits()[:3] == [f"Serve {PROD}/1", f"Serve {PROD}/2", f"Serve {PROD}/1"]
    assert pipeline.command.run("deploy", "--json").stdout.count('"changed": false') == 1


@pytest.mark.soak
def test_upgrade_by_a_whole_pipeline_loses_no_request(pipeline: Pipeline, first: Done) -> None:
    before = health(pipeline)["model_uri"]
    with Load(pipeline.service.url, connections=2) as load:
        done = pipeline.run("comparison_threshold=-1", seed=8)
    assert done.code == 0, done.said
    assert done.outcomes["deliver/smoke-test"] == "Succeeded"
    assert load.failures == []
    after = health(pipeline)["model_uri"]
    assert after != before
    assert {model for _, model, _ in load.answers} == {before, after}


def test_stopped_service_leaves_no_process(pipeline: Pipeline, first: Done) -> None:
    record = json.loads((pipeline.command.home / "pipeline/service.json").read_text())
    head = psutil.Process(record["pid"])
    family = [head, *head.children(recursive=True)]
    assert len(family) > 5
    stopped = pipeline("stop")
    assert (stopped.code, stopped.said) == (0, "stopped\n")
    assert not [process for process in family if process.is_running()]
    assert not pipeline.service.scratch.exists()
    assert pipeline("stop").said == "no service ran\n"


def test_workflow_that_fails_says_where_and_why_and_ends_with_1(pipeline: Pipeline) -> None:
    done = pipeline.run("dvc_data_version=9.9.9")
    assert done.code == 1
    assert done.outcomes["resolve-data"] == "Failed"
    assert {done.outcomes[name] for name in ("train", "compare", "deliver")} == {"Omitted"}
    assert f"exit code 2; the end of {pipeline.command.home}/pipeline/runs/{done.uid}/resolve-data/log:" in done.said
    assert "9.9.9" in done.said.partition("resolve-data/log:")[2]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "absent"], "error: there is no WorkflowTemplate absent: fmnist-pipeline, fmnist-rollback"),
        (["run", "-p", "a"], "error: -p a must be NAME=VALUE"),
        (["run", "-p", "a=1"], "error: fmnist-pipeline has no parameter a: it has dvc_data_version, "),
        (
            ["run", "-p", "approval_mode=maybe"],
            "error: parameter approval_mode is 'maybe', expected one of automatic, ",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    pipeline: Pipeline, arguments: list[str], complaint: str
) -> None:
    done = pipeline(*arguments)
    assert done.code == 2
    assert complaint in done.said
