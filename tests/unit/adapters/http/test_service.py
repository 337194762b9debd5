"""Answers of a service are not trusted: one that breaks the contract gives an error, and never a crash."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.http.endpoint import Reply
from fmnist.adapters.http.service import HttpService
from fmnist.domain.model.errors import UnexpectedReply

IMAGES = np.zeros((1, 28, 28), np.uint8)
FIELDS = ["predictions", "class_id", "model_uri", "outputs", "name", "data", "detail", "status", "data_version"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["class_id", "models:/m/1"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), children),
    max_leaves=12,
)


class Strange(HttpService):
    """Gets the same answer to every request, without a service."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__("http://127.0.0.1")
        self.reply = Reply("GET /health", status, body, 0.1)

    def ask(self, *_: Any, **__: Any) -> Reply:
        return self.reply


@given(VALUES.map(json.dumps).map(str.encode) | st.binary(), st.sampled_from([200, 401, 422, 503]))
def test_no_answer_crashes_the_reader(body: bytes, status: int) -> None:
    with Strange(status, body) as service:
        for read in (
            service.check_ready,
            service.info,
            lambda: service.answers("npy", IMAGES, 1),
            lambda: service.answers("V2 infer", IMAGES, 1),
            lambda: service.check_refusal(IMAGES[0]),
            lambda: service.check_key(IMAGES[0]),
        ):
            with suppress(UnexpectedReply):
                read()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "no model"}', "returned 503 (no model), expected 200"),
        (b'{"detail": {"status": "unhealthy", "reload_error": "no golden batch"}}', "returned 503 (no golden batch), "),
        (b'{"detail": {"status": "unhealthy"}}', "returned 503 (unhealthy), expected 200"),
        (b"<html>", "returned 503, expected 200"),
        (b"[" * 100_000, "returned 503, expected 200"),
        (b'{"detail": "' + b"x" * 5000 + b'"}', "returned 503 (" + "x" * 160 + "), expected 200"),
    ],
)
def test_error_for_an_unexpected_status_has_the_service_s_reason(body: bytes, said: str) -> None:
    with Strange(503, body) as service, pytest.raises(UnexpectedReply) as raised:
        service.check_ready()
    assert str(raised.value).startswith(f"GET /health {said}")
