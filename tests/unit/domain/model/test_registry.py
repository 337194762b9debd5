"""What the store tells of a model names it without doubt."""

import dataclasses
import pickle

import pytest

from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.registry import ModelInfo, ModelVersion

VERSION = ModelVersion("ci.fashion-mnist-classifier", 3, "abc", ("candidate",), {}, 0.0)


def test_a_version_s_uri_names_it_and_no_other() -> None:
    assert VERSION.uri == "models:/ci.fashion-mnist-classifier/3"
    assert dataclasses.replace(VERSION, version=4).uri != VERSION.uri


def test_what_a_model_says_of_itself_travels_to_a_worker_unchanged() -> None:
    info = ModelInfo(
        architecture="cnn",
        normalization=Normalization(0.286, 0.353),
        class_names=("a", "b"),
        lineage={"run_id": "abc"},
        metrics={"val_acc": 0.9},
    )
    assert pickle.loads(pickle.dumps(info)) == info
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.architecture = "resnet18"  # type: ignore[misc]
