import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.mlflow.artifact import (
    INFO_FILE,
    MAX_BYTES,
    GoldenBatch,
    info_from_json,
    info_to_json,
    read_file,
)
from fmnist.domain.model.errors import CorruptModel
from fmnist.testing.data import toy_info

INFO = toy_info()


def classifier(seed: int = 0) -> MeanClassifier:
    means = np.random.default_rng(seed).normal(size=(10, 784)).astype(np.float32)
    return MeanClassifier(means, INFO)


def golden() -> GoldenBatch:
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    return GoldenBatch.of(classifier(), images)


def test_info_reads_back_as_it_was() -> None:
    assert info_from_json(info_to_json(INFO)) == INFO


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layout_version": 2}, "layout version 2"),
        ({"layout_version": None}, "layout version None"),
        ({"surplus": 1}, "surplus"),
        ({"architecture": 1}, "architecture"),
        ({"class_names": "abc"}, "class_names"),
        ({"lineage": {"run_id": 1}}, "lineage"),
        ({"metrics": {"val_acc": "0.9"}}, "metrics"),
        ({"normalization": {"mean": 0.3}}, "std"),
        ({"normalization": {"mean": 0.3, "std": 0.3, "surplus": 1}}, "surplus"),
        ({"normalization": {"mean": "0.3", "std": 0.3}}, "mean"),
        ({"normalization": {"mean": 0.3, "std": 0.0}}, "pixel_std"),
    ],
)
def test_info_with_an_unknown_or_wrong_field_is_refused_by_name(change: dict[str, object], named: str) -> None:
    document = {**json.loads(info_to_json(INFO)), **change}
    with pytest.raises(CorruptModel, match=named):
        info_from_json(json.dumps(document))


@pytest.mark.parametrize("missing", ["architecture", "normalization", "class_names", "lineage", "metrics"])
def test_info_without_a_field_is_refused_by_name(missing: str) -> None:
    document = json.loads(info_to_json(INFO))
    del document[missing]
    with pytest.raises(CorruptModel, match=missing):
        info_from_json(json.dumps(document))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b'{"layout_version": 1}'])
def test_text_that_is_not_an_info_is_refused(text: bytes) -> None:
    with pytest.raises(CorruptModel, match=r"fmnist\.json"):
        info_from_json(text)


def test_metric_that_is_not_finite_is_not_written() -> None:
    with pytest.raises(CorruptModel, match="val_acc"):
        info_to_json(replace(INFO, metrics={"val_acc": float("nan")}))


def test_golden_batch_reads_back_and_can_be_checked() -> None:
    batch = GoldenBatch.from_bytes(golden().to_bytes())
    np.testing.assert_array_equal(batch.images, golden().images)
    batch.check(classifier(), 1e-6, "the same")


def test_other_predictions_for_the_golden_batch_are_refused() -> None:
    with pytest.raises(CorruptModel, match="the other"):
        golden().check(classifier(seed=1), 1e-3, "the other")


def test_predictions_of_another_shape_are_refused() -> None:
    batch = golden()
    fewer = GoldenBatch(batch.images, batch.probabilities[:, :9])
    with pytest.raises(CorruptModel, match=r"the other gives probabilities of shape \(4, 10\) .* expected \(4, 9\)"):
        fewer.check(classifier(), 1e-3, "the other")


def test_predictions_that_are_not_numbers_are_refused() -> None:
    means = np.full((10, 784), np.nan, np.float32)
    with pytest.raises(CorruptModel, match="nan"):
        golden().check(MeanClassifier(means, INFO), 1e-3, "the other")


def test_tolerance_applies_to_probabilities() -> None:
    batch = golden()
    shifted = GoldenBatch(batch.images, batch.probabilities + np.float32(5e-4))
    shifted.check(classifier(), 1e-3, "it")
    with pytest.raises(CorruptModel, match=r"0\.0005"):
        shifted.check(classifier(), 1e-4, "it")


@pytest.mark.parametrize("content", [b"", b"no archive", golden().to_bytes()[:200]])
def test_bytes_that_are_not_a_golden_batch_are_refused(content: bytes) -> None:
    with pytest.raises(CorruptModel, match=r"golden\.npz"):
        GoldenBatch.from_bytes(content)


@settings(deadline=None)
@given(data=st.data())
def test_damaged_golden_batch_is_refused_or_not_changed(data: st.DataObject) -> None:
    whole = bytearray(golden().to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = GoldenBatch.from_bytes(bytes(whole))
    except CorruptModel:
        return
    np.testing.assert_array_equal(found.images, golden().images)


def test_golden_batch_that_decompresses_to_gigabytes_is_refused() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as entry:
        for _ in range(70):
            entry.write(bytes(2**20))
    with pytest.raises(CorruptModel, match="unpacks to"):
        GoldenBatch.from_bytes(bomb.getvalue())


def test_info_with_too_deep_nesting_is_refused() -> None:
    with pytest.raises(CorruptModel, match="damaged"):
        info_from_json("[" * 100_000)


def test_too_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / INFO_FILE).open("wb") as file:
        file.truncate(MAX_BYTES[INFO_FILE] + 1)
    with pytest.raises(CorruptModel, match="more than 1048576 bytes"):
        read_file(tmp_path / INFO_FILE)
