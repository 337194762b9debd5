"""What a service answers is read with suspicion: whatever is not as the contract says is told, and never crashes."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.endpoint import Answers, Reply, Request
from fmnist.domain.model.errors import UnexpectedReply
from fmnist.domain.model.images import CLASS_NAMES

REQUEST = Request("POST", "/predict", b"", "application/json")
ROW = {"class_id": 8, "class_name": "Bag", "confidence": 0.75}
GOOD = {"predictions": [ROW, ROW], "model_uri": "models:/m/1", "timestamp": "2026", "processing_time_ms": 1.5}
PROBABILITIES = [0.05] * 8 + [0.55, 0.05]
CLASS_IDS = {"name": "class_id", "datatype": "INT64", "shape": [1], "data": [8]}
FLAT = {"name": "probabilities", "datatype": "FP32", "shape": [1, 10], "data": PROBABILITIES}
INFERRED = {"model_name": "m", "outputs": [CLASS_IDS, FLAT]}


def reply(document: Any, status: int = 200) -> Reply:
    return Reply(REQUEST, status, json.dumps(document).encode(), 0.01)


def test_answer_of_predict_is_read() -> None:
    answers = Answers.of_predict(reply(GOOD), 2, CLASS_NAMES)
    assert answers == Answers((8, 8), (0.75, 0.75), "models:/m/1")
    assert answers.head(1) == answers.only(1)


def test_answer_of_the_inference_protocol_is_read_flat_and_nested() -> None:
    nested = {**INFERRED, "outputs": [CLASS_IDS, {**FLAT, "data": [PROBABILITIES]}]}
    for document in (INFERRED, nested):
        assert Answers.of_infer(reply(document), 1, CLASS_NAMES) == Answers((8,), (0.55,), None)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({**GOOD, "predictions": [ROW]}, "gave 1 predictions for 2 images"),
        ({**GOOD, "predictions": ROW}, "gave no list of predictions for 2 images"),
        (
            {**GOOD, "predictions": [ROW, {**ROW, "class_id": 7}]},
            "predictions[1] has no class_id and class_name of a class",
        ),
        ({**GOOD, "predictions": [{**ROW, "class_id": 10}, ROW]}, "predictions[0] has no class_id"),
        ({**GOOD, "predictions": [{**ROW, "class_id": True}, ROW]}, "predictions[0] has no class_id"),
        ({**GOOD, "predictions": [ROW, None]}, "predictions[1] has no class_id"),
        ({**GOOD, "predictions": [ROW, {**ROW, "confidence": 1.01}]}, "confidence must be numbers in [0, 1]"),
        ({**GOOD, "predictions": [ROW, {**ROW, "confidence": float("nan")}]}, "confidence must be numbers in [0, 1]"),
        ({**GOOD, "predictions": [ROW, {"class_id": 8, "class_name": "Bag"}]}, "confidence must be numbers in [0, 1]"),
        ({name: GOOD[name] for name in ("predictions", "timestamp")}, "gave no model_uri, processing_time_ms"),
        ([GOOD], "gave no JSON object"),
    ],
)
def test_broken_answer_of_predict_is_told(document: Any, complaint: str) -> None:
    with pytest.raises(UnexpectedReply) as raised:
        Answers.of_predict(reply(document), 2, CLASS_NAMES)
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ([CLASS_IDS], "no output 'probabilities' of shape [1, 10]"),
        ([{**CLASS_IDS, "shape": [2]}], "no output 'class_id' of shape [1]"),
        ([{**CLASS_IDS, "data": [8, 8]}], "'class_id' has 2 values, its shape says [1]"),
        ([{**CLASS_IDS, "data": [7]}, FLAT], "class_id[0] is not the most probable class"),
        ([{**CLASS_IDS, "data": [-2]}, FLAT], "class_id[0] is not the most probable class"),
        ("none", "no output 'class_id'"),
        ([None, {"name": []}], "no output 'class_id'"),
    ],
)
def test_broken_answer_of_the_inference_protocol_is_told(outputs: Any, complaint: str) -> None:
    with pytest.raises(UnexpectedReply) as raised:
        Answers.of_infer(reply({**INFERRED, "outputs": outputs}), 1, CLASS_NAMES)
    assert complaint in str(raised.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 20) | st.floats() | st.sampled_from(["class_id", "Bag"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from([*ROW, *CLASS_IDS]), children),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*GOOD, *INFERRED]), VALUES) | VALUES, st.sampled_from([200, 503]))
def test_no_answer_is_so_strange_that_it_crashes_the_reader(document: Any, status: int) -> None:
    for read in (Answers.of_predict, Answers.of_infer):
        with suppress(UnexpectedReply):
            read(reply(document, status), 1, CLASS_NAMES)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "no model"}', "gave 503 (no model), expected 200"),
        (
            b'{"detail": {"status": "unhealthy", "reload_error": "no golden batch"}}',
            "gave 503 (no golden batch), expected 200",
        ),
        (b'{"detail": {"status": "unhealthy"}}', "gave 503 (unhealthy), expected 200"),
        (b"<html>", "gave 503, expected 200"),
        (b'{"detail": "' + b"x" * 5000 + b'"}', "gave 503 (" + "x" * 160 + "), expected 200"),
    ],
)
def test_unexpected_status_comes_with_what_the_service_said_of_it(body: bytes, said: str) -> None:
    with pytest.raises(UnexpectedReply) as raised:
        Reply(Request("GET", "/health"), 503, body, 0.1).expect(200)
    assert str(raised.value) == f"GET /health {said}"


def test_difference_names_the_first_class_and_then_the_widest_gap() -> None:
    answers = Answers((1, 2), (0.9, 0.8), None)
    assert answers.difference(Answers((1, 2), (0.90001, 0.8), "models:/m/1"), 1e-4) is None
    assert answers.difference(Answers((1, 3), (0.9, 0.8), None), 1e-4) == "image 1 is class 2, and class 3"
    assert answers.difference(Answers((1, 2), (0.9, 0.7), None), 1e-4) == "confidence of image 1 differs by 0.1"
