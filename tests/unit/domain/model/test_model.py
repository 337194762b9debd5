"""Model names and URIs are unambiguous, and a model's info is picklable and immutable."""

import contextlib
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.model import ModelInfo, ModelUri, ModelVersion, check_alias, check_model_name
from fmnist.domain.model.promotion.stages import Stage


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models:/dev.fashion-mnist-classifier/12", ModelUri("dev.fashion-mnist-classifier", 12, None)),
        ("models:/prod.x@champion", ModelUri("prod.x", None, "champion")),
    ],
)
def test_both_forms_of_a_uri_are_parsed_and_written(uri: str, expected: ModelUri) -> None:
    assert ModelUri.parse(uri) == expected
    assert str(expected) == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("models:/x/0", "models:/x/01", "models:/x/-1", "models:/x/1/", "models:/x/1@champion", "models:/x/latest"),
        *("models:/x@", "models:/x@latest", "models:/x@v2", "models:/@champion", "models://x/1", "models:x/1"),
        *("models:/m-0123456789abcdef", "models:/x y/1", "MODELS:/x/1", " models:/x/1", "models:/x/1\n"),
        *("", "models:/", "models:/x", "models:/x/Production", "models:/../1", "runs:/abc/model", "s3://bucket/model"),
        pytest.param("models:/x/" + "9" * 5000, id="5000 digits"),
    ],
)
def test_any_other_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidSetting):
        ModelUri.parse(uri)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True), st.integers(1, 10**9 - 1))
def test_a_model_uri_reads_back_as_it_was_written(name: str, version: int) -> None:
    for uri in (ModelUri(name, version, None), ModelUri(name, None, "champion")):
        assert ModelUri.parse(str(uri)) == uri


@given(st.text() | st.text(max_size=10).map("models:/".__add__) | st.text(max_size=10).map("models:/name/".__add__))
def test_any_text_is_a_model_uri_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidSetting):
        assert str(ModelUri.parse(text)) == text


@pytest.mark.parametrize("name", ["x" * 255, *(f"{stage}.{'x' * 247}" for stage in Stage)])
def test_a_name_must_fit_into_a_registry_at_each_stage(name: str) -> None:
    assert check_model_name(name) == name
    with pytest.raises(InvalidSetting, match=r"has 256 characters( as staging\.NAME)?, and 255 are allowed"):
        check_model_name(name + "x")


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V12", "", "a b", "a/b", "a.b"])
def test_an_alias_that_a_registry_cannot_hold_is_refused(alias: str) -> None:
    with pytest.raises(InvalidSetting, match="alias"):
        check_alias(alias)


def test_a_version_s_uri_names_exactly_this_version() -> None:
    version = ModelVersion("ci.fashion-mnist-classifier", 3, "abc", ("candidate",), {}, 0.0)
    assert version.uri == "models:/ci.fashion-mnist-classifier/3"
    assert ModelUri.parse(dataclasses.replace(version, version=4).uri).version == 4


def test_model_info_can_be_pickled_and_is_immutable() -> None:
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
