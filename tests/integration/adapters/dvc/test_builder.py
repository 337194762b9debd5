"""A build from the official files follows the platform contract and is reproducible. A failed build changes nothing."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.dvc.builder import Built, RegistryBuilder
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.idx.files import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, read_labeled_images
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.metadata import check_split, describe
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable
from tests.integration.support import change_files, git

_TAG = "fashion-mnist-v1.0.0"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, to check what remains in it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return scratch


def test_splits_have_the_sizes_of_the_platform_contract_and_equal_classes(built_registry: RegistrySettings) -> None:
    registry = DvcDataRegistry(built_registry)
    dataset = registry.resolve()
    assert dataset.version == _TAG
    for split, size in {"train": 55_000, "val": 5_000, "test": 10_000}.items():
        data = registry.read(dataset, split)
        assert np.bincount(data.labels).tolist() == [size // 10] * 10
        check_split(dataset.metadata, split, data)


def test_metadata_describes_the_data(built_registry: RegistrySettings) -> None:
    registry = DvcDataRegistry(built_registry)
    dataset = registry.resolve()
    assert dataset.metadata == describe({split: registry.read(dataset, split) for split in dataset.splits})
    assert dataset.normalization.mean == pytest.approx(0.2860, abs=5e-4)
    assert dataset.normalization.std == pytest.approx(0.3530, abs=5e-4)


def test_train_and_val_are_the_60000_images_and_test_the_10000(
    built_registry: RegistrySettings, official_files: Path
) -> None:
    registry = DvcDataRegistry(built_registry)
    dataset = registry.resolve()
    train, val = registry.read(dataset, "train"), registry.read(dataset, "val")
    official = read_labeled_images(official_files / TRAIN_IMAGES.name, official_files / TRAIN_LABELS.name)
    rows = sorted(image.tobytes() for image in np.concatenate([train.images, val.images]))
    assert rows == sorted(image.tobytes() for image in official.images)
    test = registry.read(dataset, "test")
    official = read_labeled_images(official_files / TEST_IMAGES.name, official_files / TEST_LABELS.name)
    np.testing.assert_array_equal(test.images, official.images)
    np.testing.assert_array_equal(test.labels, official.labels)


def test_the_commit_records_how_the_version_was_built(built_registry: RegistrySettings) -> None:
    repo = Path(str(built_registry.repo))
    assert git(repo, "cat-file", "-t", _TAG).strip() == "tag"
    assert git(repo, "rev-parse", f"{_TAG}^{{commit}}") == git(repo, "rev-parse", "main")
    lock = git(repo, "show", f"{_TAG}:dvc.lock")
    for text in ("  download:", "  process:", "  analyze:", "seed: 0", "val_size: 5000", "train.parquet\n"):
        assert text in lock
    assert "nfiles" not in lock  # DVC writes this only for a directory
    metadata = git(repo, "show", f"{_TAG}:data/fashion-mnist/metadata.json")
    assert json.loads(metadata)["splits"]["train"]["num_samples"] == 55_000


def test_building_an_existing_version_changes_nothing(
    built_registry: RegistrySettings, tmp_path: Path, scratch: Path
) -> None:
    before = git(Path(str(built_registry.repo)), "for-each-ref")
    builder = RegistryBuilder(built_registry, downloads=tmp_path / "unused", source=tmp_path / "not looked at")
    assert builder.build("v1.0.0") == Built(_TAG, str(built_registry.repo), new=False)
    assert git(Path(str(built_registry.repo)), "for-each-ref") == before


def test_the_same_files_give_the_same_bytes_in_the_next_version(
    copy: RegistrySettings, official_files: Path, tmp_path: Path, scratch: Path
) -> None:
    assert RegistryBuilder(copy, tmp_path / "unused", official_files).build("1.1.0").new
    registry = DvcDataRegistry(copy)
    assert registry.versions() == ["fashion-mnist-v1.1.0", _TAG]
    assert registry.resolve("1.1.0").digest == registry.resolve("1.0.0").digest
    assert registry.resolve("1.1.0").commit != registry.resolve("1.0.0").commit
    assert list(scratch.iterdir()) == []


def test_many_files_have_the_rows_of_one_and_leave_nothing_to_the_next_version(
    copy: RegistrySettings, official_files: Path, tmp_path: Path, scratch: Path
) -> None:
    # A part that was tracked by hand would become one of the new version.
    stale = f"outs:\n- md5: {'0' * 32}\n  size: 1\n  hash: md5\n  path: part-2.parquet\n"
    folder = "data/fashion-mnist/processed/train"
    change_files(str(copy.repo), tmp_path / "work", {f"{folder}/part-2.parquet.dvc": stale})
    git(tmp_path / "work", "push", "--quiet")
    registry = DvcDataRegistry(copy)
    assert RegistryBuilder(copy, tmp_path / "unused", official_files).build("1.1.0", files=3).new
    one, many = registry.resolve("1.0.0"), registry.resolve("1.1.0")
    assert [len(dataset.files("train")) for dataset in (one, many)] == [1, 3]
    assert (many.files("val"), many.files("test"), many.metadata) == (one.files("val"), one.files("test"), one.metadata)
    np.testing.assert_array_equal(registry.read(many, "train").images, registry.read(one, "train").images)
    np.testing.assert_array_equal(registry.read(many, "train").labels, registry.read(one, "train").labels)
    assert RegistryBuilder(copy, tmp_path / "unused", official_files).build("1.2.0").new
    assert registry.resolve("1.2.0").digest == one.digest
    assert list(scratch.iterdir()) == []


def test_a_repository_that_refuses_the_tag_does_not_get_the_branch(
    official_files: Path, tmp_path: Path, scratch: Path
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=trunk", "shared.git")
    hook = tmp_path / "shared.git/hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) echo "no tags today" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    settings = RegistrySettings(repo=Address(f"file://{tmp_path}/shared.git"), remote_url=str(tmp_path / "store"))
    with pytest.raises(StoreUnavailable, match=r"v1\.0\.0 was built, but .*shared\.git did not take it"):
        RegistryBuilder(settings, tmp_path / "unused", official_files).build("1.0.0")
    assert git(tmp_path / "shared.git", "for-each-ref") == ""
    assert list(scratch.iterdir()) == []


def test_a_store_that_cannot_be_written_leaves_no_registry(official_files: Path, tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = RegistrySettings(
        repo=Address(str(tmp_path / "registry.git")), remote_url=str(tmp_path / "file" / "store")
    )
    with pytest.raises(StoreUnavailable, match=r"`dvc push` failed: .*Not a directory"):
        RegistryBuilder(settings, tmp_path / "unused", official_files).build("1.0.0")
    assert not Path(str(settings.repo)).exists()
    assert list(scratch.iterdir()) == []


def test_a_failed_stage_gives_its_reason_and_imports_and_changes_nothing_of_the_registry(
    copy: RegistrySettings, official_files: Path, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f".{os.pathsep}")
    trap = "raise SystemExit('a file of the registry ran')\n"
    traps = {f"{name}.py": trap for name in ("dvc", "yaml", "random", "numpy", "fmnist", "sitecustomize")}
    change_files(str(copy.repo), tmp_path / "work", {**traps, "params.yaml": "val_size: 55\nseed: 0\n"})
    git(tmp_path / "work", "push", "--quiet")
    before = git(Path(str(copy.repo)), "for-each-ref")
    with pytest.raises(StoreUnavailable, match=r"`dvc repro` failed: (?s:.*)val_size 55: expected a multiple of 10"):
        RegistryBuilder(copy, tmp_path / "unused", official_files).build("1.1.0")
    assert git(Path(str(copy.repo)), "for-each-ref") == before
    assert list(scratch.iterdir()) == []


def test_more_files_than_images_are_refused_before_the_pipeline_runs(
    official_files: Path, tmp_path: Path, scratch: Path
) -> None:
    settings = RegistrySettings(repo=Address(str(tmp_path / "registry.git")), remote_url=str(tmp_path / "store"))
    with pytest.raises(InvalidSetting, match=r"^55001 files: expected at most 55000, the number of images of 'train'"):
        RegistryBuilder(settings, tmp_path / "unused", official_files).build("1.0.0", files=55_001)
    assert not Path(str(settings.repo)).exists()
    assert list(scratch.iterdir()) == []


def test_a_wrong_official_file_is_named_and_leaves_no_registry(
    official_files: Path, tmp_path: Path, scratch: Path
) -> None:
    source = shutil.copytree(official_files, tmp_path / "source")
    (source / TEST_LABELS.name).write_bytes((source / TEST_LABELS.name).read_bytes()[:-5])
    settings = RegistrySettings(repo=Address(str(tmp_path / "registry.git")), remote_url=str(tmp_path / "store"))
    with pytest.raises(CorruptData, match=r"t10k-labels-idx1-ubyte\.gz is not a complete gzip file"):
        RegistryBuilder(settings, tmp_path / "unused", source).build("1.0.0")
    assert not Path(str(settings.repo)).exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("version", ["1", "latest", "1.0.0 ", "--force"])
def test_an_invalid_version_is_refused_before_anything_is_read(tmp_path: Path, version: str) -> None:
    settings = RegistrySettings(repo=Address(str(tmp_path / "registry.git")), remote_url=str(tmp_path / "store"))
    with pytest.raises(InvalidSetting, match="expected three numbers"):
        RegistryBuilder(settings, tmp_path / "raw").build(version)
    assert list(tmp_path.iterdir()) == []


def test_a_first_build_without_a_data_store_names_the_missing_setting(
    official_files: Path, tmp_path: Path, scratch: Path
) -> None:
    settings = RegistrySettings(repo=Address(str(tmp_path / "registry.git")))
    with pytest.raises(InvalidSetting, match="DVC_REMOTE_URL"):
        RegistryBuilder(settings, tmp_path / "unused", official_files).build("1.0.0")
    assert not Path(str(settings.repo)).exists()
    assert list(scratch.iterdir()) == []
