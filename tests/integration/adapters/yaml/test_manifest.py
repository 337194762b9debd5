"""Setting the model in deployment files keeps comments, order and indentation."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml as plain
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fmnist.adapters.yaml.manifest import ServingManifest
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.promotion.canary import Canary

OLD, NEW = "models:/prod.fashion-mnist-classifier/1", "models:/prod.fashion-mnist-classifier/2"
SERVE = f"""\
# Fashion-MNIST, served.   Spaces of comments stay.
proxy_location: EveryNode

applications:
  - name: fashion-mnist   # one application
    import_path: fmnist.apps.serve:app
    args: {{model_uri: "{OLD}", other: [1, 2]}}
    deployments:
      - name: FashionMNISTClassifier
        user_config:
          model_uri: "{OLD}"    # what is served
        num_replicas: auto
      - name: something-else
        user_config: {{threshold: 0x1F}}
"""
FLAT = f"""\
applications:
- name: 'fashion-mnist'
  deployments:
  - name: FashionMNISTClassifier
    user_config:
      model_uri: "{OLD}"
"""
SERVICE = f"""\
# A licence.

---
# Before everything.
apiVersion: ray.io/v1
kind: RayService
metadata: {{name: "fashion-mnist", labels: {{a: b}}}}
spec:
    # The application.
    serveConfigV2: |   # The config.
        # Inside of the string.
        applications:
        - name: app   # trailing
          deployments:
          - name: FashionMNISTClassifier
            user_config: {{model_uri: "{OLD}"}}

        # Its end.
    # After the string.
    rayClusterConfig:
        headGroupSpec:
            template: {{spec: {{containers: [{{name: head, image: "registry:5000/fmnist-serving:v1"}}]}}}}
        workerGroupSpecs:
          - groupName: cpu
            template:
                spec:
                    containers:
                      - name: worker
                        # Pinned.
                        image: "registry:5000/fmnist-serving@sha256:abc"
                      - name: sidecar
                        image: nginx:1
---
kind: Service
spec: {{ports: [80, 90]}}
on: yes
"""
IMAGE = "registry:5000/fmnist-serving:v2"


def manifest(path: Path, text: str) -> ServingManifest:
    path.write_text(text, encoding="utf-8")
    return ServingManifest(path)


@pytest.mark.parametrize(
    ("text", "model_uri"),
    [
        (SERVE, OLD),
        (SERVICE, OLD),
        ("applications: [{deployments: [{name: FashionMNISTClassifier}]}]\n", None),
    ],
)
def test_the_served_model_can_be_read(tmp_path: Path, text: str, model_uri: str | None) -> None:
    assert manifest(tmp_path / "serve.yaml", text).model_uri() == model_uri


def test_a_user_config_overrides_the_arguments(tmp_path: Path) -> None:
    text = SERVE.replace(f'{{model_uri: "{OLD}"', '{model_uri: "models:/prod.other/9"')
    assert manifest(tmp_path / "serve.yaml", text).model_uri() == OLD


@pytest.mark.parametrize("text", [SERVE, FLAT])
def test_only_the_model_changes_in_a_serve_config(tmp_path: Path, text: str) -> None:
    path = tmp_path / "serve.yaml"
    assert manifest(path, text).point_at(NEW)
    assert path.read_text() == text.replace(OLD, NEW)
    assert not ServingManifest(path).point_at(NEW)


def test_shadow_stays_in_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    shadow = f'user_config:\n          shadow: {{model_uri: "{OLD}"}}  # compared\n'
    text = SERVE.replace("user_config:\n", shadow, 1)
    assert manifest(path, text).point_at(NEW)
    assert path.read_text() == SERVE.replace(OLD, NEW).replace("user_config:\n", shadow, 1)


def test_only_model_and_image_change_in_a_ray_service(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    assert manifest(path, SERVICE).point_at(NEW, IMAGE)
    expected = SERVICE.replace(OLD, NEW)
    for old in ("registry:5000/fmnist-serving:v1", "registry:5000/fmnist-serving@sha256:abc"):
        expected = expected.replace(old, IMAGE)
    assert path.read_text() == expected
    before = path.stat().st_mtime_ns
    assert not ServingManifest(path).point_at(NEW, IMAGE)
    assert path.stat().st_mtime_ns == before


def test_a_deployment_without_a_model_gets_one_and_keeps_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    text = SERVE.replace("        user_config:\n", "").replace(
        f'          model_uri: "{OLD}"    # what is served\n', ""
    )
    assert manifest(path, text).point_at(NEW)
    written = path.read_text()
    deployment = plain.safe_load(written)["applications"][0]["deployments"][0]
    assert deployment == {"name": "FashionMNISTClassifier", "num_replicas": "auto", "user_config": {"model_uri": NEW}}
    assert "# one application" in written
    assert written.startswith("# Fashion-MNIST, served.   Spaces of comments stay.\n")
    assert not ServingManifest(path).point_at(NEW)


@pytest.mark.parametrize(
    "block", ["serveConfigV2: >-\n      {0}", "serveConfigV2: '{0}'", "serveConfigV2: &config |-\n      {0}"]
)
def test_other_yaml_forms_of_the_embedded_string_keep_their_meaning(tmp_path: Path, block: str) -> None:
    inner = f'applications: [{{name: app, deployments: [{{name: X, user_config: {{model_uri: "{OLD}"}}}}]}}]'
    path = tmp_path / "service.yaml"
    assert manifest(path, f"kind: RayService  # kept\nspec:\n    {block.format(inner)}\n").point_at(NEW)
    written = path.read_text()
    config = plain.safe_load(plain.safe_load(written)["spec"]["serveConfigV2"])
    assert config["applications"][0]["deployments"][0]["user_config"] == {"model_uri": NEW}
    assert "# kept" in written


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("applications: [", "is not valid YAML"),
        ("", "serves no model of ours"),
        ("kind: Deployment\n", "serves no model of ours"),
        ("applications: [{name: a, deployments: [{name: Other}]}]\n", "serves no model of ours"),
        ("kind: RayService\nspec: {serveConfigV2: 'applications: ['}\n", "is not valid YAML"),
        ("- a\n- b\n", "serves no model of ours"),
    ],
)
def test_a_file_that_does_not_serve_our_model_is_refused_when_it_is_read(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(InvalidSetting, match=complaint):
        manifest(tmp_path / "manifest.yaml", text)
    assert (tmp_path / "manifest.yaml").read_text() == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"absent\.yaml cannot be read"):
        ServingManifest(tmp_path / "absent.yaml")


def test_a_path_that_is_not_a_file_is_refused_without_blocking(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(InvalidSetting, match="not a regular file"):
            ServingManifest(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    serve = manifest(path, SERVE)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable, match=r"serve\.yaml cannot be written: "):
        serve.point_at(NEW)


def test_error_for_an_image_that_no_container_uses_lists_the_existing_ones(tmp_path: Path) -> None:
    service = manifest(tmp_path / "service.yaml", SERVICE)
    with pytest.raises(InvalidSetting, match=r"no container with the image registry:5000/other: .*nginx:1"):
        service.point_at(NEW, "registry:5000/other:v2")
    assert (tmp_path / "service.yaml").read_text() == SERVICE


def test_line_ends_are_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_bytes(SERVE.replace("\n", "\r\n").encode())
    assert ServingManifest(path).point_at(NEW)
    assert path.read_bytes() == SERVE.replace(OLD, NEW).replace("\n", "\r\n").encode()


AWKWARD = (
    *("a: b", "#x", "x #y", "{}", "[a]", "!tag x", "&a b", "*a", "a\nb", "yes", "null", "~", "", " ", "2001-01-01"),
    *("1_000", "0o7", "0x1F", "1:30", "1e3", ".inf", "- a", "? a", "'", '"', "\\", "%x", "@x", "`x", "a:", "x\x85y"),
)


def read_back(text: str) -> object:
    """Read it as Ray Serve and Kubernetes do, with YAML 1.1."""
    documents = [document for document in plain.safe_load_all(text) if document]
    first = documents[0]
    return plain.safe_load(first["spec"]["serveConfigV2"]) if first.get("kind") == "RayService" else first


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.sampled_from([SERVE, SERVICE]), st.sampled_from(AWKWARD) | st.text(max_size=30))
@example(SERVE, "yes")
@example(SERVICE, "a\n---\nb: c")
@example(SERVICE, "\x1b[31m\u2028\x85")
def test_a_model_with_any_name_reads_back(tmp_path: Path, text: str, uri: str) -> None:
    path = tmp_path / "manifest.yaml"
    assert manifest(path, text).point_at(uri)
    expected = read_back(text.replace(OLD, "MODEL"))
    found = read_back(path.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(expected).replace('"MODEL"', json.dumps(uri)))
    assert not ServingManifest(path).point_at(uri)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.sampled_from(AWKWARD) | st.text(max_size=20))
def test_an_image_with_any_tag_reads_back(tmp_path: Path, tag: str) -> None:
    path, image = tmp_path / "manifest.yaml", f"registry:5000/fmnist-serving@{tag}"
    manifest(path, SERVICE).point_at(NEW, image)
    document = next(iter(plain.safe_load_all(path.read_text(encoding="utf-8"))))
    cluster = document["spec"]["rayClusterConfig"]
    assert cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == image
    assert [each["image"] for each in cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"]] == [
        image,
        "nginx:1",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.sampled_from([SERVE, SERVICE]),
    st.integers(0, 1000),
    st.sampled_from(AWKWARD) | st.text(max_size=5),
)
@example("", 0, "[" * 1000)
@example("", 0, "2001-99-99")
@example("", 0, "!!float x")
def test_a_damaged_file_is_refused_or_gets_the_model(tmp_path: Path, text: str, place: int, damage: str) -> None:
    path = tmp_path / "manifest.yaml"
    try:
        damaged = manifest(path, text[:place] + damage + text[place + len(damage) :])
    except InvalidSetting:
        return
    damaged.point_at(NEW)
    assert NEW in path.read_text(encoding="utf-8")


CANARY = Canary("models:/staging.toy/4", 5)


@pytest.mark.parametrize("text", [SERVE, FLAT, SERVICE])
def test_canary_comes_and_goes_and_leaves_the_file_as_it_was(tmp_path: Path, text: str) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    manifest = ServingManifest(file)
    assert manifest.canary() is None
    assert manifest.point_at(OLD, canary=CANARY)
    for share in (0, 5, 100):
        manifest.point_at(OLD, canary=replace(CANARY, percent=share))
        assert ServingManifest(file).canary() == replace(CANARY, percent=share)
        assert ServingManifest(file).model_uri() == OLD
    assert "threshold: 0x1F" in file.read_text() or text is not SERVE
    assert manifest.point_at(OLD)
    assert file.read_text() == text


def test_file_without_a_deployment_can_have_no_canary(tmp_path: Path) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(f'applications: [{{name: app, args: {{model_uri: "{OLD}"}}}}]\n')
    with pytest.raises(InvalidSetting, match="no deployment FashionMNISTClassifier, which a canary needs"):
        ServingManifest(file).point_at(OLD, canary=CANARY)
    assert ServingManifest(file).canary() is None


@pytest.mark.parametrize("canary", ["5", "{percent: 5}", '{model_uri: "models:/a/1", percent: "5"}', "[1]"])
def test_canary_that_is_not_valid_counts_as_none_and_is_removed(tmp_path: Path, canary: str) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(FLAT + f"      canary: {canary}\n")
    manifest = ServingManifest(file)
    assert manifest.canary() is None
    assert manifest.point_at(OLD)
    assert file.read_text() == FLAT


def test_comments_of_a_canary_stay_while_its_share_changes(tmp_path: Path) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(
        FLAT
        + '      canary:\n        model_uri: "models:/staging.toy/4"\n        percent: 5  # of all\n      # the end\n'
    )
    before = file.read_text()
    assert ServingManifest(file).point_at(OLD, canary=replace(CANARY, percent=25))
    assert file.read_text() == before.replace("percent: 5  #", "percent: 25 #")
