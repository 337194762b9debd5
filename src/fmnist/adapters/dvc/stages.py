"""The three stages that turn the official files into a data version. `dvc.yaml` runs each as its own command, in a
clone of the registry. A stage reads and writes files of that clone, and never calls Git.
"""

import json
import logging
import reprlib
import shutil
from pathlib import Path

import numpy as np
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

from fmnist.adapters.dvc.settings import RegistryPaths, part_paths
from fmnist.adapters.idx.copies import in_digest_order
from fmnist.adapters.idx.files import RAW_FILES
from fmnist.adapters.idx.splits import read_splits
from fmnist.adapters.parquet.files import parse_split, write_split
from fmnist.adapters.parquet.schema import to_labeled_images
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.metadata import describe
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.text import words_of

logger = logging.getLogger(__name__)

RAW = "data/fashion-mnist/raw"
PARAMS = "params.yaml"
PATHS = RegistryPaths()


def download(raw: Path, checkout: Path) -> None:
    """Copy the official files from `raw` into the checkout. They were checked before."""
    target = checkout / RAW
    target.mkdir(parents=True, exist_ok=True)
    for file in RAW_FILES:
        shutil.copyfile(raw / file.name, target / file.name)


def split_paths(files: int) -> dict[str, list[str]]:
    """Return the paths of the Parquet files by split name, where `train` has so many files."""
    return {name: part_paths(path, files if name == "train" else 1) for name, path in PATHS.splits().items()}


def process(checkout: Path, files: int = 1) -> None:
    """Write `train`, `val` and `test` as Parquet.

    `train` is cut into so many files. Their rows, in the order of the files, are those of the one file.

    Raises:
        CorruptData: an official file is damaged.
        InvalidSetting: `params.yaml` cannot be read, lacks a value, or has a `val_size` that cannot be stratified; or
            there are more files than images.
    """
    try:
        text = (checkout / PARAMS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{PARAMS} cannot be read: {error}") from error
    val_size, seed = parse_params(text)
    splits = read_splits(checkout / RAW, val_size, seed)
    check_files(files, len(splits["train"]))
    for name, paths in split_paths(files).items():
        for path, rows in zip(paths, splits[name].cut(len(paths)), strict=True):
            write_split(rows, checkout / path)
            logger.info("%s: %d images in %s", name, len(rows), path)


def analyze(checkout: Path, files: int = 1) -> None:
    """Write `metadata.json` from the Parquet files, as many as `process` wrote.

    It says so if the rows are not in the official order.
    """
    splits = {}
    for name, paths in split_paths(files).items():
        splits[name] = LabeledImages.joined(
            to_labeled_images(parse_split(name, path, (checkout / path).read_bytes())) for path in paths
        )
    metadata, test = describe(splits), splits["test"]
    if np.array_equal(in_digest_order(test).images, test.images):
        metadata["dataset"]["row_order"] = "SHA-256 of image and label"
    (checkout / PATHS.metadata).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def check_files(files: int, images: int) -> None:
    """Check that a train split of so many images can have so many files.

    Raises:
        InvalidSetting: there are more files than images.
    """
    if files > images:
        raise InvalidSetting(f"{files} files: expected at most {images}, the number of images of 'train'")


def parse_params(text: str) -> tuple[int, int]:
    """Return `val_size` and `seed` of a `params.yaml`. The text is not trusted.

    Raises:
        InvalidSetting: the text is no YAML, or lacks a whole number with one of these names.
    """
    try:
        params = parse_yaml(text, PARAMS)
    except (YAMLFileCorruptedError, ValueError, RecursionError) as error:
        raise InvalidSetting(f"{PARAMS} is not valid YAML: {words_of(error)[:200]}") from error
    values: list[int] = []
    for name, most in (("val_size", 2**31 - 1), ("seed", 2**32 - 1)):
        value = params.get(name) if isinstance(params, dict) else None
        if type(value) is not int or not 0 <= value <= most:
            raise InvalidSetting(
                f"{PARAMS}: {name} must be a whole number from 0 to {most}, found {reprlib.repr(value)}"
            )
        values.append(value)
    return values[0], values[1]
