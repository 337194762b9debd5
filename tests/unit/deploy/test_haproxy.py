"""The component that puts HAProxy in front of the replicas, applied to the platform."""

import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from fmnist.apps.settings import Settings
from tests.unit.deploy.manifests import DEPLOY, OVERLAY, Document, documents, spec
from tests.unit.deploy.test_schemas import complaints, custom_resources

CLOSED = {8404, 9101, 8500, *range(30000, 31001)}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    directory = tmp_path_factory.mktemp("overlay")

    def reached(path: str) -> str:
        return os.path.relpath(DEPLOY / path, directory)

    content = {"resources": [reached(OVERLAY)], "components": [reached("components/haproxy")]}
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return documents(str(directory))


def one(platform: list[Document], kind: str) -> Any:
    (found,) = (each for each in platform if each["kind"] == kind)
    return found


def templates(platform: list[Document]) -> list[Document]:
    cluster = one(platform, "RayService")["spec"]["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def added(template: Document) -> dict[str, Any]:
    named = template["spec"]["containers"][0]["env"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in named}


def test_without_the_component_there_is_no_haproxy() -> None:
    assert "RAY_SERVE_ENABLE_HA_PROXY" not in yaml.safe_dump(documents())


def test_the_base_has_no_labels_on_the_head_that_the_component_would_replace() -> None:
    assert "metadata" not in templates(documents())[0]


def test_head_and_replicas_have_the_same_variables(platform: list[Document]) -> None:
    head, replicas = map(added, templates(platform))
    assert head == replicas
    assert head["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert head["RAY_SERVE_HAPROXY_NBTHREAD"] == {"resourceFieldRef": {"resource": "limits.cpu"}}
    # The replicas run the middleware, with HAProxy in front too.
    assert head["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] == "fmnist.apps.serve:proxy_middleware"


def test_a_request_of_the_last_second_is_answered_before_its_replica_ends(platform: list[Document]) -> None:
    (deployment,) = yaml.safe_load(spec("RayService", "fmnist")["serveConfigV2"])["applications"][0]["deployments"]
    drain = float(added(templates(platform)[0])["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"])
    request = Settings.model_fields["request_timeout_seconds"].default
    assert drain + request < deployment["graceful_shutdown_timeout_s"]


def test_only_the_service_reaches_the_ports_of_haproxy(platform: list[Document]) -> None:
    policy = one(platform, "NetworkPolicy")["spec"]
    selected = policy["podSelector"]["matchLabels"]
    assert all(selected.items() <= each["metadata"]["labels"].items() for each in templates(platform))
    ours, everyone = policy["ingress"]
    assert ours == {"from": [{"podSelector": {"matchLabels": selected}}]}
    assert {each["port"] for each in everyone["ports"]}.isdisjoint(CLOSED)


def test_probes_and_kuberay_reach_the_named_ports(platform: list[Document]) -> None:
    head, _ = templates(platform)
    named = {each["name"]: each["containerPort"] for each in head["spec"]["containers"][0]["ports"]}
    _, everyone = one(platform, "NetworkPolicy")["spec"]["ingress"]
    assert {each["port"] for each in everyone["ports"]} == {named["serve"], named["metrics"], named["dashboard"]}


def test_the_policy_is_valid_for_kubernetes(platform: list[Document]) -> None:
    policy = dict(one(platform, "NetworkPolicy"))
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)


@custom_resources
def test_the_service_stays_valid_for_kuberay(platform: list[Document]) -> None:
    assert complaints(one(platform, "RayService")) == []


def test_the_images_have_haproxy() -> None:
    constraints = (Path(DEPLOY).parent / "constraints.txt").read_text(encoding="utf-8")
    assert "\nray-haproxy==" in constraints
