"""`fmnist data` as a person or a script meets it: output, exit codes, one clear line when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.testing.data import toy_splits
from tests.integration.support import make_dvc_registry


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    return make_dvc_registry(tmp_path_factory.mktemp("registry"), {"1.0.0": toy_splits(), "1.1.0": toy_splits(seed=1)})


def fmnist(home: Path, *arguments: str, settings: RegistrySettings | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command with a state directory of its own, on this registry or on the local default one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "FMNIST_"))}
    env["FMNIST_HOME"] = str(home)
    if settings is not None:
        env |= {"DVC_REPO_URL": settings.repo.reveal(), "DVC_REMOTE_URL": str(settings.remote_url)}
    command = [sys.executable, "-m", "fmnist.apps.main", "data", *arguments]
    return subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)


def test_versions_are_listed_newest_first(tmp_path: Path, settings: RegistrySettings) -> None:
    assert fmnist(tmp_path, "versions", settings=settings).stdout == "fashion-mnist-v1.1.0\nfashion-mnist-v1.0.0\n"
    listed = json.loads(fmnist(tmp_path, "versions", "--json", settings=settings).stdout)
    assert listed == ["fashion-mnist-v1.1.0", "fashion-mnist-v1.0.0"]


def test_show_tells_what_a_version_holds(tmp_path: Path, settings: RegistrySettings) -> None:
    dataset = DvcDataRegistry(settings).resolve("1.0.0")
    told = fmnist(tmp_path, "show", "1.0.0", settings=settings).stdout
    assert f"train\t40\t{dataset.file('train').md5}\t{dataset.file('train').uri}\n" in told
    shown = json.loads(fmnist(tmp_path, "show", "1.0.0", "--json", settings=settings).stdout)
    assert (shown["version"], shown["commit"], shown["digest"]) == (dataset.version, dataset.commit, dataset.digest)
    assert shown["splits"]["val"] == {"images": 20, "md5": dataset.file("val").md5, "uri": dataset.file("val").uri}
    assert shown["normalization"] == {"mean": dataset.normalization.mean, "std": dataset.normalization.std}


@pytest.mark.parametrize(
    ("asked", "found"), [("latest", "1.1.0"), ("1.0.0", "1.0.0"), ("fashion-mnist-v1.0.0", "1.0.0")]
)
def test_resolve_pins_what_training_will_read(
    tmp_path: Path, settings: RegistrySettings, asked: str, found: str
) -> None:
    dataset = DvcDataRegistry(settings).resolve(found)
    done = fmnist(tmp_path, "resolve", asked, "--output-dir", "outputs", settings=settings)
    assert done.stdout == f"{dataset.version} at commit {dataset.commit[:12]} of {settings.repo}\n"
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "outputs").iterdir()}
    report = json.loads(written.pop("report.json"))
    assert (
        written
        == report
        == {
            "data_version": dataset.version,
            "data_commit": dataset.commit,
            "data_digest": dataset.digest,
            "message": done.stdout.strip(),
        }
    )


def test_what_cannot_be_pinned_leaves_no_output(tmp_path: Path, settings: RegistrySettings) -> None:
    refused = fmnist(tmp_path, "resolve", "9.9.9", "--output-dir", "outputs", settings=settings)
    assert refused.returncode == 2
    assert list((tmp_path / "outputs").iterdir()) == []


def test_verify_reads_every_split_and_fails_on_a_damaged_one(tmp_path: Path) -> None:
    settings = make_dvc_registry(tmp_path, {"1.0.0": toy_splits()})
    good = fmnist(tmp_path, "verify", settings=settings)
    assert good.returncode == 0
    assert [line.split(", ")[0] for line in good.stdout.splitlines()] == [
        "train: 40 images",
        "val: 20 images",
        "test: 20 images",
    ]
    damaged = Path(DvcDataRegistry(settings).resolve().file("val").uri)
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    bad = fmnist(tmp_path, "verify", settings=settings)
    assert bad.returncode == 1
    assert bad.stdout.splitlines()[1] == "val: DAMAGED"
    assert f"split 'val' at {damaged} is damaged" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_an_unknown_version_is_bad_input(tmp_path: Path, settings: RegistrySettings) -> None:
    for command in ("show", "verify"):
        refused = fmnist(tmp_path, command, "9.9.9", settings=settings)
        assert refused.returncode == 2
        assert refused.stderr.splitlines() == [
            "error: the data registry has no version '9.9.9': it has fashion-mnist-v1.1.0, fashion-mnist-v1.0.0"
        ]


def test_a_fresh_machine_is_told_to_build(tmp_path: Path) -> None:
    refused = fmnist(tmp_path, "versions")
    assert refused.returncode == 1
    assert "fmnist data build" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_is_there_is_not_built_again(tmp_path: Path, settings: RegistrySettings) -> None:
    done = fmnist(tmp_path, "build", "--version", "1.1.0", settings=settings)
    assert done.returncode == 0
    assert done.stdout == f"fashion-mnist-v1.1.0 is already in {settings.repo}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--version", "newest"), "data version 'newest': expected three numbers such as 1.0.0"),
        (("--source", "empty"), "lacks train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz"),
    ],
)
def test_a_build_of_bad_input_leaves_nothing(tmp_path: Path, arguments: tuple[str, str], complaint: str) -> None:
    (tmp_path / "empty").mkdir()
    refused = fmnist(tmp_path, "build", *arguments)
    assert refused.returncode == 2
    assert complaint in refused.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_a_stage_outside_of_a_registry_says_what_it_misses(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("val_size: 5000\nseed: 0\n")
    refused = fmnist(tmp_path, "stage", "process")
    assert refused.returncode == 1
    assert "data/fashion-mnist/raw/train-images-idx3-ubyte.gz is absent" in refused.stderr
