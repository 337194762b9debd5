"""A copy of the dataset is proved to have the official data in any order, or refused with its name."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.idx import copies
from fmnist.adapters.idx.files import TEST_IMAGES, TRAIN_IMAGES, TRAIN_LABELS, RawFile, read_labeled_images
from fmnist.adapters.idx.sources import raw_directory
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.errors import InvalidSetting
from fmnist.testing.data import toy_images
from tests.unit.adapters.idx.support import idx_images, idx_labels
from tests.unit.adapters.inputs.files import csv, hugging_face

OFFICIAL = {"train": toy_images(60, seed=1), "test": toy_images(30, seed=2)}


def raw_file(name: str, content: bytes, in_order: bytes) -> RawFile:
    return RawFile(name, len(content), hashlib.sha256(content).hexdigest(), hashlib.sha256(in_order).hexdigest())


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> tuple[RawFile, ...]:
    """The descriptions of `OFFICIAL`, in place of those of the real dataset."""
    made = {}
    for split, (images, labels) in copies._OFFICIAL.items():
        data, in_order = OFFICIAL[split], copies.in_digest_order(OFFICIAL[split])
        made[split] = (
            raw_file(images.name, idx_images(data.images), idx_images(in_order.images)),
            raw_file(labels.name, idx_labels(data.labels), idx_labels(in_order.labels)),
        )
    monkeypatch.setattr(copies, "_OFFICIAL", made)
    return tuple(file for pair in made.values() for file in pair)


def shuffled(data: LabeledImages, seed: int) -> LabeledImages:
    order = np.random.default_rng(seed).permutation(len(data))
    return LabeledImages(data.images[order], data.labels[order])


def write_kaggle(folder: Path, splits: dict[str, LabeledImages]) -> Path:
    folder.mkdir()
    for split, data in splits.items():
        (folder / f"fashion-mnist_{split}.csv").write_bytes(csv(data))
    return folder


def write_hugging_face(folder: Path, splits: dict[str, LabeledImages]) -> Path:
    folder.mkdir()
    for split, data in splits.items():
        for number, part in enumerate(data.cut(2)):
            (folder / f"{split}-{number:05}-of-00002.parquet").write_bytes(hugging_face(part))
    return folder


@pytest.mark.parametrize("write", [write_kaggle, write_hugging_face])
def test_a_copy_in_the_official_order_is_restored_as_the_official_files(
    tmp_path: Path, files: tuple[RawFile, ...], write: object
) -> None:
    assert callable(write)
    raw = raw_directory(tmp_path / "raw", write(tmp_path / "copy", OFFICIAL), files)
    restored = read_labeled_images(raw / TRAIN_IMAGES.name, raw / TRAIN_LABELS.name)
    np.testing.assert_array_equal(restored.images, OFFICIAL["train"].images)
    np.testing.assert_array_equal(restored.labels, OFFICIAL["train"].labels)
    assert raw_directory(tmp_path / "unused", raw, files) == raw


def test_copies_in_any_other_order_give_the_same_files(tmp_path: Path, files: tuple[RawFile, ...]) -> None:
    contents = []
    for seed in (1, 2):
        splits = {"train": shuffled(OFFICIAL["train"], seed), "test": OFFICIAL["test"]}
        raw = raw_directory(tmp_path / f"raw-{seed}", write_kaggle(tmp_path / f"copy-{seed}", splits), files)
        contents.append({path.name: path.read_bytes() for path in raw.iterdir()})
        assert raw_directory(tmp_path / "unused", raw, files) == raw
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4


def test_official_files_are_preferred_to_a_copy_beside_them(tmp_path: Path, files: tuple[RawFile, ...]) -> None:
    raw = raw_directory(tmp_path / "raw", write_kaggle(tmp_path / "copy", OFFICIAL), files)
    (raw / "fashion-mnist_train.csv").write_text("other")
    (raw / "fashion-mnist_test.csv").write_text("other")
    assert raw_directory(tmp_path / "unused", raw, files) == raw


def changed(what: str) -> LabeledImages:
    data = OFFICIAL["train"]
    images, labels = data.images.copy(), data.labels.copy()
    if what == "pixel":
        images[7, 3, 4] ^= 1
    elif what == "label":
        labels[[0, 1]] = labels[[1, 0]]
    elif what == "repeated row":
        images[1], labels[1] = images[11], labels[11]
    elif what == "missing row":
        return data.rows(1, 60)
    elif what == "further row":
        return LabeledImages(np.concatenate([images, images[:1]]), np.concatenate([labels, labels[:1]]))
    return LabeledImages(images, labels)


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        *((what, "is not a copy of Fashion-MNIST: in the order of") for what in ("pixel", "label", "repeated row")),
        ("missing row", "is not a copy of Fashion-MNIST: 59 images, expected 60"),
        ("further row", "is not a copy of Fashion-MNIST: 61 images, expected 60"),
    ],
)
def test_a_copy_with_any_other_data_is_refused_by_name(
    tmp_path: Path, files: tuple[RawFile, ...], what: str, complaint: str
) -> None:
    copy = write_kaggle(tmp_path / "copy", {**OFFICIAL, "train": changed(what)})
    with pytest.raises(InvalidSetting, match=f"copy/fashion-mnist_train.csv {complaint}"):
        raw_directory(tmp_path / "raw", copy, files)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"label,label\n", "fashion-mnist_test.csv: not a file of a known kind"),
        (csv(OFFICIAL["test"]).replace(b"label", b"class", 1), "fashion-mnist_test.csv has no labels"),
        (csv(OFFICIAL["test"]) + b"1,2\n", "fashion-mnist_test.csv: row 30: 2 values, expected 785"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, files: tuple[RawFile, ...], text: bytes, complaint: str
) -> None:
    copy = write_kaggle(tmp_path / "copy", OFFICIAL)
    (copy / "fashion-mnist_test.csv").write_bytes(text)
    with pytest.raises(InvalidSetting, match=complaint):
        raw_directory(tmp_path / "raw", copy, files)


def test_half_a_copy_is_refused(tmp_path: Path, files: tuple[RawFile, ...]) -> None:
    copy = write_kaggle(tmp_path / "copy", OFFICIAL)
    (copy / "fashion-mnist_test.csv").unlink()
    with pytest.raises(InvalidSetting, match=r"lacks train-images.* or fashion-mnist_train.csv and .*test-\*\.parquet"):
        raw_directory(tmp_path / "raw", copy, files)


def test_sorted_files_mixed_with_official_ones_are_refused(tmp_path: Path, files: tuple[RawFile, ...]) -> None:
    splits = {split: shuffled(data, 1) for split, data in OFFICIAL.items()}
    raw = raw_directory(tmp_path / "raw", write_kaggle(tmp_path / "copy", splits), files)
    official = raw_directory(tmp_path / "official", write_kaggle(tmp_path / "in-order", OFFICIAL), files)
    (raw / TEST_IMAGES.name).write_bytes((official / TEST_IMAGES.name).read_bytes())
    with pytest.raises(Exception, match="is not the official"):
        raw_directory(tmp_path / "unused", raw, files)
