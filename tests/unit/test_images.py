"""What the Dockerfile promises, read from it: who runs, what is in the context, what no image may hold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

from fmnist.apps.settings import Settings
from images.install import requirements

ROOT = Path(__file__).parents[2]
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


@dataclass(frozen=True)
class Stage:
    """A stage of the Dockerfile: what it builds on, and its instructions with their arguments."""

    base: str
    instructions: tuple[tuple[str, str], ...]

    def last(self, keyword: str) -> str:
        return [arguments for name, arguments in self.instructions if name == keyword][-1]


def stages() -> dict[str, Stage]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: dict[str, Stage] = {}
    for keyword, arguments in lines:
        if keyword == "FROM":
            base, _, name = arguments.partition(" AS ")
            found[name] = Stage(base, ())
        else:
            name = list(found)[-1]
            instruction = (keyword, " ".join(arguments.split()))
            found[name] = Stage(found[name].base, (*found[name].instructions, instruction))
    return found


def lineage(name: str) -> Iterator[Stage]:
    """The stage and all that it builds on, whose layers are in its image."""
    while name in stages():
        stage = stages()[name]
        yield stage
        name = stage.base


def context(root: Path) -> set[str]:
    """The files below `root` that Docker would be sent, by Docker's own reading of .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return {path for path in exclude_paths(str(root), patterns) if (root / path).is_file()}


@pytest.mark.parametrize("secret", STATE_AND_SECRETS)
def test_no_state_and_no_secret_is_sent_to_the_builder(tmp_path: Path, secret: str) -> None:
    for path in (secret, "pyproject.toml", "src/fmnist/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert context(tmp_path) == {"pyproject.toml", "src/fmnist/__init__.py"}


def test_all_that_is_copied_is_sent_to_the_builder() -> None:
    sent = context(ROOT)
    for stage in stages().values():
        for keyword, arguments in stage.instructions:
            if keyword == "COPY" and "--from=" not in arguments:
                *sources, _ = arguments.split()
                for source in sources:
                    assert any(path == source or path.startswith(f"{source}/") for path in sent), source


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_special(target: str) -> None:
    # As a number: Kubernetes' runAsNonRoot cannot tell from a name.
    assert stages()[target].last("USER") == "1000:1000"
    commands = " ".join(arguments for name, arguments in stages()["base"].instructions if name == "RUN")
    assert "groupadd --gid 1000 ray && useradd --uid 1000 --gid ray" in commands


@pytest.mark.parametrize("target", ["training", "serving"])
def test_a_final_image_has_no_build_tools(target: str) -> None:
    commands = [arguments for stage in lineage(target) for name, arguments in stage.instructions if name == "RUN"]
    packages = [command.partition("--no-install-recommends ")[2] for command in commands if "apt-get" in command]
    assert packages == ["ca-certificates git wget"]
    assert not any("pip install" in command for command in commands)


def test_both_images_have_the_same_python_pinned_by_its_digest() -> None:
    # Ray refuses a cluster whose nodes differ in their Python.
    bases = {list(lineage(target))[-1].base for target in TARGETS}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases.pop())


@pytest.mark.parametrize("target", ["training", "serving"])
def test_a_run_in_an_image_says_which_image_and_code_it_was(target: str) -> None:
    variables = dict(re.findall(r"(\w+)=\$(\w+)", stages()[target].last("ENV")))
    assert variables == {"DOCKER_IMAGE_TAG": "DOCKER_IMAGE_TAG", "GIT_COMMIT": "GIT_COMMIT"}
    assert {name.lower() for name in variables} <= set(Settings.model_fields)
    labels = stages()[target].last("LABEL")
    assert "image.version=$DOCKER_IMAGE_TAG" in labels
    assert "image.revision=$GIT_COMMIT" in labels


def test_state_lies_where_the_user_may_write() -> None:
    base = stages()["base"]
    home = dict(re.findall(r"(\w+)=(\S+)", base.last("ENV")))["FMNIST_HOME"]
    commands = " ".join(arguments for name, arguments in base.instructions if name == "RUN")
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
