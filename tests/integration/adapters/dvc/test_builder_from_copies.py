"""A build from a copy of the real dataset: the official version, or a known other one when the rows are shuffled."""

from pathlib import Path

import numpy as np

from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.idx.files import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, read_labeled_images
from fmnist.adapters.parquet.files import write_split
from fmnist.domain.model.data.dataset import LabeledImages


def official(files: Path) -> dict[str, LabeledImages]:
    return {
        "train": read_labeled_images(files / TRAIN_IMAGES.name, files / TRAIN_LABELS.name),
        "test": read_labeled_images(files / TEST_IMAGES.name, files / TEST_LABELS.name),
    }


def test_a_copy_in_the_official_order_gives_the_official_version(
    copy: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    for split, data in official(official_files).items():
        for number, part in enumerate(data.cut(2)):
            write_split(part, tmp_path / f"dataset/{split}-{number:05}-of-00002.parquet")
    assert RegistryBuilder(copy, tmp_path / "raw", tmp_path / "dataset").build("1.1.0").new
    registry = DvcDataRegistry(copy)
    first, second = registry.resolve("1.0.0"), registry.resolve("1.1.0")
    assert (second.digest, second.metadata) == (first.digest, first.metadata)


def test_a_shuffled_copy_gives_the_same_images_in_an_order_that_its_metadata_names(
    copy: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    (tmp_path / "dataset").mkdir()
    number = [str(value).encode() for value in range(256)]
    for split, data in official(official_files).items():
        lines = [b",".join([b"label", *(b"pixel%d" % pixel for pixel in range(1, 785))])]
        lines += [
            b",".join([number[data.labels[row]], *map(number.__getitem__, data.images[row].tobytes())])
            for row in np.random.default_rng(0).permutation(len(data)).tolist()
        ]
        (tmp_path / f"dataset/fashion-mnist_{split}.csv").write_bytes(b"\n".join(lines))
    assert RegistryBuilder(copy, tmp_path / "raw", tmp_path / "dataset").build("1.1.0").new
    registry = DvcDataRegistry(copy)
    first, second = registry.resolve("1.0.0"), registry.resolve("1.1.0")
    assert second.digest != first.digest
    assert second.metadata["dataset"]["row_order"] == "SHA-256 of image and label"
    assert "row_order" not in first.metadata["dataset"]
    for splits in (("test",), ("train", "val")):
        before, after = (
            sorted(
                image.tobytes() + bytes([label])
                for data in (registry.read(dataset, split) for split in splits)
                for image, label in zip(data.images, data.labels, strict=True)
            )
            for dataset in (first, second)
        )
        assert before == after
