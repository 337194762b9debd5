"""Manifests agree with each other and with the code, and all of our containers follow the same rules."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmnist.adapters.yaml.manifest import ServingManifest
from fmnist.apps.settings import Settings
from tests.unit.deploy.manifests import (
    BASE,
    DEPLOY,
    ENTRIES,
    ROOT,
    Template,
    called,
    containers,
    documents,
    get,
    pods,
    ray_job,
    reached,
    spec,
)

RAY = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
CONTRACT = {
    "cpu-small": (2, "4Gi", 1, 0),
    "cpu-small-distributed": (2, "4Gi", 2, 0),
    "cpu-medium": (4, "8Gi", 1, 0),
    "cpu-medium-distributed": (4, "8Gi", 2, 0),
    "cpu-large": (8, "16Gi", 1, 0),
    "gpu-small": (4, "16Gi", 1, 1),
    "gpu-medium": (8, "32Gi", 1, 1),
    "gpu-large": (16, "64Gi", 1, 1),
}
every_container = pytest.mark.parametrize("name", containers())


def serve_config() -> dict[str, Any]:
    return dict(yaml.safe_load(spec("RayService", "fmnist")["serveConfigV2"]))


def without_model(config: dict[str, Any]) -> dict[str, Any]:
    for application in config["applications"]:
        for deployment in application["deployments"]:
            assert deployment["user_config"].pop("model_uri").startswith("models:/prod.fashion-mnist-classifier")
    return config


def test_the_service_uses_the_shipped_serve_config() -> None:
    elsewhere = yaml.safe_load((DEPLOY / "serve_config.yaml").read_text(encoding="utf-8"))
    assert without_model(serve_config()) == without_model(elsewhere)


def test_ray_version_is_that_of_the_images() -> None:
    clusters = [spec("RayService", "fmnist")["rayClusterConfig"], ray_job()["spec"]["rayClusterSpec"]]
    assert [cluster["rayVersion"] for cluster in clusters] == [RAY[0], RAY[0]]


@pytest.mark.parametrize("compute_type", get("ConfigMap", "fmnist-compute-types")["data"])
def test_compute_types_are_those_of_the_contract(compute_type: str) -> None:
    job = ray_job(compute=get("ConfigMap", "fmnist-compute-types")["data"][compute_type])
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    resources = group["template"]["spec"]["containers"][0]["resources"]
    cpu, memory, replicas, gpu = CONTRACT[compute_type]
    expected = {"cpu": str(cpu), "memory": memory, "nvidia.com/gpu": str(gpu)}
    assert resources == {"requests": expected, "limits": expected}
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == replicas


def test_every_compute_type_can_be_chosen() -> None:
    declared = {each["name"]: each for each in spec("WorkflowTemplate", "fmnist-pipeline")["arguments"]["parameters"]}
    found = get("ConfigMap", "fmnist-compute-types")["data"]
    assert set(declared["compute_type"]["enum"]) == found.keys() == CONTRACT.keys()
    for parameter in declared.values():
        assert parameter.get("value") in parameter.get("enum", [parameter.get("value")])


def test_each_timeout_is_longer_than_the_one_inside_of_it() -> None:
    config, service = serve_config(), pods()["service replicas"]
    (deployment,) = config["applications"][0]["deployments"]
    request = Settings.model_fields["request_timeout_seconds"].default
    through_serve = config["http_options"]["request_timeout_s"]
    route = int(spec("HTTPRoute", "fmnist")["rules"][0]["timeouts"]["request"].removesuffix("s"))
    farewell = deployment["graceful_shutdown_timeout_s"]
    assert request < through_serve < route
    assert through_serve < farewell < service["terminationGracePeriodSeconds"]
    assert farewell < spec("RayService", "fmnist")["rayClusterDeletionDelaySeconds"]


def test_the_cluster_has_room_for_the_most_replicas() -> None:
    (deployment,) = serve_config()["applications"][0]["deployments"]
    cluster = spec("RayService", "fmnist")["rayClusterConfig"]
    (group,) = cluster["workerGroupSpecs"]
    on_one = int(group["rayStartParams"]["num-cpus"]) // deployment["ray_actor_options"]["num_cpus"]
    scaling = deployment["autoscaling_config"]
    assert cluster["enableInTreeAutoscaling"]
    assert (group["minReplicas"] * on_one, group["maxReplicas"] * on_one) == (
        scaling["min_replicas"],
        scaling["max_replicas"],
    )


def test_the_head_names_the_ports_that_kuberay_uses() -> None:
    # If a head names any port, KubeRay's Service for it has no default ports: without `dashboard`, nothing is served.
    for name in ("service head", "training head"):
        ports = {port["name"]: port["containerPort"] for port in containers()[name].get("ports", [])}
        assert not ports or ports.items() >= {"gcs-server": 6379, "dashboard": 8265, "serve": 8000}.items(), name


def test_the_service_has_no_setting_that_kuberay_no_longer_reads() -> None:
    assert (
        not {"serviceUnhealthySecondThreshold", "deploymentUnhealthySecondThreshold"}
        & spec("RayService", "fmnist").keys()
    )


def test_a_deployment_changes_only_the_lines_of_model_and_images(tmp_path: Path) -> None:
    file = tmp_path / "rayservice.yaml"
    before = (DEPLOY / BASE / "rayservice.yaml").read_text(encoding="utf-8")
    file.write_text(before, encoding="utf-8")
    image = f"{get('ConfigMap', 'fmnist-parameters')['data']['serving_image']}:another"
    assert ServingManifest(file).point_at("models:/prod.fashion-mnist-classifier/77", image)
    pairs = zip(before.splitlines(), file.read_text(encoding="utf-8").splitlines(), strict=True)
    changed = [after.strip() for was, after in pairs if was != after]
    assert changed == ['model_uri: "models:/prod.fashion-mnist-classifier/77"', *[f'image: "{image}"'] * 2]
    assert ServingManifest(file).model_uri() == "models:/prod.fashion-mnist-classifier/77"


def test_the_pipeline_deploys_to_this_manifest() -> None:
    path = get("ConfigMap", "fmnist-environment")["data"]["GITOPS_MANIFEST"]
    assert ROOT / path == DEPLOY / BASE / "rayservice.yaml"


def changes_the_registry(template: Template) -> bool:
    return template.body.get("container", {}).get("args", [""])[0] in {"promote", "deploy"}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_change_of_the_registry_or_the_service_holds_the_lock_once(entry: str) -> None:
    for path in reached(entry):
        locks = [template.name for template in path if template.locked]
        if changes_the_registry(path[-1]):
            assert len(locks) == 1, f"{' > '.join(template.name for template in path)} is under {locks}"
        if "suspend" in path[-1].body:
            assert locks == [], "a pending approval would block everybody else"
        for template in path:
            for lock in template.body.get("synchronization", {}).get("mutexes", []):
                assert lock["name"] == "fmnist-promotion"


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_other_release_runs_between_a_release_and_its_smoke_test(entry: str) -> None:
    (dag,) = {path[-1].name: path[-1] for path in reached(entry) if path[-1].locked and path[-1].tasks}.values()
    assert [called(dag.home, task).body["name"] for task in dag.tasks][1:] == ["deploy", "smoke-test"]


@every_container
def test_every_container_runs_without_privileges(name: str) -> None:
    pod = pods().get(name) or spec("WorkflowTemplate", "fmnist-pipeline")
    own = containers()[name]["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert {"/tmp"} == {mount["mountPath"] for mount in containers()[name]["volumeMounts"]}  # noqa: S108
    assert pod.get("automountServiceAccountToken") is False or name == "service head" or name not in pods()


@every_container
def test_every_container_has_requests_and_limits(name: str) -> None:
    resources = containers()[name]["resources"]
    assert resources["requests"].keys() >= {"cpu", "memory"}
    assert resources["limits"].keys() >= {"cpu", "memory"}


@every_container
def test_no_secret_is_in_a_manifest(name: str) -> None:
    for variable in containers()[name]["env"]:
        if re.search(r"KEY|SECRET|PASSWORD|TOKEN", variable["name"]):
            assert "secretKeyRef" in variable["valueFrom"]


def test_only_steps_that_commit_get_the_token_for_pushes() -> None:
    holders = {name for name, each in containers().items() if "GITOPS_REPO_URL" in str(each["env"])}
    assert holders == {f"fmnist-steps/{name}" for name in ("deploy", "canary-start", "canary-step", "canary-abort")}


def environment(name: str) -> dict[str, str]:
    literal = {each["name"]: each.get("value", "from-a-secret") for each in containers()[name]["env"]}
    return {**get("ConfigMap", "fmnist-environment")["data"], **literal}


@every_container
def test_the_settings_read_every_variable(name: str) -> None:
    vendors = {
        "HOME",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S",
    }
    assert {each.upper() for each in Settings.model_fields} | vendors >= environment(name).keys()


def test_training_workers_have_only_the_credentials_of_the_store() -> None:
    env = containers()["training training"]["env"]
    assert [each["name"] for each in env] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


@pytest.mark.parametrize("name", sorted(containers().keys() - {"training training"}))
def test_every_container_that_runs_a_command_has_the_service_addresses(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for variable, value in environment(name).items():
        monkeypatch.setenv(variable, value)
    settings = Settings.load()
    addresses = [
        settings.mlflow_tracking_uri,
        settings.aws_endpoint_url,
        settings.ray_storage_url,
        settings.dvc_repo_url,
        settings.dvc_remote_url,
    ]
    assert settings.on_platform
    assert all(address and re.match(r"(https?|s3)://[\w.-]+", address) for address in addresses), addresses
    assert settings.mlflow_registered_model_name == "ci.fashion-mnist-classifier"
    assert settings.gitops_manifest
    if name.startswith("training"):
        settings.require_data_contract()
    if name.startswith("fmnist-steps"):
        assert settings.argo_workflow_uid


def test_no_manifest_names_a_single_machine() -> None:
    text = yaml.safe_dump([*documents(), ray_job()], width=2**16)
    assert re.findall(r"localhost|127\.0\.0\.1|hostPath|file://|/home/|/mnt/|:latest\b", text) == []


def test_image_names_are_consistent() -> None:
    parameters = get("ConfigMap", "fmnist-parameters")["data"]
    named = {pods()[name]["containers"][0]["image"].rpartition(":")[0] for name in ("service head", "service replicas")}
    assert named == {parameters["serving_image"]}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for target in ("training", "serving"):
        assert parameters[f"{target}_image"].endswith(f"/fmnist-{target}")
        assert f" AS {target}\n" in dockerfile
