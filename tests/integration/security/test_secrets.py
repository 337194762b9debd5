"""No output of a working or failing run contains a secret, even at the most verbose setting."""

import base64
import dataclasses
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from fmnist.domain.model.address import Address
from fmnist.testing.data import toy_splits
from stack.services import ObjectStore
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here
from tests.integration.security.conftest import GuardedMlflow
from tests.integration.security.git_http import git_over_http
from tests.integration.services import s3_settings
from tests.integration.support import make_dvc_registry

RECIPE = ("--batch-size", "8", "--lr", "0.02", "--max-epochs", "1")


@pytest.fixture
def ray_scratch() -> Iterator[Path]:
    """The folder of Ray's logs. Its path is short, because Ray also keeps sockets in it."""
    with tempfile.TemporaryDirectory(prefix="ray-") as scratch:
        yield Path(scratch)


@pytest.fixture
def command(
    tmp_path: Path, object_store: ObjectStore, bucket: str, guarded_mlflow: GuardedMlflow, ray_scratch: Path
) -> Iterator[Command]:
    """`fmnist` with all services protected by a key, a password or a token, all of them in its environment."""
    s3, token = s3_settings(object_store), f"token-{secrets.token_hex(16)}"
    registry = make_dvc_registry(tmp_path, {"1.0.0": toy_splits(80, 20, 20)}, remote_url=f"s3://{bucket}", s3=s3)
    # Files from the creation of the registry are not output of a run.
    shutil.rmtree(tmp_path / "work")
    object_store.make_buckets([f"{bucket}-checkpoints"])
    home = tmp_path / "home"
    home.mkdir()
    with git_over_http(tmp_path, "someone", token) as address:
        url = address.replace("//", f"//someone:{token}@") + "/registry.git"
        yield Command(
            home,
            dataclasses.replace(registry, repo=Address(url)),
            {
                **object_store.environment,
                "MLFLOW_TRACKING_URI": guarded_mlflow.uri,
                "MLFLOW_TRACKING_USERNAME": guarded_mlflow.username,
                "MLFLOW_TRACKING_PASSWORD": guarded_mlflow.password,
                "RAY_STORAGE_ENDPOINT": f"127.0.0.1:{object_store.port}",
                "RAY_STORAGE_PATH": f"{bucket}-checkpoints/runs",
                "RAY_TMPDIR": str(ray_scratch),
                "LOG_LEVEL": "DEBUG",
            },
        )


@pytest.mark.soak
def test_working_run_emits_no_secret(
    command: Command, object_store: ObjectStore, bucket: str, guarded_mlflow: GuardedMlflow, ray_scratch: Path
) -> None:
    done = command.run("train", "--run-name", "with-secrets", *RECIPE, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    emitted = {
        "what it printed": (done.stdout + done.stderr).encode(),
        "MLflow's records": guarded_mlflow.records.read_bytes(),
        **files(command.home),
        **files(ray_scratch),
        **objects(object_store, f"{bucket}-checkpoints"),
        **objects(object_store, guarded_mlflow.bucket),
    }
    assert b"with-secrets" in emitted["MLflow's records"]
    assert any("/logs/" in name for name in emitted)
    assert [name for name in emitted if name.endswith("golden.npz")]
    assert leaks(emitted, command) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"DVC_REPO_URL": "http://someone:token-that-is-wrong@127.0.0.1:9/registry.git"},
        {"AWS_SECRET_ACCESS_KEY": "secret-that-is-wrong"},
        {"MLFLOW_TRACKING_PASSWORD": "password-that-is-wrong"},
        {"MLFLOW_TRACKING_URI": "http://someone:password-that-is-wrong@127.0.0.1:9"},
    ],
    ids=["data registry", "store", "password", "tracker"],
)
def test_failing_run_emits_no_secret(
    command: Command, wrong: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    command.variables.update(wrong)
    code, out, err = Here(command)("train", "--compute", "local", *RECIPE)
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert "Traceback" in err
    printed = "".join([out, err, *capfd.readouterr()])
    assert leaks({"what it printed": printed.encode(), **files(command.home)}, command) == []


def leaks(emitted: dict[str, bytes], command: Command) -> list[tuple[str, str]]:
    """Return each secret found in the output with its place: in plain form, in a URL, or as HTTP sends it."""
    variables = command.environment
    plain = {name: variables[name] for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD")}
    for name in ("DVC_REPO_URL", "MLFLOW_TRACKING_URI"):
        if "@" in variables[name]:
            plain[name] = variables[name].rpartition("@")[0].rpartition(":")[2]
    user = variables["MLFLOW_TRACKING_USERNAME"]
    sent = {f"{name}, encoded": base64.b64encode(f"{user}:{value}".encode()).decode() for name, value in plain.items()}
    return [
        (where, name)
        for name, value in {**plain, **sent}.items()
        for where, content in emitted.items()
        if value.encode() in content or quote(value, safe="").encode() in content
    ]


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file() and not path.is_symlink()}


def objects(store: ObjectStore, bucket: str) -> dict[str, bytes]:
    client = store.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
