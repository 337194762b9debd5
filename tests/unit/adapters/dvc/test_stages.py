"""The validation split is drawn evenly, always the same way, and the pipeline's text says what its stages do."""

import re

import numpy as np
import pytest

from fmnist.adapters.dvc.pipeline import DVC_YAML, UPLOAD_REMOTE, shared_config, upload_config
from fmnist.adapters.dvc.stages import stratified_choice
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.errors import InvalidSetting

_LABELS = np.random.default_rng(7).permutation(np.arange(200, dtype=np.uint8) % 10)


def test_every_class_is_drawn_equally_often() -> None:
    chosen = stratified_choice(_LABELS, 50, seed=0)
    assert np.bincount(_LABELS[chosen]).tolist() == [5] * 10


def test_equal_seeds_draw_the_same_rows_and_others_do_not() -> None:
    first = stratified_choice(_LABELS, 50, seed=3)
    assert np.array_equal(first, stratified_choice(_LABELS, 50, seed=3))
    assert not np.array_equal(first, stratified_choice(_LABELS, 50, seed=4))


def test_the_draw_is_the_same_today_as_it_was() -> None:
    labels = np.arange(200, dtype=np.uint8) % 10
    drawn = np.flatnonzero(stratified_choice(labels, 10, seed=0))
    assert drawn.tolist() == [29, 57, 68, 74, 111, 125, 152, 180, 183, 186]


@pytest.mark.parametrize("size", [-10, 0, 5, 55, 200, 1000])
def test_a_size_that_cannot_be_even_is_refused(size: int) -> None:
    with pytest.raises(InvalidSetting, match=rf"val_size {size}: expected a multiple of 10 from 10 to 190"):
        stratified_choice(_LABELS, size, seed=0)


def test_the_pipeline_tracks_single_files_and_keeps_the_metadata_in_git() -> None:
    for path in (
        "data/fashion-mnist/raw/train-images-idx3-ubyte.gz",
        "data/fashion-mnist/processed/train/train.parquet",
        "data/fashion-mnist/processed/val/val.parquet",
        "data/fashion-mnist/processed/test/test.parquet",
        "data/fashion-mnist/metadata.json: {cache: false}",
    ):
        assert f"\n      - {path}" in DVC_YAML


def test_configuration_that_is_committed_has_an_endpoint_and_no_secret() -> None:
    config = shared_config("storage", "s3://bucket/prefix", "http://127.0.0.1:9000")
    assert "url = s3://bucket/prefix\n    endpointurl = http://127.0.0.1:9000\n" in config
    s3 = S3Settings("http://127.0.0.1:9000", "key", "swordfish", verify_tls=False)
    upload = upload_config("storage", "s3://bucket/prefix", s3)
    assert "ssl_verify = false" in upload
    assert "swordfish" not in config + upload


def test_registry_does_not_switch_the_verification_of_certificates_off() -> None:
    s3 = S3Settings("https://s3.example")
    assert "ssl_verify = true" in upload_config("storage", "s3://bucket", s3)
    # A remote that the registry does not know cannot be spoilt by it, and AWS_CA_BUNDLE counts for it.
    assert "ssl_verify" not in upload_config(UPLOAD_REMOTE, "s3://bucket", s3)


def test_uploading_to_s3_waits_for_an_answer_only_so_long() -> None:
    upload = upload_config(UPLOAD_REMOTE, "s3://bucket", S3Settings())
    assert re.search(r"connect_timeout = \d+\n", upload)
    assert re.search(r"read_timeout = \d+\n", upload)


def test_a_directory_has_no_endpoint() -> None:
    s3 = S3Settings("http://127.0.0.1:9000")
    assert "endpointurl" not in shared_config("storage", "/srv/store", "http://127.0.0.1:9000")
    assert upload_config("storage", "/srv/store", s3) == "['remote \"storage\"']\n    url = /srv/store\n"
