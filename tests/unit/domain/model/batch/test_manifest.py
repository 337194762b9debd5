"""The manifest: what is missing, what is refused, and the names of files."""

import json
import re
from dataclasses import replace

import pytest

from fmnist.domain.model.batch.manifest import (
    AnsweringModel,
    FinishedPart,
    Manifest,
    answer_file,
    unreadable_file,
)
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import InvalidSetting

MODEL = AnsweringModel("models:/dev.toy/3", 3, "m-1")
DONE = FinishedPart("f1", rows=10, unreadable=2, labeled=False, seconds=1.5)
PARTS = [InputPart(name, f"/data/{name}", "f1") for name in ("c", "a", "b")]


def test_missing_parts_are_those_without_answers_in_the_order_of_the_input() -> None:
    manifest = Manifest(MODEL)
    assert manifest.missing(MODEL, PARTS) == PARTS
    manifest = manifest.with_part("a", DONE)
    assert [part.name for part in manifest.missing(MODEL, PARTS)] == ["c", "b"]
    assert manifest.missing(MODEL, PARTS[1:2]) == []


@pytest.mark.parametrize(
    "other", [AnsweringModel("models:/dev.toy/4", 4, "m-1"), AnsweringModel("models:/dev.toy/3", 3, "m-2")]
)
def test_another_model_is_refused_also_under_the_same_name(other: AnsweringModel) -> None:
    said = f"answers of models:/dev.toy/3 (artifact m-1), found {other.uri} (artifact {other.artifact})"
    with pytest.raises(InvalidSetting, match=re.escape(said)):
        Manifest(MODEL).missing(other, PARTS)


def test_changed_input_is_refused_by_its_name() -> None:
    manifest = Manifest(MODEL).with_part("a", DONE)
    with pytest.raises(InvalidSetting, match="/data/a has changed since its answers were written"):
        manifest.missing(MODEL, [InputPart("a", "/data/a", "f2")])


def test_another_input_of_the_same_name_is_refused() -> None:
    manifest = Manifest(MODEL).with_part("a", replace(DONE, uri="/other/a"))
    with pytest.raises(InvalidSetting, match=r"the answers a\.parquet are those of /other/a, not of /data/a:"):
        manifest.missing(MODEL, PARTS)


def test_another_part_makes_the_report_incomplete() -> None:
    assert not Manifest(MODEL, {}, reported=True).with_part("a", DONE).reported


def test_json_says_the_files_and_that_the_counts_add_up() -> None:
    written = Manifest(MODEL, reported=True).with_part("pictures/a.csv", replace(DONE, uri="/data/pictures/a.csv"))
    assert Manifest.from_json(written.to_json()) == written
    assert json.loads(written.to_json())["parts"]["pictures/a.csv"] == {
        "answers": "pictures/a.csv.parquet",
        "answered": 8,
        "unreadable_rows": "pictures/a.csv.unreadable.jsonl",
        "fingerprint": "f1",
        "rows": 10,
        "unreadable": 2,
        "labeled": False,
        "seconds": 1.5,
        "uri": "/data/pictures/a.csv",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"format": "fmnist predict-batch 2"},
        {"parts": []},
        {"parts": {"a": {"rows": 1}}},
        {"parts": {"a": {"fingerprint": "f", "rows": "1", "unreadable": 0, "labeled": True, "seconds": 1.0}}},
        {"model": {"uri": "models:/a/1"}},
        {"model": None},
    ],
)
def test_unusable_manifest_is_refused(change: dict[str, object]) -> None:
    document = json.loads(Manifest(MODEL).to_json()) | change
    with pytest.raises(InvalidSetting, match=r"manifest\.json is not one of predict-batch"):
        Manifest.from_json(json.dumps(document))


def test_answers_of_a_parquet_file_have_its_name() -> None:
    assert (answer_file("a.parquet"), answer_file("b/a.csv")) == ("a.parquet", "b/a.csv.parquet")
    assert unreadable_file("a.parquet") == "a.unreadable.jsonl"
