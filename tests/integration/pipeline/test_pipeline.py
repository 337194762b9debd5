"""`make pipeline` from nothing: the first model is served, the same model is refused, and the served one can be changed
and rolled back without a lost request. The tests depend on each other, in this order.
"""

import json
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.apps.serving.host import Load, wait_until
from tests.integration.pipeline.conftest import Done, Pipeline

# Starting its processes takes almost a minute, and several minutes on a busy machine.
pytestmark = pytest.mark.timeout(1500)
PROD = "models:/prod.fashion-mnist-classifier"


def health(pipeline: Pipeline) -> Any:
    answer = httpx.get(f"{pipeline.service.url}/health", timeout=60, trust_env=False)
    return answer.json()


def serves(pipeline: Pipeline, version: int) -> bool:
    """Return whether several answers all come from this version, because there are two replicas."""
    return all(health(pipeline).get("model_uri") == f"{PROD}/{version}" for _ in range(10))


def test_first_model_is_trained_promoted_deployed_and_tested(pipeline: Pipeline, first: Done) -> None:
    assert first.steps == dict.fromkeys(
        ["resolve-data", "train", "compare", "stage", "test", "release", "deploy", "smoke-test"], "done"
    )
    assert f"the service at {pipeline.service.url} runs until" in first.said
    assert serves(pipeline, 1)
    assert pipeline.commits() == [f"Serve {PROD}/1", "Begin with deploy/base/rayservice.yaml"]
    tags = pipeline.command.only_run().data.tags
    assert (tags["argo_workflow_uid"], tags["docker_image_tag"], tags["dvc_data_version"]) == (
        first.uid,
        "local",
        "fashion-mnist-v1.0.0",
    )


@pytest.mark.soak
def test_same_model_is_refused_and_the_service_does_not_change(pipeline: Pipeline, first: Done) -> None:
    again = pipeline.run()
    assert again.code == 0, again.said
    assert again.steps == dict.fromkeys(["resolve-data", "train", "compare"], "done")
    assert "compare refused the model, and the service does not change: " in again.said
    assert len(pipeline.commits()) == 2
    assert (health(pipeline)["status"], health(pipeline)["model_uri"]) == ("healthy", f"{PROD}/1")


def release_second(pipeline: Pipeline) -> None:
    """Change the registry like a release of the second model, without comparing and testing it."""
    client = pipeline.command.client
    newest = max(int(version.version) for version in client.search_model_versions("name='ci.fashion-mnist-classifier'"))
    name = PROD.removeprefix("models:/")
    copy = client.copy_model_version(f"models:/ci.fashion-mnist-classifier/{newest}", name)
    client.set_registered_model_alias(name, "previous", "1")
    client.set_registered_model_alias(name, "champion", copy.version)


@pytest.mark.soak
def test_upgrade_and_rollback_by_gitops_lose_no_request(pipeline: Pipeline, first: Done) -> None:
    release_second(pipeline)
    with Load(pipeline.service.url, connections=2) as load:
        wait_until(lambda: len(load.answers) > 5, "requests are answered")
        deployed = json.loads(pipeline.command.run("deploy", "--by", "A. Person", "--json").stdout)
        assert (deployed["model_uri"], deployed["replaced"]) == (f"{PROD}/2", f"{PROD}/1")
        assert pipeline("serve").code == 0
        wait_until(lambda: serves(pipeline, 2), "the second model serves")

        back = pipeline("rollback", "--by", "A. Person", "--reason", "a test")
        assert back.code == 0, back.said
        assert back.steps == dict.fromkeys(["rollback", "deploy", "smoke-test"], "done")
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
    assert done.steps["smoke-test"] == "done"
    assert load.failures == []
    after = health(pipeline)["model_uri"]
    assert after != before
    assert {model for _, model, _ in load.answers} == {before, after}


def test_stopped_service_leaves_no_process(pipeline: Pipeline, first: Done) -> None:
    parent = psutil.Process(int((pipeline.command.home / "pipeline/supervisord.pid").read_text()))
    family = [parent, *parent.children(recursive=True)]
    assert len(family) > 5
    stopped = pipeline("stop")
    assert (stopped.code, stopped.said) == (0, "stopped\n")
    _, alive = psutil.wait_procs(family, timeout=30)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert pipeline("stop").said == "no service ran\n"


def test_failed_step_is_shown_with_the_end_of_its_log(pipeline: Pipeline) -> None:
    done = pipeline.run("dvc_data_version=9.9.9")
    assert (done.code, done.steps) == (1, {"resolve-data": "failed"})
    log = pipeline.command.home / "pipeline/runs" / done.uid / "resolve-data/log"
    assert f"error: resolve-data: exit code 2; the end of {log}:" in done.said
    assert "9.9.9" in done.said.partition("resolve-data/log:")[2]
