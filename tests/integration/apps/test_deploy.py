"""`fmnist deploy` with the embedded default: it writes the champion into the manifest and the workflow's outputs."""

import json
from pathlib import Path

import pytest

from tests.integration.apps.command import Command
from tests.integration.apps.here import Here
from tests.integration.support import MANIFEST, git

NAME = "prod.fashion-mnist-classifier"


@pytest.fixture
def champion(here: Here, command: Command) -> str:
    """A released version. For a deployment, it needs only to be registered."""
    here("promote", "history")  # creates the registry
    command.client.create_registered_model(NAME)
    for number in (1, 2):
        image = {"serving_image": f"ghcr.io/fmnist/fmnist-serving:v{number}"}
        command.client.create_model_version(NAME, str(command.home / "artifact"), tags=image)
    command.client.set_registered_model_alias(NAME, "champion", "2")
    return f"models:/{NAME}/2"


def test_champion_is_committed_with_its_image_and_written_to_the_outputs(
    here: Here, command: Command, repository: Path, champion: str
) -> None:
    before = git(repository, "show", f"main:{MANIFEST}")
    code, out, _ = here("deploy", "--by", "A. Person", "--output-dir", "out", "--json")
    assert code == 0
    report, outputs = json.loads(out), {path.name: path.read_text() for path in (command.home / "out").iterdir()}
    head = git(repository, "rev-parse", "main").strip()
    assert report == {
        "changed": True,
        "model_uri": champion,
        "revision": head,
        "message": f"{champion} is to be served in place of models:/{NAME}@champion, by revision {head}",
        "replaced": f"models:/{NAME}@champion",
    }
    assert json.loads(outputs.pop("report.json")) == report
    assert outputs == {"changed": "true", "model_uri": champion, "revision": head, "message": report["message"]}
    assert git(repository, "log", "-1", "--format=%B", "main").strip() == f"Serve {champion}\n\nDeployed-by: A. Person"

    after = git(repository, "show", f"main:{MANIFEST}")
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [new.split()[-1].strip('"') for _, new in changed] == [champion, *["ghcr.io/fmnist/fmnist-serving:v2"] * 2]


def test_deploying_again_changes_nothing_and_another_version_can_be_named(
    here: Here, repository: Path, champion: str
) -> None:
    here("deploy")
    code, out, _ = here("deploy")
    assert (code, out.rstrip().endswith(": nothing changed")) == (0, True)
    code, out, _ = here(
        "deploy", "--model-uri", f"models:/{NAME}/1", "--serving-image", "ghcr.io/fmnist/fmnist-serving:v9"
    )
    assert code == 0
    assert f"models:/{NAME}/1 is to be served in place of {champion}" in out
    assert "ghcr.io/fmnist/fmnist-serving:v9" in git(repository, "show", f"main:{MANIFEST}")


def test_failed_deployment_gives_one_line(here: Here, repository: Path, champion: str) -> None:
    absent = str(repository.parent / "absent.git")
    assert "correct GITOPS_REPO_URL" in here.refused("deploy", code=1, GITOPS_REPO_URL=absent)
    assert "set GITOPS_MANIFEST" in here.refused("deploy", GITOPS_MANIFEST="absent.yaml")
    assert "was not released" in here.refused("deploy", "--model-uri", "models:/staging.fashion-mnist-classifier/1")
    assert "no container with the image other" in here.refused("deploy", "--serving-image", "other:v1")
    assert "champion" in here.refused("deploy", MLFLOW_REGISTERED_MODEL_NAME="ci.another")
    assert len(git(repository, "log", "--format=%s", "main").splitlines()) == 1
