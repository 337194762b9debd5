"""What an audit says about its rows, and what it means for `test`."""

import json

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.metrics import wilson_interval
from tests.unit.audits import TEST, an_audit


def test_rows_are_named_by_split_and_row() -> None:
    audit = an_audit()
    assert audit.equal == [[0, 60]]
    assert [pair[:2] for pair in audit.near] == [(1, 61)]
    assert audit.rows_csv().splitlines() == [
        "split,row,reason",
        "train,0,exact duplicate",
        "test,0,exact duplicate",
        "train,1,near duplicate",
        "test,1,near duplicate",
        "test,2,doubtful label",
        "train,2,doubtful label",
        "test,19,outlier",
    ]


def test_suggested_class_is_the_most_probable_other_one() -> None:
    assert an_audit().doubtful == [(62, 2, 9), (2, 2, 9)]


def test_accuracy_on_test_is_told_with_and_without_duplicates_and_doubtful_labels() -> None:
    hits = {
        "all images": (20, 18),
        "without duplicates of train": (18, 16),
        "without doubtful labels": (19, 18),
        "without both": (17, 16),
    }
    expected = {part: (n, right / n, wilson_interval(right, n)) for part, (n, right) in hits.items()}
    assert an_audit().accuracies() == expected


def test_old_version_without_test_has_no_accuracy_on_it() -> None:
    audit = an_audit(test=0)
    assert audit.accuracies() == {}
    assert audit.equal == []


def test_document_is_json_and_has_every_finding() -> None:
    document = json.loads(json.dumps(an_audit().document()))
    assert document["counts"] == {
        "images": 80,
        "equal_images": 2,
        "near_duplicate_pairs": 1,
        "doubtful_labels": 2,
    }
    assert document["equal"] == [[["train", 0], ["test", 0]]]
    assert document["near"] == [[["train", 1], ["test", 1], 0.98]]
    assert document["doubtful"][0] == [["test", 2], CLASS_NAMES[2], 0.01, CLASS_NAMES[9], 0.91]
    assert sum(document["class_counts"]["test"]) == TEST
