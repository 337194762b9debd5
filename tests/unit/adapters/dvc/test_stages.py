"""The stages turn the official files into a data version, and `dvc.yaml` matches what they do."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.dvc.registry_files import PARAMS_YAML, dvc_yaml
from fmnist.adapters.dvc.settings import RegistryPaths
from fmnist.adapters.dvc.stages import analyze, download, parse_params, process
from fmnist.adapters.idx.files import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, read_labeled_images
from fmnist.adapters.idx.splits import stratified_choice
from fmnist.adapters.parquet.files import parse_split
from fmnist.adapters.parquet.schema import to_labeled_images
from fmnist.domain.model.data.metadata import describe
from fmnist.domain.model.errors import InvalidSetting
from tests.unit.adapters.idx.support import idx_images, idx_labels

_LABELS = np.random.default_rng(7).permutation(np.arange(200, dtype=np.uint8) % 10)


def _official(folder: Path) -> Path:
    """Files in the form of the official ones, with 200 training and 50 test images."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for images, labels, truths in ((TRAIN_IMAGES, TRAIN_LABELS, _LABELS), (TEST_IMAGES, TEST_LABELS, _LABELS[:50])):
        pixels = random.integers(0, 256, (len(truths), 28, 28), np.uint8)
        (folder / images.name).write_bytes(gzip.compress(idx_images(pixels)))
        (folder / labels.name).write_bytes(gzip.compress(idx_labels(truths)))
    return folder


def test_the_stages_turn_the_official_files_into_splits_and_their_metadata(tmp_path: Path) -> None:
    raw, checkout = _official(tmp_path / "raw"), tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "params.yaml").write_text("val_size: 50\nseed: 3\n")
    download(raw, checkout)
    process(checkout)
    analyze(checkout)
    splits = {
        name: to_labeled_images(parse_split(name, path, (checkout / path).read_bytes()))
        for name, path in RegistryPaths().splits().items()
    }
    chosen = stratified_choice(_LABELS, 50, seed=3)
    assert splits["val"].labels.tolist() == _LABELS[chosen].tolist()
    assert splits["train"].labels.tolist() == _LABELS[~chosen].tolist()
    assert splits["test"].labels.tolist() == _LABELS[:50].tolist()
    official = read_labeled_images(raw / TRAIN_IMAGES.name, raw / TRAIN_LABELS.name)
    assert np.array_equal(splits["val"].images, official.images[chosen])
    assert json.loads((checkout / RegistryPaths().metadata).read_text()) == json.loads(json.dumps(describe(splits)))


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_parameters_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(InvalidSetting, match=r"^params\.yaml cannot be read: "):
        process(tmp_path)


def test_the_pipeline_tracks_single_files_and_keeps_the_metadata_in_git() -> None:
    for path in (
        "data/fashion-mnist/raw/train-images-idx3-ubyte.gz",
        "data/fashion-mnist/processed/train/train.parquet",
        "data/fashion-mnist/processed/val/val.parquet",
        "data/fashion-mnist/processed/test/test.parquet",
        "data/fashion-mnist/metadata.json: {cache: false}",
    ):
        assert f"\n      - {path}" in dvc_yaml(1)


@pytest.mark.parametrize("files", [1, 12])
def test_no_value_of_a_registry_is_in_a_command_of_the_pipeline(files: int) -> None:
    commands = [line for line in dvc_yaml(files).splitlines() if "cmd:" in line]
    assert len(commands) == 3
    for line in commands:
        assert re.fullmatch(rf" +cmd: fmnist data stage [a-z]+( --files {files})?", line)
    assert ("--files" in dvc_yaml(files)) == (files > 1)


def test_the_pipeline_tracks_every_file_of_many() -> None:
    paths = re.findall(r"\n      - data/fashion-mnist/processed/(.*)", dvc_yaml(11).partition("analyze:")[0])
    assert paths == [
        *(f"train/part-000{part:02d}.parquet" for part in range(11)),
        "val/val.parquet",
        "test/test.parquet",
    ]


def test_the_rows_of_many_files_are_those_of_one(tmp_path: Path) -> None:
    raw = _official(tmp_path / "raw")
    trains, metadata = [], []
    for files in (1, 11):
        checkout = tmp_path / f"checkout-{files}"
        checkout.mkdir()
        (checkout / "params.yaml").write_text("val_size: 50\nseed: 3\n")
        download(raw, checkout)
        process(checkout, files)
        analyze(checkout, files)
        # In the order of their names, as a registry reads them.
        found = sorted((checkout / RegistryPaths().train).parent.glob("*.parquet"))
        assert len(found) == files
        trains.append([to_labeled_images(parse_split("train", str(path), path.read_bytes())) for path in found])
        metadata.append((checkout / RegistryPaths().metadata).read_text())
    (one,), parts = trains
    assert [len(part) for part in parts] == [14] * 7 + [13] * 4
    assert np.array_equal(np.concatenate([part.images for part in parts]), one.images)
    assert np.array_equal(np.concatenate([part.labels for part in parts]), one.labels)
    assert metadata[0] == metadata[1]


def test_more_files_than_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("val_size: 50\nseed: 3\n")
    download(_official(tmp_path / "raw"), tmp_path)
    with pytest.raises(InvalidSetting, match="151 files: expected at most 150, the number of images of 'train'"):
        process(tmp_path, 151)


def test_the_parameters_of_a_build_are_two_numbers() -> None:
    assert parse_params(PARAMS_YAML) == (5000, 0)
    assert parse_params("seed: 7\nval_size: 100\nnodes: {more: [1]}\n") == (100, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5000",
        "- 1",
        "val_size: 5000",
        "val_size: true\nseed: 0",
        "val_size: 1e3\nseed: 0",
        "val_size: -1\nseed: 0",
        "val_size: 5000\nseed: 4294967296",
        'val_size: "10; touch x; #"\nseed: 0',
        "val_size: $(touch x)\nseed: 0",
        "val_size: !!python/object/apply:os.system ['touch x']\nseed: 0",
        "val_size: ${seed}\nseed: 0",
        "val_size: " + "9" * 5000 + "\nseed: 0",
        "[" * 600,
        "\x00",
        "/etc/passwd",
    ],
)
def test_parameters_that_are_no_numbers_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^params\.yaml[^\n]{,300}$"):
        parse_params(text)


@given(st.text() | st.builds("val_size: {}\nseed: {}".format, st.text(), st.integers()))
def test_any_parameters_are_two_numbers_or_refused(text: str) -> None:
    try:
        found = parse_params(text)
    except InvalidSetting as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are fine
    else:
        assert [type(value) for value in found] == [int, int]
