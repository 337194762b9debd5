"""What the Dockerfile promises, read from it: who runs, what is in the context, what no image may hold."""

import re
from pathlib import Path

import pytest

from fmnist.apps.settings import Settings
from images.install import requirements
from tests.dockerfile import ROOT, context, lineage, stages, variables

TARGETS = ("dev", "training", "serving")
STATE_AND_SECRETS = (
    ".env",
    ".env.docker",
    ".env.minikube",
    ".fmnist/mlflow.db",
    ".git/config",
    ".netrc",
    ".venv/pyvenv.cfg",
    "deploy/overlays/minikube/secret.yaml",
    "id_rsa",
    "src/.env",
    "src/fmnist.egg-info/PKG-INFO",
    "src/fmnist/.env",
    "src/fmnist/apps/.env.production",
    "src/fmnist/apps/.fmnist/mlflow.db",
    "src/fmnist/apps/__pycache__/main.cpython-311.pyc",
    "src/secrets.json",
)


@pytest.mark.parametrize("secret", STATE_AND_SECRETS)
def test_no_state_and_no_secret_is_sent_to_the_builder(tmp_path: Path, secret: str) -> None:
    for path in (secret, "pyproject.toml", "src/fmnist/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert context(tmp_path) == {"pyproject.toml", "src/fmnist/__init__.py"}


def test_all_that_is_copied_is_sent_to_the_builder() -> None:
    sent = context(ROOT)
    for stage in stages().values():
        for arguments in stage.all("COPY"):
            *sources, _ = arguments.split()
            for source in sources if "--from=" not in arguments else ():
                assert any(path == source or path.startswith(f"{source}/") for path in sent), source


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_special(target: str) -> None:
    # As a number: Kubernetes' runAsNonRoot cannot tell from a name.
    assert stages()[target].last("USER") == "1000:1000"
    commands = " ".join(stages()["base"].all("RUN"))
    assert "groupadd --gid 1000 ray && useradd --uid 1000 --gid ray" in commands


@pytest.mark.parametrize("target", ["training", "serving"])
def test_a_final_image_has_no_build_tools(target: str) -> None:
    commands = [command for stage in lineage(target) for command in stage.all("RUN")]
    packages = [command.partition("--no-install-recommends ")[2] for command in commands if "apt-get" in command]
    assert packages == ["ca-certificates git wget"]
    assert not any("pip install" in command for command in commands)


def test_both_images_have_the_same_python_pinned_by_its_digest() -> None:
    # Ray refuses a cluster whose nodes differ in their Python.
    bases = {list(lineage(target))[-1].base for target in TARGETS}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases.pop())


@pytest.mark.parametrize("target", ["training", "serving"])
def test_the_package_is_installed_by_a_python_that_has_pip(target: str) -> None:
    # The first `python` of PATH is that of the environment, which has none.
    (run,) = stages()[target].all("RUN")
    assert run.endswith(" /usr/local/bin/python /install.py package /wheels /opt/fmnist")


@pytest.mark.parametrize("target", ["training", "serving"])
def test_a_run_in_an_image_says_which_image_and_code_it_was(target: str) -> None:
    given = dict(re.findall(r"(\w+)=\$(\w+)", stages()[target].last("ENV")))
    assert given == {"DOCKER_IMAGE_TAG": "DOCKER_IMAGE_TAG", "GIT_COMMIT": "GIT_COMMIT"}
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    labels = stages()[target].last("LABEL")
    assert "image.version=$DOCKER_IMAGE_TAG" in labels
    assert "image.revision=$GIT_COMMIT" in labels


def test_state_lies_where_the_user_may_write() -> None:
    commands, home = " ".join(stages()["base"].all("RUN")), variables("base")["FMNIST_HOME"]
    assert f"install --directory --owner=ray --group=ray {home} " in commands


def test_serving_needs_no_torch_and_dev_needs_all() -> None:
    names = {
        extra: {re.split(r"[\[<>=]", line)[0] for line in requirements(ROOT, extra)}
        for extra in ("train", "serve", "dev")
    }
    assert {"torch", "lightning"} <= names["train"]
    assert not {"torch", "lightning"} & names["serve"]
    assert names["train"] | names["serve"] < names["dev"]
    assert "fmnist" not in names["dev"]
    with pytest.raises(KeyError, match="training"):
        requirements(ROOT, "training")
