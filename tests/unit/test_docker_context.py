"""Docker's build context, by its own rules for .dockerignore: all copied files, but no state and no secret."""

import re
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

ROOT = Path(__file__).parents[2]
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


def context(root: Path) -> set[str]:
    """Return the files below `root` in Docker's build context."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return {path for path in exclude_paths(str(root), patterns) if (root / path).is_file()}


@pytest.mark.parametrize("secret", STATE_AND_SECRETS)
def test_no_state_and_no_secret_is_in_the_build_context(tmp_path: Path, secret: str) -> None:
    for path in (secret, "pyproject.toml", "src/fmnist/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert context(tmp_path) == {"pyproject.toml", "src/fmnist/__init__.py"}


def test_all_copied_files_are_in_the_build_context() -> None:
    sent = context(ROOT)
    copies = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(copies) >= 3
    for source in " ".join(copies).split():
        assert any(path == source or path.startswith(f"{source}/") for path in sent), source
