"""`fmnist data` for persons and scripts: output, exit codes, and errors of one clear line."""

import filecmp
import json
from pathlib import Path

import pytest

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistryPaths, RegistrySettings, part_paths
from fmnist.adapters.idx.files import RAW_FILES
from fmnist.adapters.parquet.files import write_split
from fmnist.domain.model.data.metadata import describe
from fmnist.testing.data import toy_splits
from tests.integration.apps.command import Command
from tests.integration.apps.here import Here
from tests.integration.support import git, make_dvc_registry

# The registry of the state directory, which does not exist yet.
DEFAULT = {"DVC_REPO_URL": "", "DVC_REMOTE_URL": ""}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    versions = {"1.0.0": toy_splits(), "0.9.0": toy_splits(), "1.1.0": toy_splits(seed=1)}
    return make_dvc_registry(tmp_path_factory.mktemp("registry"), versions, files={"0.9.0": 3})


@pytest.fixture
def data(tmp_path: Path, settings: RegistrySettings) -> Here:
    """The command with its own state directory and this registry."""
    return Here(Command(tmp_path, settings))


def test_versions_are_listed_newest_first(data: Here) -> None:
    assert data.told("data", "versions") == "fashion-mnist-v1.1.0\nfashion-mnist-v1.0.0\nfashion-mnist-v0.9.0\n"
    listed = data.json("data", "versions")
    assert listed == ["fashion-mnist-v1.1.0", "fashion-mnist-v1.0.0", "fashion-mnist-v0.9.0"]


def test_registry_without_a_version_says_to_build_one(tmp_path: Path, data: Here) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    code, out, err = data("data", "versions", DVC_REPO_URL=str(tmp_path / "empty.git"))
    assert (code, out, err) == (0, "", "no data version yet: run fmnist data build\n")


def test_show_prints_the_content_of_a_version(data: Here, settings: RegistrySettings) -> None:
    dataset = DvcDataRegistry(settings).resolve("1.0.0")
    told = data.told("data", "show", "1.0.0")
    assert f"train\t40\t{dataset.files('train')[0].md5}\t{dataset.files('train')[0].uri}\n" in told
    shown = data.json("data", "show", "1.0.0")
    assert (shown["version"], shown["commit"], shown["digest"]) == (dataset.version, dataset.commit, dataset.digest)
    assert shown["splits"]["val"] == {
        "images": 20,
        "md5": dataset.files("val")[0].md5,
        "uri": dataset.files("val")[0].uri,
    }
    assert shown["normalization"] == {"mean": dataset.normalization.mean, "std": dataset.normalization.std}


def test_show_and_verify_have_every_file_of_a_split(data: Here, settings: RegistrySettings) -> None:
    files = DvcDataRegistry(settings).resolve("0.9.0").files("train")
    lines = data.told("data", "show", "0.9.0").splitlines()
    assert [line.split("\t") for line in lines if line.startswith("train\t")] == [
        ["train", "" if place else "40", file.md5, file.uri] for place, file in enumerate(files)
    ]
    shown = data.json("data", "show", "0.9.0")["splits"]
    assert shown["train"] == {"images": 40, "files": [{"md5": file.md5, "uri": file.uri} for file in files]}
    assert set(shown["val"]) == {"images", "md5", "uri"}
    assert data.told("data", "verify", "0.9.0").splitlines()[0] == "train: 40 images, md5 of 3 files, as expected"


@pytest.mark.parametrize(
    ("asked", "found"), [("latest", "1.1.0"), ("1.0.0", "1.0.0"), ("fashion-mnist-v1.0.0", "1.0.0")]
)
def test_resolve_pins_the_data_that_training_will_read(
    tmp_path: Path, data: Here, settings: RegistrySettings, asked: str, found: str
) -> None:
    dataset = DvcDataRegistry(settings).resolve(found)
    told = data.told("data", "resolve", asked, "--output-dir", "outputs")
    assert told == f"{dataset.version} at commit {dataset.commit[:12]} of {settings.repo}\n"
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "outputs").iterdir()}
    report = json.loads(written.pop("report.json"))
    assert (
        written
        == report
        == {
            "data_version": dataset.version,
            "data_commit": dataset.commit,
            "data_digest": dataset.digest,
            "message": told.strip(),
        }
        == data.json("data", "resolve", asked)
    )


def test_failed_resolve_writes_no_output(tmp_path: Path, data: Here) -> None:
    data.refused("data", "resolve", "9.9.9", "--output-dir", "outputs")
    assert list((tmp_path / "outputs").iterdir()) == []


def test_verify_reads_every_split_and_fails_on_a_damaged_one(tmp_path: Path) -> None:
    settings = make_dvc_registry(tmp_path, {"1.0.0": toy_splits()})
    data = Here(Command(tmp_path, settings))
    assert [line.split(", ")[0] for line in data.told("data", "verify").splitlines()] == [
        "train: 40 images",
        "val: 20 images",
        "test: 20 images",
    ]
    damaged = Path(DvcDataRegistry(settings).resolve().files("val")[0].uri)
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, out, err = data("data", "verify")
    assert code == 1
    assert out.splitlines()[1] == "val: DAMAGED"
    assert f"split 'val' at {damaged} is damaged" in err
    assert "Traceback" not in err


def test_an_unknown_version_is_bad_input(data: Here) -> None:
    for command in ("show", "verify"):
        assert data("data", command, "9.9.9") == (
            2,
            "",
            (
                "error: the data registry has no version '9.9.9': it has fashion-mnist-v1.1.0, fashion-mnist-v1.0.0, "
                "fashion-mnist-v0.9.0\n"
            ),
        )


def test_error_on_a_fresh_machine_says_to_build(tmp_path: Path, data: Here) -> None:
    assert "fmnist data build" in data.refused("data", "versions", code=1, **DEFAULT)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_version_is_not_built_again(data: Here, settings: RegistrySettings) -> None:
    assert data.told("data", "build", "--version", "1.1.0") == f"fashion-mnist-v1.1.0 is already in {settings.repo}\n"


def test_an_existing_version_with_another_number_of_files_is_refused(data: Here, settings: RegistrySettings) -> None:
    build = ("data", "build", "--version", "0.9.0", "--files")
    assert data.told(*build, "3") == f"fashion-mnist-v0.9.0 is already in {settings.repo}\n"
    for files in ("1", "4"):
        refusal = data.refused(*build, files)
        assert f"fashion-mnist-v0.9.0 is already in {settings.repo}" in refusal
        assert f"the number of files of its train split is 3, not {files}" in refusal
        assert "choose another --version" in refusal


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--version", "newest"), "data version 'newest': expected three numbers such as 1.0.0"),
        (("--source", "empty"), "lacks train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz"),
    ],
)
def test_a_build_with_bad_input_leaves_nothing(
    tmp_path: Path, data: Here, arguments: tuple[str, str], complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert complaint in data.refused("data", "build", *arguments, **DEFAULT)
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_download_stage_copies_the_official_files(tmp_path: Path, data: Here, official_files: Path) -> None:
    assert data.told("data", "stage", "download", FMNIST_RAW_DIR=str(official_files)) == ""
    for file in RAW_FILES:
        assert filecmp.cmp(tmp_path / "data/fashion-mnist/raw" / file.name, official_files / file.name, shallow=False)


def test_analyze_stage_describes_the_splits(tmp_path: Path, data: Here) -> None:
    splits, paths = toy_splits(), RegistryPaths()
    for name, path in paths.splits().items():
        parts = part_paths(path, 3 if name == "train" else 1)
        for part, rows in zip(parts, splits[name].cut(len(parts)), strict=True):
            write_split(rows, tmp_path / part)
    assert data.told("data", "stage", "analyze", "--files", "3") == ""
    written = json.loads((tmp_path / paths.metadata).read_text())
    assert written == json.loads(json.dumps(describe(splits)))


def test_error_of_a_stage_outside_of_a_registry_names_the_missing_file(tmp_path: Path, data: Here) -> None:
    (tmp_path / "params.yaml").write_text("val_size: 5000\nseed: 0\n")
    missing = "data/fashion-mnist/raw/train-images-idx3-ubyte.gz does not exist"
    assert missing in data.refused("data", "stage", "process", code=1)
